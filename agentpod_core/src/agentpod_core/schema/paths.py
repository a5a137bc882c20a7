"""How places inside a value are written: dotted for people who type, JSONPath in problems.

A dotted path names a field by its keys and positions (``channels.0.token``); a dot inside a key is
written ``\\.``. A JSONPath starts at the document's root (``$.channels[0].token``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

Key = str | int
ANY: Final = "*"
"""Stands for any position or key in the path of a field."""

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SEPARATOR: Final = re.compile(r"(?<!\\)\.")


def split(dotted: str) -> tuple[str, ...]:
    """Take a dotted path apart; the empty path is the whole value."""
    return tuple(part.replace("\\.", ".") for part in _SEPARATOR.split(dotted)) if dotted else ()


def join(keys: Iterable[Key]) -> str:
    """Write keys and positions as a dotted path."""
    return ".".join(str(key).replace(".", "\\.") for key in keys)


def jsonpath(keys: Iterable[Key]) -> str:
    """Write keys and positions as a JSONPath."""
    return "$" + "".join(_step(key) for key in keys)


def _step(key: Key) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    if _PLAIN.fullmatch(key):
        return f".{key}"
    quoted = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{quoted}']"
