"""Writes the pages of docs/reference that are made from the code: plug points, embedding, settings, reasons.

``python scripts/reference.py`` writes them all; a test fails while one is stale. What a page says is said in the
docstrings, and once; ``reference_parts`` makes Markdown of them. The command line's own page is made by
``python -m agentpod_cli.reference``.
"""

from __future__ import annotations

import enum
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import msgspec
from prometheus_client.metrics_core import Metric
from reference_parts import annotations, code, default_of, described, docstring, plain, shown, signature, table_of

import agentpod_core
from agentpod_cli.exits import Exit
from agentpod_core import catalogue, embedding, testing
from agentpod_core.host import GROUP, KINDS
from agentpod_core.plugpoints import hooks
from agentpod_server import census, settings
from agentpod_server.store import counting
from agentpod_server.telemetry import ServerTelemetry

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
HEAD = "# {title}\n\n<!-- Made by `python scripts/reference.py`; a test fails when it is stale. -->\n\n{text}\n"
CLIENT = {
    "AGENTPOD_SERVER": "Address of the server that the command line talks to.",
    "AGENTPOD_TOKEN": "API token to show to that server.",
    "AGENTPOD_CA": "File of the certificate authority that vouches for the server.",
    "AGENTPOD_CONTEXT": "Name of the saved login to use.",
    "AGENTPOD_LANG": "Language of the command line: `en` or `zh-CN`; else the locale decides.",
    "AGENTPOD_DEBUG": "Any text: an unexpected error is shown whole.",
}
"""What the command line reads from the environment, and the server leaves alone."""
TESTING = (
    "A contract is imported from `agentpod_core.testing`, which needs the extra `testing`: "
    "`pip install 'agentpod-core[testing]'`."
)


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
    return _page(
        "Plug points",
        "All that a plugin implements and works with. Everything here is imported from `agentpod_core`, and nothing "
        "else is. Where a class says *required*, an implementation must define it; the rest has a default. "
        "[Your first adapter](../tutorial/first-adapter.md) shows how it comes together. Whether an implementation "
        "does what AgentPod relies on is tested by its [contract](#contracts).",
        ("Hooks", _hooks()),
        ("What a hook offers", described(points)),
        ("What all of them share but adapters", described(shared)),
        ("The line to an agent", described(lines)),
        ("Contracts", [f"{docstring(testing)}\n\n{TESTING}", *_contracts(points)]),
        ("Values", described(values)),
        ("Choices", described(enums)),
        ("Errors", described(errors)),
        ("Functions", described(functions)),
        ("Constants and aliases", _constants(agentpod_core)),
    )


def embedding_page() -> str:
    """Give the page about all that an application works with that embeds the engine."""
    things = [getattr(embedding, name) for name in embedding.__all__]
    return _page(
        "Embedding the engine",
        "What an application uses that has its own idea of a server: `agentpod_core.embedding`. It is provisional: it "
        "may change in any minor version. [`examples/core_alone.py`](../../examples/core_alone.py) is a whole "
        "program; plug points and values are [a page of their own](plug-points.md). A store of your own passes "
        "[its contract](#contract).",
        ("Classes", described([thing for thing in things if inspect.isclass(thing)])),
        ("Functions", described([thing for thing in things if inspect.isfunction(thing)])),
        ("Constants and aliases", _constants(embedding)),
        ("Contract", _contracts([embedding.Store])),
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
                table_of(
                    ("Variable", "Line", "Default", "Meaning"),
                    [(code(row.variable), code(row.key), code(row.default), plain(row.description)) for row in rows],
                )
            ],
        ),
        ("Plugins", _plugin_settings()),
        (
            "The command line",
            [table_of(("Variable", "Meaning"), [(code(name), text) for name, text in sorted(CLIENT.items())])],
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
        ("Exit codes of the command line", [table_of(("Code", "Meaning"), codes)]),
        ("Errors", _entries(entries, lambda one: one.status is not None)),
        ("What conditions and events say", _entries(entries, lambda one: one.status is None)),
    )


