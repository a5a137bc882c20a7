"""The keys that wrap data keys, told apart by an id. They lie outside the database, in the state folder."""

from __future__ import annotations

import hashlib

from msgspec import Struct


class Key(Struct, frozen=True):
    """32 random bytes. The id says which key it is and nothing about its value; the repr shows the id only."""

    value: bytes

    @property
    def id(self) -> str:
        """The first 8 hex digits of the key's SHA-256."""
        return hashlib.sha256(self.value).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"Key(id={self.id!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("id", self.id)]


class KeyRing(Struct, frozen=True):
    """The keys at hand: the first wraps what is new, the others still open what they wrapped."""

    keys: tuple[Key, ...]

    @classmethod
    def of(cls, *values: bytes) -> KeyRing:
        """Make a ring of keys; at least one."""
        return cls(tuple(Key(value) for value in values))

    @property
    def current(self) -> Key:
        """The key that wraps what is new."""
        return self.keys[0]

    def find(self, key_id: str) -> Key | None:
        """Give the key of that id; None when it is not at hand."""
        return next((key for key in self.keys if key.id == key_id), None)
