"""Every setting of the server: ``AGENTPOD_*`` variables over lines of ``<state>/agentpod.toml``, over defaults.

All that is wrong is reported at once, each with the variable or the ``file:key`` it came from. Settings of
plugins are passed on as they are; whoever opens the plugin decodes them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from agentpod_core.errors import ConfigError, Problem
from agentpod_core.host import LOAD_SECONDS, STALL_SECONDS
from agentpod_server.settings_checks import complaint, decoding_complaint

FILE = "agentpod.toml"
PREFIX = "AGENTPOD_"
PLUGIN_KINDS = ("runtime", "router", "secret_store", "probe", "notifier")
"""The kinds of plug point that have settings: ``AGENTPOD_<KIND>_<NAME>_<FIELD>`` or ``[plugins.<kind>.<name>]``."""

RESERVED = frozenset(f"AGENTPOD_{name}" for name in ("SERVER", "TOKEN", "CA", "CONTEXT", "LANG", "DEBUG"))
"""Variables that belong to the command line client and mean nothing here."""

_REACHABLE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here

Port = Annotated[int, Meta(ge=0, le=65535)]


class Settings(Struct, frozen=True, kw_only=True):
    """What the operator chose. Each field's ``Meta`` description is its documentation.

    ``plugins`` maps kind and name to settings from the file, ``plugin_variables`` a kind to what
    followed ``AGENTPOD_<KIND>_`` in the environment; ask ``plugin_settings`` instead of either.
    """

    state_dir: Annotated[
        Path,
        Meta(
            description="Folder of everything that outlives a restart. Only as a variable. Default: "
            "/var/lib/agentpod for root, else $XDG_STATE_HOME/agentpod."
        ),
    ]
    name: Annotated[
        str, Meta(description="Name of this server, where several share one state folder; one of them needs none.")
    ] = ""
    listen: Annotated[str, Meta(description="Address that API and dashboard listen on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port of API and dashboard; 0 takes any free one.")] = 8700
    metrics_port: Annotated[
        Port | None,
        Meta(
            description="Port of 127.0.0.1 at which `agentpod controller`, which has no API, shows its /metrics; 0 "
            "takes any free one. Without it they are shown nowhere. Other servers show them at their port."
        ),
    ] = None
    domain: Annotated[
        str, Meta(description="Domain below which pods and the dashboard (agentpod.<domain>) get their names.")
    ] = "localhost"
    database_url: Annotated[
        str | None,
        Meta(description="A PostgreSQL 15 or newer to use, as postgresql:// URL; without it an embedded one runs."),
    ] = None
    database_port: Annotated[
        Port, Meta(description="Loopback port of the embedded PostgreSQL; 0 takes a free one and keeps to it.")
    ] = 0
    network_range: Annotated[
        str, Meta(description="IPv4 range from which every tenant's network gets a piece of 64 addresses.")
    ] = "10.213.0.0/16"
    runtime: Annotated[str, Meta(description="Name of the runtime plugin that runs containers.")] = "docker"
    router: Annotated[str, Meta(description="Name of the router plugin that serves public addresses.")] = "traefik"
    secret_store: Annotated[  # the reference of an existing secret names its own
        str, Meta(description="Name of the secret store that keeps new secrets.")
    ] = "postgres"  # noqa: S105 - a name
    disabled_plugins: Annotated[
        tuple[str, ...], Meta(description="Plugins that are not to be loaded, by entry point name; comma separated.")
    ] = ()
    plugin_load_timeout: Annotated[
        float, Meta(gt=0, description="Seconds that a plugin may take to be imported; then it is left out.")
    ] = LOAD_SECONDS
    plugin_stall_timeout: Annotated[
        float, Meta(gt=0, description="Seconds for which a plugin's code may hold up others; then it is interrupted.")
    ] = STALL_SECONDS
    resync_interval: Annotated[
        float, Meta(gt=0, description="Seconds between two looks at everything, whatever else happens.")
    ] = 30.0
    time_scale: Annotated[
        float, Meta(gt=0, le=100, description="Factor on all of the engine's own timings; below 1 for tests.")
    ] = 1.0
    event_retention_days: Annotated[int, Meta(ge=1, le=3650, description="Days for which events are kept.")] = 90
    events_per_pod: Annotated[
        int, Meta(ge=100, description="How many events of one pod are kept at most, the newest ones.")
    ] = 5000
    notify_private_addresses: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses that webhooks may be sent to though they are not public: addresses, networks and "
            "names of hosts; comma separated. Pods are never among them."
        ),
    ] = ()
    disk_alert_percent: Annotated[
        int, Meta(ge=10, le=100, description="From how many percent on a disk that AgentPod needs is nearly full.")
    ] = 90
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least severity that is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], Meta(description="How a line of the log looks: for people, or one JSON object.")
    ] = "text"
    language: Annotated[
        Literal["en", "zh-CN"], Meta(description="Language of texts where the reader asks for none.")
    ] = "en"
    plugins: dict[str, dict[str, dict[str, Any]]] = {}
    plugin_variables: dict[str, dict[str, str]] = {}

    def plugin_settings(self, kind: str, name: str) -> dict[str, Any]:
        """Give a plugin's own settings, the environment's over the file's, fields in lower case.

        Values from the environment are text; the host makes numbers, booleans and JSON of them as the
        plugin's type asks. ``__`` in a variable reaches into a nested table.
        """
        kind = kind.replace("-", "_")
        merged = _copy(self.plugins.get(kind, {}).get(name, {}))
        for rest, text in self.plugin_variables.get(kind, {}).items():
            if field := _field(rest, name):
                *tables, last = field.lower().split("__")
                place = merged
                for table in tables:
                    place = place.setdefault(table, {})
                place[last] = text
        return merged

    def unclaimed(self, offered: Mapping[str, Iterable[str]]) -> list[Problem]:
        """List plugin settings that none of the ``offered`` plugins (names by kind) can have asked for."""
        names = {kind.replace("-", "_"): list(some) for kind, some in offered.items()}
        problems = [
            _unknown(f"{self.state_dir / FILE}:plugins.{kind}.{name}", name, names.get(kind, ()))
            for kind, tables in self.plugins.items()
            for name in tables
            if name not in names.get(kind, ())
        ]
        problems += [
            _unknown(f"{PREFIX}{kind.upper()}_{rest}", rest.lower(), names.get(kind, ()))
            for kind, variables in self.plugin_variables.items()
            for rest in variables
            if not any(_field(rest, name) for name in names.get(kind, ()))
        ]
        return problems

    @property
    def base_url(self) -> str:
        """Where a client on this machine finds the server."""
        host = _REACHABLE.get(self.listen, self.listen)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def __repr__(self) -> str:
        return f"Settings(state_dir={str(self.state_dir)!r}, domain={self.domain!r}, port={self.port})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("state_dir", self.state_dir), ("domain", self.domain), ("port", self.port)]


class SettingRow(Struct, frozen=True, kw_only=True):
    """One line of the settings reference; ``key`` is empty for what only the environment can set."""

    variable: str
    key: str
    default: str
    description: str


def load(environ: Mapping[str, str] | None = None, *, root: bool | None = None) -> Settings:
    """Read the settings of this machine; ``root`` is whether to take root's default state folder.

    Raises:
        ConfigError: with every problem of the environment and the file (``InvalidServerSettings``).
    """
    variables = {key: text for key, text in (os.environ if environ is None else environ).items() if text}
    folder = _state_dir(variables, root=os.geteuid() == 0 if root is None else root)
    problems: list[Problem] = []
    if not folder.is_absolute():
        problems.append(_invalid("AGENTPOD_STATE_DIR", "must be an absolute path"))
    path = folder / FILE
    values: dict[str, Any] = {"state_dir": folder}
    for key, raw in _read(path, problems).items():
        if key == "plugins":
            values["plugins"] = _plugin_tables(raw, f"{path}:plugins", problems)
        else:
            _take(values, key, raw, f"{path}:{key}", problems)
    plugin_variables: dict[str, dict[str, str]] = {}
    for variable, text in variables.items():
        if not variable.startswith(PREFIX) or variable in RESERVED or variable == "AGENTPOD_STATE_DIR":
            continue
        key = variable.removeprefix(PREFIX).lower()
        kind = next((one for one in PLUGIN_KINDS if key.startswith(f"{one}_")), None)
        if kind and key not in _TYPES:
            plugin_variables.setdefault(kind, {})[key.removeprefix(f"{kind}_").upper()] = text
        else:
            _take(values, key, text, variable, problems)
    if problems:
        raise ConfigError(problems, "InvalidServerSettings")
    return Settings(**values, plugin_variables=plugin_variables)


def table() -> list[SettingRow]:
    """List every setting, for the reference."""
    rows = []
    for one in msgspec.structs.fields(Settings):
        if one.name in _OWN_SHAPE:
            continue
        only_variable = one.name == "state_dir"
        default = "" if only_variable or one.default in (None, ()) else str(one.default)
        rows.append(
            SettingRow(
                variable=f"{PREFIX}{one.name.upper()}",
                key="" if only_variable else one.name,
                default=default,
                description=_description(one.type),
            )
        )
    return rows


_OWN_SHAPE = ("plugins", "plugin_variables")
_LISTS = ("disabled_plugins", "notify_private_addresses")
_TYPES = {one.name: one.type for one in msgspec.structs.fields(Settings) if one.name not in ("state_dir", *_OWN_SHAPE)}


def _state_dir(variables: Mapping[str, str], *, root: bool) -> Path:
    if given := variables.get("AGENTPOD_STATE_DIR"):
        return Path(given)
    if root:
        return Path("/var/lib/agentpod")
    home = variables.get("XDG_STATE_HOME") or Path(variables.get("HOME") or Path.home()) / ".local" / "state"
    return Path(home) / "agentpod"


def _read(path: Path, problems: list[Problem]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except tomllib.TOMLDecodeError as error:
        problems.append(_invalid(str(path), f"is no TOML: {error}"))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(_invalid(str(path), f"cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"))
    return {}


def _take(values: dict[str, Any], key: str, raw: object, path: str, problems: list[Problem]) -> None:
    """Decode one value into ``values``; a variable's text loosely, a value from the file strictly."""
    if key not in _TYPES:
        if key == "state_dir":
            problems.append(_invalid(path, "can only be set by the variable AGENTPOD_STATE_DIR"))
        else:
            problems.append(_unknown(path, key, [*_TYPES, *([] if path.startswith(PREFIX) else ["plugins"])]))
        return
    from_variable = path == f"{PREFIX}{key.upper()}"
    if from_variable and key in _LISTS:
        raw = [name.strip() for name in str(raw).split(",") if name.strip()]
    try:
        value = msgspec.convert(raw, _TYPES[key], strict=not from_variable)
    except msgspec.ValidationError as error:
        problems.append(_invalid(path, decoding_complaint(str(error))))
        return
    if problem := complaint(key, value):
        problems.append(_invalid(path, problem))
        return
    values[key] = value