def metrics() -> str:
    """Give the page about everything that /metrics shows."""
    telemetry = ServerTelemetry()
    # A metric shows its labels once it has counted something.
    with telemetry.span("act", action="StartContainer", why=""):
        telemetry.acted("StartContainer", 0.0, "ok")
    telemetry.reconciled("pod:", 0.0, "ok")
    telemetry.probed("", 0.0, "", ready=True)
    telemetry.answered("GET", "", 200, 0.0)
    told = list(telemetry.registry.collect())
    rows = [
        (code(_series(family)), family.type, plain(family.documentation))
        for family in [*told, *census.families(census.Standing(), counting.Counted())]
    ]
    own = [row for row in rows if row[0].startswith("`agentpod")]
    rest = [row for row in rows if row not in own]
    head = ("Metric", "Kind", "Meaning")
    return _page(
        "Metrics",
        "What `GET /metrics` shows, in the Prometheus text format. Times are in seconds. A server tells of itself; "
        "what is said to be of the platform is the same at each of several servers: take the `max` of it, no sum. "
        "Labels have few values: kinds, reasons, phases, never the id or name of a pod or tenant. "
        "[Monitoring](../howto/monitoring.md) says what to do with them.",
        ("AgentPod", [table_of(head, own)]),
        ("The process", [table_of(head, rest)]),
    )


def _series(family: Metric) -> str:
    labels = sorted({name for sample in family.samples for name in sample.labels if name not in {"le", "generation"}})
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    return f"{family.name}{suffix}" + (f"{{{', '.join(labels)}}}" if labels else "")


PAGES: dict[str, Callable[[], str]] = {
    "plug-points.md": plug_points,
    "embedding.md": embedding_page,
    "settings.md": settings_page,
    "reasons.md": reasons,
    "metrics.md": metrics,
}


def _page(title: str, text: str, *sections: tuple[str, list[str]]) -> str:
    parts = [HEAD.format(title=title, text=_wrapped(text))]
    for name, body in sections:
        if body:
            parts += [f"## {name}\n", *(f"{one.rstrip()}\n" for one in body)]
    return "\n".join(parts)


def _hooks() -> list[str]:
    found = [thing for name, thing in vars(hooks).items() if name.startswith("agentpod_") and callable(thing)]
    return [f"### `{hook.__name__}`\n\n{signature(hook)}\n\n{docstring(hook)}" for hook in found]


def _contracts(points: list[type]) -> list[str]:
    names = [f"{point.__name__}Contract" for point in points]
    return [f"### `{name}`\n\n{docstring(getattr(testing, name))}" for name in names]


def _constants(module: ModuleType) -> list[str]:
    """Give what is neither a class nor a function."""
    things = {name: getattr(module, name) for name in module.__all__}
    others = {name: one for name, one in things.items() if not inspect.isclass(one) and not inspect.isfunction(one)}
    return [table_of(("Name", "Is"), [(code(name), code(shown(one))) for name, one in others.items()])]


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
        kinds = annotations(thing.settings_type)
        schema = msgspec.json.schema_components([thing.settings_type])[1][thing.settings_type.__name__]["properties"]
        rows = [
            (
                code(f"{prefix}{one.name.upper()}"),
                code(_unmarked(kinds[one.name])),
                code(default_of(one)),
                plain(schema[one.name].get("description", "")),
            )
            for one in fields
        ]
        table = table_of(("Variable", "Type", "Default", "Meaning"), rows)
        said.append(f"### {thing.title}: `[plugins.{kind}.{name}]`\n\n{docstring(thing.settings_type)}\n\n{table}")
    return said


def _unmarked(kind: str) -> str:
    """Give a type as it is written, without what ``Annotated`` adds."""
    return re.sub(r"^Annotated\[\s*([^,]+),.*$", r"\1", kind, flags=re.DOTALL)


def _entries(entries: list[catalogue.Entry], belongs: Callable[[catalogue.Entry], bool]) -> list[str]:
    said = []
    for one in entries:
        if belongs(one):
            answer = f" HTTP status {one.status}, exit code {one.exit}." if one.status else ""
            todo = f"\n\nTo do: {plain(one.repair)}" if one.repair else ""
            said.append(f"### {one.reason}\n\n**{plain(one.title)}.**{answer} {plain(one.text)}{todo}")
    return said


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
