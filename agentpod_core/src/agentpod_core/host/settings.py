"""Reads the settings of one offer: texts and values of a mapping as what its type asks for."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, Struct

from agentpod_core import catalogue
from agentpod_core.errors import ConfigError, Problem

SettingsSource = Callable[[str, str], Mapping[str, Any]]
"""Gives the raw settings of an offer by its kind and name, for example ``("runtime", "docker")``."""

_ABSENT: Final = object()
_SECRET: Final = re.compile(
    r"(passw|passphrase|secret|token|credential|private|auth(?!or(?!iz))|(^|_)(api)?key$)"
    # Where a secret is kept, and in which way, is none.
    r"(?!.*_(store|file|path|dir|sock|type|method)$)",
    re.IGNORECASE,
)
_USER_INFO: Final = re.compile(r"://[^/@:\s]*:([^/@\s]+)@")


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


def secrets_in(settings: Any, name: str = "") -> Iterator[str]:
    """Give the values that are secret by the name of their field, and passwords in addresses."""
    match settings:
        case str():
            yield from _USER_INFO.findall(settings)
            if _SECRET.search(name):
                yield settings
        case Struct():
            for field in msgspec.structs.fields(settings):
                yield from secrets_in(getattr(settings, field.name), field.name)
        case Mapping():
            for key, value in settings.items():
                # In a table below a secret name, all is secret.
                yield from secrets_in(value, name if _SECRET.search(name) else str(key))
        case list() | tuple() | set() | frozenset():
            for value in settings:
                yield from secrets_in(value, name)
        case _:
            return


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
