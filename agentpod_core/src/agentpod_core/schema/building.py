"""Makes a config object of a value that was checked and holds references in place of secrets."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from agentpod_core.errors import ConfigError, Problem
from agentpod_core.schema.checking import problems
from agentpod_core.schema.publish import json_schema

T = TypeVar("T", bound=Struct)

_PLACE: Final = " - at `"


def build(config_type: type[T], value: Any) -> T:
    """Make the config; a place that the published schema calls a secret text takes a SecretRef (or its JSON form).

    Raises:
        ConfigError: the value is not of that type, with every problem that can be told.
    """
    try:
        return msgspec.convert(value, config_type, str_keys=True)
    except msgspec.ValidationError as error:
        raise ConfigError(problems(json_schema(config_type), value) or [_translated(error)]) from None


def _translated(error: msgspec.ValidationError) -> Problem:
    """Keep what the type's own check said (``__post_init__``); the schema finds all the rest."""
    message, _, place = str(error).partition(_PLACE)
    path = place.rstrip("`") or "$"
    return Problem(path=path, reason="NotAccepted", params={"message": message}, message=message)
