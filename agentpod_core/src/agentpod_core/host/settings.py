"""Reads the settings of one offer: texts and values of a mapping as what its type asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, Struct

from agentpod_core import catalogue
from agentpod_core.errors import ConfigError, Problem

SettingsSource = Callable[[str, str], Mapping[str, Any]]
"""Gives the raw settings of an offer by its kind and name, for example ``("runtime", "docker")``."""

_ABSENT: Final = object()


def read_settings(settings_type: type[Struct], raw: Mapping[str, Any]) -> Any:
    """Make the settings; a text may stand for a number, a boolean or, as JSON, for anything.

    Raises:
        ConfigError: with every field that is wrong; no problem repeats a value.
    """
    known = {field.encode_name: field for field in msgspec.structs.fields(settings_type)}
    problems = [
        _problem(name, "UnknownField", field=name, nearest=list(known))
        for name in raw
        if name not in known and settings_type.__struct_config__.forbid_unknown_fields
    ]
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name not in raw:
            if field.default is NODEFAULT and field.default_factory is NODEFAULT:
                problems.append(_problem(name, "MissingField", field=name))
            continue
        value = _convert(raw[name], field.type)
        if value is _ABSENT:
            problems.append(_problem(name, "InvalidField"))
        else:
            values[field.name] = value
    if problems:
        raise ConfigError(problems)
    try:
        return msgspec.convert(settings_type(**values), settings_type)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        message = str(error)
        raise ConfigError(
            [Problem(path="$", reason="NotAccepted", params={"message": message}, message=message)]
        ) from None


def _convert(value: Any, wanted: Any) -> Any:
    candidates = [value]
    if isinstance(value, str):
        with contextlib.suppress(msgspec.DecodeError):
            candidates.append(msgspec.json.decode(value))
    for candidate in candidates:
        try:
            return msgspec.convert(candidate, wanted, strict=False)
        except msgspec.ValidationError:
            continue
    return _ABSENT


def _problem(name: str, reason: str, **params: Any) -> Problem:
    return Problem(path=f"$.{name}", reason=reason, params=params, message=catalogue.text(reason, params))
