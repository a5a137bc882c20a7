"""What a workload may tell the HTTP probe, and how that is read. It asks nobody anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import FieldInfo

from agentpod_core import ConfigError, Problem

Path = Annotated[str, Meta(pattern="^/", description="A path on the agent, from the root on.")]


class WebSocketSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A WebSocket that has to open; ``expect`` is a text that its first message has to hold."""

    path: Path
    port: str | None = None
    expect: str | None = None


class HttpSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the agent has to answer in order to be ready.

    ``port`` names a port of the workload, by default the routed one. ``json`` is a part of the
    JSON answer: what it names must be there and equal, anything else may be there too.
    """

    path: Path
    port: str | None = None
    expect_status: Annotated[int, Meta(ge=100, le=599)] = 200
    json: dict[str, Any] | None = None
    websocket: WebSocketSettings | None = None


T = TypeVar("T", bound=Struct)

_GIVEN: Final = re.compile(r" - at `.*$")


def read(settings: Mapping[str, Any]) -> HttpSettings:
    """Read a workload's settings.

    Raises:
        ConfigError: with everything that is wrong with them.
    """
    found: list[Problem] = []
    values = dict(settings)
    if isinstance(values.get("websocket"), Mapping):
        values["websocket"] = _read(WebSocketSettings, values["websocket"], "$.websocket", found)
    read = _read(HttpSettings, values, "$", found)
    if read is None or found:
        raise ConfigError(found)
    return read


def _read(kind: type[T], values: Mapping[str, Any], place: str, found: list[Problem]) -> T | None:
    """Read field by field, so that one mistake does not hide the next."""
    before = len(found)
    fields = _fields(kind)
    for name in values.keys() - fields.keys():
        params = {"field": name, "nearest": list(fields)}
        found.append(Problem(path=f"{place}.{name}", reason="UnknownField", params=params, message="unknown field"))
    for name, field in fields.items():
        if name in values:
            _check(values[name], field.type, f"{place}.{name}", found)
        elif field.default is NODEFAULT and field.default_factory is NODEFAULT:
            params = {"field": name}
            found.append(Problem(path=f"{place}.{name}", reason="MissingField", params=params, message="required"))
    return msgspec.convert(values, kind) if len(found) == before else None


@cache
def _fields(kind: type[Struct]) -> dict[str, FieldInfo]:
    # Looking them up takes twenty times as long as reading the settings, and they are read for every probe.
    return {field.name: field for field in msgspec.structs.fields(kind)}


def _check(value: Any, wanted: Any, place: str, found: list[Problem]) -> None:
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        message = _GIVEN.sub("", str(error))
        found.append(Problem(path=place, reason="NotAccepted", params={"message": message}, message=message))
