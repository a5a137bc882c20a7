"""Takes the secrets that the platform holds out of texts that plugins may have had a hand in.

It replaces values as they are, as ``repr`` and JSON escape them and as URLs quote them. It cannot know a value
that a plugin cut up or encoded otherwise, and leaves values of fewer than ``SHORTEST`` characters alone: to
replace those would garble every text.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

SHORTEST: Final = 6
MASK: Final = "***"
_MOST: Final = 50_000
_LINE: Final = 16
_TEXT_LIMIT: Final = 500
_READ_LIMIT: Final = 16_384
"""Characters of a text that is cut anyway: to clean one of many megabytes would hold up everybody."""
_DEPTH: Final = 6


class Redactor:
    """Knows secrets by their last characters (many begin alike), so that a text is read once however many there are."""

    def __init__(self) -> None:
        self._ends: dict[str, tuple[str, ...]] = {}
        self._known: dict[str, None] = {}
        self._lock = threading.Lock()

    def learn(self, value: str) -> None:
        """Take note of a secret; the ones learnt first are forgotten when there are very many."""
        if len(value) < SHORTEST or value in self._known:
            return
        with self._lock:
            self._known[value] = None
            for form in _forms(value):
                # A new tuple each time: whoever reads a text meanwhile has the old one.
                self._ends[form[-SHORTEST:]] = (*self._ends.get(form[-SHORTEST:], ()), form)
            if len(self._known) > _MOST:
                self._forget(next(iter(self._known)))

    def clean(self, text: str) -> str:
        """Give the text with a mask in place of every secret in it."""
        ends = self._ends
        if not ends:
            return text
        spans = [
            (end - len(form), end)
            for end in range(SHORTEST, len(text) + 1)
            for form in ends.get(text[end - SHORTEST : end], ())
            if text.endswith(form, 0, end)
        ]
        return _masked(text, sorted(spans)) if spans else text

    def cleaned(self, value: Any, depth: int = _DEPTH) -> Any:
        """Give a value fit to be stored and shown: plain data, no secret, no text without end."""
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                # No database keeps a null character, or half of a surrogate pair.
                whole = value[:_READ_LIMIT].replace("\0", "").encode(errors="replace").decode()
                return self.clean(whole)[:_TEXT_LIMIT]
            case Mapping() if depth:
                return {self.cleaned(str(key)): self.cleaned(item, depth - 1) for key, item in value.items()}
            case list() | tuple() | set() | frozenset() if depth:
                return [self.cleaned(item, depth - 1) for item in value]
            case _:
                return type(value).__name__

    def _forget(self, value: str) -> None:
        del self._known[value]
        for form in _forms(value):
            self._ends[form[-SHORTEST:]] = tuple(one for one in self._ends.get(form[-SHORTEST:], ()) if one != form)


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    """Mask spans, which are sorted; those that overlap become one."""
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        if start >= done:
            pieces += (text[done:start], MASK)
        done = max(done, end)
    return "".join((*pieces, text[done:]))


def _forms(value: str) -> Iterator[str]:
    """Give the ways in which a value may be written down."""
    found = {value, repr(value)[1:-1], json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    found.add(quote(value, safe=""))
    # What prints a key of many lines often prints them one by one. Its frame says nothing.
    found.update(line for line in value.splitlines() if len(line) >= _LINE and not line.startswith("-----"))
    return (form for form in found if len(form) >= SHORTEST)
