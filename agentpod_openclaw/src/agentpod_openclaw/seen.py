"""Reads JSON that somebody else wrote, without trusting its shape."""

from __future__ import annotations

import json
from typing import Any


class Seen:
    """A value as far as it is an object; every question about anything else is answered with nothing."""

    def __init__(self, value: Any) -> None:
        self._value: dict[str, Any] = value if isinstance(value, dict) else {}

    @classmethod
    def of(cls, text: bytes | str) -> Seen:
        """Read text; one that is no JSON object is an empty object."""
        try:
            return cls(json.loads(text))
        except ValueError:
            return cls(None)

    def at(self, key: str) -> Seen:
        """Give the object below a key; an empty one where there is none."""
        return Seen(self._value.get(key))

    def get(self, key: str, kind: type[Any]) -> Any:
        """Give the value below a key if it is of that kind, else None."""
        value = self._value.get(key)
        return value if type(value) is kind else None

    def items(self) -> list[tuple[str, Seen]]:
        """Give what is below, as objects."""
        return [(key, Seen(value)) for key, value in self._value.items()]