def _plugin_tables(raw: Any, path: str, problems: list[Problem]) -> dict[str, dict[str, dict[str, Any]]]:
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    if not isinstance(raw, dict):
        problems.append(_invalid(path, "must be tables, such as [plugins.router.traefik]"))
        return tables
    for kind, names in raw.items():
        if kind.replace("-", "_") not in PLUGIN_KINDS:
            problems.append(_unknown(f"{path}.{kind}", kind, PLUGIN_KINDS))
        elif not isinstance(names, dict) or not all(isinstance(one, dict) for one in names.values()):
            problems.append(_invalid(f"{path}.{kind}", f"must be tables by plugin name, such as [plugins.{kind}.NAME]"))
        else:
            tables[kind.replace("-", "_")] = names
    return tables


def _invalid(path: str, message: str) -> Problem:
    return Problem(path=path, message=message, reason="InvalidSetting", params={"problem": message})


def _unknown(path: str, name: str, known: Iterable[str]) -> Problem:
    """Report a name that nothing reads, with the known one that it probably was meant to be."""
    near = get_close_matches(name, list(known), n=1)
    instead = ""
    if near:
        instead = path[: len(path) - len(name)] + (near[0].upper() if path.startswith(PREFIX) else near[0])
    message = f"is no setting; did you mean {instead}?" if instead else "is no setting"
    return Problem(path=path, message=message, reason="UnknownSetting", params={"suggestion": instead})


def _field(rest: str, name: str) -> str:
    """Give the field part of a variable of the plugin ``name``; empty when it belongs to another plugin."""
    prefix = name.replace("-", "_").upper() + "_"
    return rest.removeprefix(prefix) if rest.startswith(prefix) else ""


def _copy(tables: dict[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, dict) else value for key, value in tables.items()}


def _description(annotation: Any) -> str:
    schema = msgspec.json.schema(annotation, schema_hook=lambda _: {"type": "string"})
    return str(schema["description"])
