"""Writes the pages of docs/reference that are made from the code: plug points, embedding, settings, reasons.

``python scripts/reference.py`` writes them all; a test fails while one is stale. What a page says is said in the
docstrings, and once; the command line's own page is made by ``python -m agentpod_cli.reference``.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

import agentpod_core
from agentpod_cli.exits import Exit
from agentpod_core import catalogue, embedding
from agentpod_core.host import GROUP, KINDS
from agentpod_core.plugpoints import hooks
from agentpod_server import settings

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
HEAD = "# {title}\n\n<!-- Made by `python scripts/reference.py`; a test fails when it is stale. -->\n\n{text}\n"
WIDTH = 100
CLIENT = {
    "AGENTPOD_SERVER": "Address of the server that the command line talks to.",
    "AGENTPOD_TOKEN": "API token to show to that server.",
    "AGENTPOD_CONTEXT": "Name of the saved login to use.",
    "AGENTPOD_LANG": "Language of the command line: `en` or `zh-CN`; else the locale decides.",
}
"""What the command line reads from the environment, and the server leaves alone."""


def plug_points() -> str:
    """Give the page about all that a plugin works with."""
    points = [kind.type for kind in KINDS]
    shared = [agentpod_core.Impure, agentpod_core.HostContext, agentpod_core.NoSettings, agentpod_core.Clock]
    lines = [agentpod_core.Link, agentpod_core.Socket, agentpod_core.Reply, agentpod_core.ExecResult]
    exported = [getattr(agentpod_core, name) for name in agentpod_core.__all__]
    rest = [thing for thing in exported if thing not in [*points, *shared, *lines]]
    errors = [thing for thing in rest if inspect.isclass(thing) and issubclass(thing, Exception)]
    enums = [thing for thing in rest if inspect.isclass(thing) and issubclass(thing, enum.Enum)]
    values = [thing for thing in rest if inspect.isclass(thing) and thing not in [*errors, *enums]]
    functions = [thing for thing in rest if inspect.isfunction(thing)]
    shown = [*points, *shared, *lines, *errors, *enums, *values, *functions]
    others = [name for name in agentpod_core.__all__ if not any(getattr(agentpod_core, name) is one for one in shown)]
    return _page(
        "Plug points",
        "All that a plugin implements and works with. Everything here is imported from `agentpod_core`, and nothing "
        "else is. Where a class says *required*, an implementation must define it; the rest has a default. "
        "[Your first adapter](../tutorial/first-adapter.md) shows how it comes together.",
        ("Hooks", _hooks()),
        ("What a hook offers", _things(points)),
        ("What all of them share but adapters", _things(shared)),
        ("The line to an agent", _things(lines)),
        ("Values", _things(values)),
        ("Choices", _things(enums)),
        ("Errors", _things(errors)),
        ("Functions", _things(functions)),
        ("Constants and aliases", _constants(others)),
    )


def embedding_page() -> str:
    """Give the page about all that an application works with that embeds the engine."""
    things = [getattr(embedding, name) for name in embedding.__all__]
    return _page(
        "Embedding the engine",
        "What an application uses that has its own idea of a server: `agentpod_core.embedding`. It is provisional: it "
        "may change in any minor version. [`examples/core_alone.py`](../../examples/core_alone.py) is a whole "
        "program; plug points and values are [a page of their own](plug-points.md).",
        ("Classes", _things([thing for thing in things if inspect.isclass(thing)])),
        ("Functions", _things([thing for thing in things if inspect.isfunction(thing)])),
    )


def settings_page() -> str:
    """Give the page about every variable and every line of the settings file."""
    rows = settings.table()
    missing = settings.RESERVED ^ set(CLIENT)
    if missing:
        raise SystemExit(f"the page must speak of {missing}")
    return _page(
        "Settings",
        "A setting is a variable of the environment or a line of `agentpod.toml` in the state folder; the variable "
        "wins. Everything that is wrong is reported at once when the server starts. Times are in seconds.",
        (
            "The server",
            [
                _table(
                    ("Variable", "Line", "Default", "Meaning"),
                    [
                        (_code(row.variable), _code(row.key), _code(row.default), _plain(row.description))
                        for row in rows
                    ],
                )
            ],
        ),
        ("Plugins", _plugin_settings()),
        (
            "The command line",
            [_table(("Variable", "Meaning"), [(_code(name), text) for name, text in sorted(CLIENT.items())])],
        ),
    )


def reasons() -> str:
    """Give the page about every reason of the catalogue."""
    entries = sorted((catalogue.entry(reason) for reason in catalogue.reasons()), key=lambda one: one.reason)
    codes = [(str(code.value), code.name.replace("_", " ").lower()) for code in Exit]
    return _page(
        "Reasons",
        "Errors, conditions and events carry a *reason*, a word that programs can rely on, and params that fill its "
        "text. A problem of the API has it as `reason` and at the end of its `type` "
        "(`urn:agentpod:problem:InvalidName`); the heading below it here is its anchor. `{…}` stands for a param. "
        "The server answers in the reader's language; this page is in English.",
        ("Exit codes of the command line", [_table(("Code", "Meaning"), codes)]),
        ("Errors", _entries(entries, lambda one: one.status is not None)),
        ("What conditions and events say", _entries(entries, lambda one: one.status is None)),
    )


PAGES: dict[str, Callable[[], str]] = {
    "plug-points.md": plug_points,
    "embedding.md": embedding_page,
    "settings.md": settings_page,
    "reasons.md": reasons,
}


def _page(title: str, text: str, *sections: tuple[str, list[str]]) -> str:
    parts = [HEAD.format(title=title, text=_wrapped(text))]
    for name, body in sections:
        if body:
            parts += [f"## {name}\n", *(f"{one.rstrip()}\n" for one in body)]
    return "\n".join(parts)


def _hooks() -> list[str]:
    found = [thing for name, thing in vars(hooks).items() if name.startswith("agentpod_") and callable(thing)]
    return [f"### `{hook.__name__}`\n\n{_signature(hook)}\n\n{_said(hook)}" for hook in found]


def _things(things: list[Any]) -> list[str]:
    return ["\n\n".join(_thing(thing)) for thing in things]


def _thing(thing: Any) -> Iterator[str]:
    yield f"### `{thing.__name__}`"
    if inspect.isfunction(thing):
        yield _signature(thing)
        yield _said(thing)
        return
    bases = [base.__name__ for base in thing.__bases__ if base.__name__ in agentpod_core.__all__]
    if bases:
        yield f"Extends {', '.join(_code(base) for base in bases)}."
    yield _said(thing)
    if issubclass(thing, enum.Enum):
        yield _table(("Name", "Value"), [(_code(one.name), _code(str(one.value))) for one in thing])
    elif issubclass(thing, msgspec.Struct):
        if fields := msgspec.structs.fields(thing):
            kinds = _annotations(thing)
            yield _table(
                ("Field", "Type", "Default"),
                [(_code(one.name), _code(kinds[one.name]), _code(_default(one))) for one in fields],
            )
    else:
        if attributes := _attributes(thing):
            yield _table(("Attribute", "Type", "Default"), attributes)
        if issubclass(thing, Exception) and "__init__" in vars(thing):
            yield _signature(thing.__init__)
    for name, method in vars(thing).items():
        if not name.startswith("_") and (isinstance(method, property) or inspect.isfunction(method)):
            yield from _method(thing, name, method)


def _method(owner: type, name: str, method: Any) -> Iterator[str]:
    function = method.fget if isinstance(method, property) else inspect.unwrap(method)
    if getattr(function, "__isabstractmethod__", False):
        mark = " (required)"
    else:
        mark = " (property)" if isinstance(method, property) else ""
    yield f"#### `{owner.__name__}.{name}`{mark}"
    yield _signature(function)
    yield _said(function)


def _attributes(thing: type) -> list[tuple[str, str, str]]:
    return [
        (
            _code(name),
            _code(re.sub(r"^ClassVar\[(.*)\]$", r"\1", kind)),
            _code(_show(getattr(thing, name))) if hasattr(thing, name) else "*required*",
        )
        for name, kind in _annotations(thing).items()
        if not name.startswith("_") and kind.startswith("ClassVar[")
    ]


def _annotations(thing: type) -> dict[str, str]:
    """Give a class's annotations as they are written, its parents' first."""
    found: dict[str, str] = {}
    for one in reversed(thing.__mro__):
        found |= {name: kind for name, kind in vars(one).get("__annotations__", {}).items() if isinstance(kind, str)}
    return found


def _constants(names: list[str]) -> list[str]:
    rows = [(_code(name), _code(_show(getattr(agentpod_core, name)))) for name in names]
    return [_table(("Name", "Is"), rows)]


def _signature(function: Any) -> str:
    """Give a function's head as it is written, one parameter a line where it is long."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body[0]
    if not isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef)):
        raise TypeError(f"{function} is no function")
    start = "async def" if isinstance(tree, ast.AsyncFunctionDef) else "def"
    end = f" -> {ast.unparse(tree.returns)}" if tree.returns else ""
    each = list(_parameters(tree.args))
    head = f"{start} {tree.name}({', '.join(each)}){end}"
    if len(head) > WIDTH:
        head = "\n".join([f"{start} {tree.name}(", *(f"    {one}," for one in each), f"){end}"])
    return f"```python\n{head}\n```"


