"""How the reference is written: what of a class, a function or a value stands on a page, and its Markdown.

It knows no page; ``reference`` decides what stands on which.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

import agentpod_core

WIDTH = 100


def described(things: list[Any]) -> list[str]:
    """Give the whole of what stands on a page about each of these classes and functions."""
    return ["\n\n".join(_thing(thing)) for thing in things]


def _thing(thing: Any) -> Iterator[str]:
    yield f"### `{thing.__name__}`"
    if inspect.isfunction(thing):
        yield signature(thing)
        yield docstring(thing)
        return
    bases = [base.__name__ for base in thing.__bases__ if base.__name__ in agentpod_core.__all__]
    if bases:
        yield f"Extends {', '.join(code(base) for base in bases)}."
    yield docstring(thing)
    if issubclass(thing, enum.Enum):
        yield table_of(("Name", "Value"), [(code(one.name), code(str(one.value))) for one in thing])
    elif issubclass(thing, msgspec.Struct):
        if fields := msgspec.structs.fields(thing):
            kinds = annotations(thing)
            yield table_of(
                ("Field", "Type", "Default"),
                [(code(one.name), code(kinds[one.name]), code(default_of(one))) for one in fields],
            )
    else:
        if attributes := _attributes(thing):
            yield table_of(("Attribute", "Type", "Default"), attributes)
        if issubclass(thing, Exception) and "__init__" in vars(thing):
            yield signature(thing.__init__)
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
    yield signature(function)
    yield docstring(function)


def _attributes(thing: type) -> list[tuple[str, str, str]]:
    return [
        (
            code(name),
            code(re.sub(r"^ClassVar\[(.*)\]$", r"\1", kind)),
            code(shown(getattr(thing, name))) if hasattr(thing, name) else "*required*",
        )
        for name, kind in annotations(thing).items()
        if not name.startswith("_") and kind.startswith("ClassVar[")
    ]


def annotations(thing: type) -> dict[str, str]:
    """Give a class's annotations as they are written, its parents' first."""
    found: dict[str, str] = {}
    for one in reversed(thing.__mro__):
        found |= {name: kind for name, kind in vars(one).get("__annotations__", {}).items() if isinstance(kind, str)}
    return found


def signature(function: Any) -> str:
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


def docstring(thing: Any) -> str:
    """Make Markdown of a docstring: its sections become a list and a block."""
    text = inspect.getdoc(thing) or ""
    text = re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)
    text = re.sub(r"::\n\n((?: {4}.*(?:\n|$)|\n)+)", _block, text)
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


def _block(found: re.Match[str]) -> str:
    return f":\n\n```python\n{textwrap.dedent(found[1]).strip()}\n```\n\n"


def default_of(one: msgspec.structs.FieldInfo) -> str:
    """Give a field's default; nothing where it has none."""
    if one.default is not msgspec.NODEFAULT:
        return shown(one.default)
    return "" if one.default_factory is msgspec.NODEFAULT else shown(one.default_factory())


def shown(value: Any) -> str:
    """Write a value as one would in code, without the modules that it comes from."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if inspect.isclass(value) or inspect.isfunction(value):
        return str(value.__name__)
    if " object at 0x" in repr(value):
        return f"{type(value).__name__}()"
    if isinstance(value, msgspec.Struct):
        given = ((one.name, getattr(value, one.name), one.default) for one in msgspec.structs.fields(value))
        told = ", ".join(f"{name}={shown(one)}" for name, one, default in given if one != default)
        return f"{type(value).__name__}({told})"
    written = str(value) if "agentpod_core." in repr(value) else repr(value)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", written)


def plain(text: str) -> str:
    """Keep a text from being read as Markdown."""
    return re.sub(r"([*_<>\[\]|])", r"\\\1", text)


def code(text: str) -> str:
    """Mark a text as code, also in a table."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def table_of(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Write a table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
