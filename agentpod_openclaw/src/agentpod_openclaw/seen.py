"""Reads JSON that somebody else wrote, without trusting its shape."""

from __future__ import annotations

import json
from typing import TypeVar

Kind = TypeVar("Kind")


class Seen:
    """A value as far as it is an object; every question about anything else is answered with nothing."""

    def __init__(self, value: object) -> None:
        self._value: dict[str, object] = value if isinstance(value, dict) else {}

    @classmethod
    def of(cls, text: bytes | str) -> Seen:
        """Read text; one that is no JSON object is an empty object."""
        try:
            return cls(json.loads(text))
        except (ValueError, RecursionError):
            return cls(None)

    def at(self, key: str) -> Seen:
        """Give the object below a key; an empty one where there is none."""
        return Seen(self._value.get(key))

    def get(self, key: str, kind: type[Kind]) -> Kind | None:
        """Give the value below a key if it is of that very kind, else None."""
        value = self._value.get(key)
        return value if type(value) is kind else None

    def each(self, key: str) -> list[Seen]:
        """Give what a list below a key holds, as objects."""
        return [Seen(value) for value in self.get(key, list) or ()]

    def items(self) -> list[tuple[str, Seen]]:
        """Give what is below, as objects."""
        return [(key, Seen(value)) for key, value in self._value.items()]