def _parameters(args: ast.arguments) -> Iterator[str]:
    """Give each parameter, with ``*`` before those that go by name only."""
    first = len(args.args) - len(args.defaults)
    for number, one in enumerate(args.args):
        yield _parameter(one, args.defaults[number - first] if number >= first else None)
    if args.vararg:
        yield f"*{_parameter(args.vararg, None)}"
    elif args.kwonlyargs:
        yield "*"
    yield from map(_parameter, args.kwonlyargs, args.kw_defaults)
    if args.kwarg:
        yield f"**{_parameter(args.kwarg, None)}"


def _parameter(one: ast.arg, default: ast.expr | None) -> str:
    if default is None:
        return ast.unparse(one)
    return f"{ast.unparse(one)}{' = ' if one.annotation else '='}{ast.unparse(default)}"


def _said(thing: Any) -> str:
    """Make Markdown of a docstring: its sections become a list and a block."""
    text = inspect.getdoc(thing) or ""
    text = re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)
    lines: list[str] = []
    section = ""
    for line in text.splitlines():
        if line in {"Raises:", "Example:"}:
            section = line
            lines += ["Raises:", ""] if line == "Raises:" else ["```python"]
        elif section == "Raises:" and line.startswith("    ") and not line.startswith("     "):
            name, _, why = line.strip().partition(": ")
            lines.append(f"- `{name}`: {why}")
        elif section == "Raises:" and line.startswith("     "):
            lines.append(f"  {line.strip()}")
        elif section == "Example:":
            lines.append(line.removeprefix("    "))
        else:
            section = ""
            lines.append(line)
    return "\n".join(lines) + ("\n```" if section == "Example:" else "")


