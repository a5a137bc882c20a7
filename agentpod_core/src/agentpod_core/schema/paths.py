"""How places inside a value are written: dotted for people who type, JSONPath in problems.

A dotted path names a field by its keys and positions (``channels.0.token``); a dot or a backslash
inside a key has a backslash before it. A JSONPath starts at the document's root (``$.channels[0].token``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

Key = str | int
ANY: Final = "*"
"""Stands for any position or key in the path of a field."""

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PART: Final = re.compile(r"((?:[^.\\]|\\.?)*)(\.|\Z)")
_ESCAPED: Final = re.compile(r"\\([.\\])")


def split(dotted: str) -> tuple[str, ...]:
    """Take a dotted path apart; the empty path is the whole value."""
    if not dotted:
        return ()
    parts: list[str] = []
    at = 0
    while (match := _PART.match(dotted, at)) is not None:
        parts.append(_ESCAPED.sub(r"\1", match[1]))
        at = match.end()
        if not match[2]:
            break
    return tuple(parts)


def keys(dotted: str) -> tuple[Key, ...]:
    """Take a dotted path apart, reading numbers as positions."""
    return tuple(int(part) if part.isdecimal() and part.isascii() else part for part in split(dotted))


def join(parts: Iterable[Key]) -> str:
    """Write keys and positions as a dotted path."""
    return ".".join(str(key).replace("\\", "\\\\").replace(".", "\\.") for key in parts)


def jsonpath(parts: Iterable[Key]) -> str:
    """Write keys and positions as a JSONPath."""
    return "$" + "".join(_step(key) for key in parts)


def _step(key: Key) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    if _PLAIN.fullmatch(key):
        return f".{key}"
    quoted = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{quoted}']"