def _default(one: msgspec.structs.FieldInfo) -> str:
    if one.default is not msgspec.NODEFAULT:
        return _show(one.default)
    return "" if one.default_factory is msgspec.NODEFAULT else _show(one.default_factory())


def _show(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if inspect.isclass(value) or inspect.isfunction(value):
        return str(value.__name__)
    if " object at 0x" in repr(value):
        return f"{type(value).__name__}()"
    if isinstance(value, msgspec.Struct):
        given = ((one.name, getattr(value, one.name), one.default) for one in msgspec.structs.fields(value))
        told = ", ".join(f"{name}={_show(one)}" for name, one, default in given if one != default)
        return f"{type(value).__name__}({told})"
    written = str(value) if "agentpod_core." in repr(value) else repr(value)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", written)


def _offers() -> Iterator[tuple[str, str, type[agentpod_core.Impure]]]:
    """Give kind, name and class of what this project's plugins offer, unopened."""
    for point in metadata.entry_points(group=GROUP):
        plugin = point.load()
        for kind in KINDS:
            for thing in getattr(plugin, kind.hook, tuple)():
                if isinstance(thing, agentpod_core.Impure):
                    yield kind.name, thing.name, type(thing)


def _plugin_settings() -> list[str]:
    said = [
        (
            "A plugin's setting is `AGENTPOD_<KIND>_<NAME>_<FIELD>`, or a line of the table `[plugins.<kind>.<name>]`. "
            "Where a variable is to hold a list or an object, it holds JSON; `__` reaches into a nested one."
        )
    ]
    for kind, name, thing in sorted(_offers(), key=lambda one: one[:2]):
        fields = msgspec.structs.fields(thing.settings_type)
        if not fields:
            continue
        prefix = f"AGENTPOD_{kind}_{name}_".upper().replace("-", "_")
        kinds = _annotations(thing.settings_type)
        schema = msgspec.json.schema_components([thing.settings_type])[1][thing.settings_type.__name__]["properties"]
        rows = [
            (
                _code(f"{prefix}{one.name.upper()}"),
                _code(_unmarked(kinds[one.name])),
                _code(_default(one)),
                _plain(schema[one.name].get("description", "")),
            )
            for one in fields
        ]
        table = _table(("Variable", "Type", "Default", "Meaning"), rows)
        said.append(f"### {thing.title}: `[plugins.{kind}.{name}]`\n\n{_said(thing.settings_type)}\n\n{table}")
    return said


def _unmarked(kind: str) -> str:
    """Give a type as it is written, without what ``Annotated`` adds."""
    return re.sub(r"^Annotated\[\s*([^,]+),.*$", r"\1", kind, flags=re.DOTALL)


def _entries(entries: list[catalogue.Entry], belongs: Callable[[catalogue.Entry], bool]) -> list[str]:
    said = []
    for one in entries:
        if belongs(one):
            answer = f" HTTP status {one.status}, exit code {one.exit}." if one.status else ""
            todo = f"\n\nTo do: {_plain(one.repair)}" if one.repair else ""
            said.append(f"### {one.reason}\n\n**{_plain(one.title)}.**{answer} {_plain(one.text)}{todo}")
    return said


def _plain(text: str) -> str:
    return re.sub(r"([*_<>\[\]|])", r"\\\1", text)


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
