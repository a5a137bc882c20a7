"""Keeps the secrets that the platform holds out of this process's own output, whoever writes it: log, print, traceback.

What a child process or a library writes past Python's streams is not seen here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, BinaryIO, TextIO, cast

from agentpod_core.host import Redactor


def keep_clean(redactor: Redactor) -> None:
    """Take the secrets that ``redactor`` knows out of stdout and stderr from now on."""
    sys.stdout = cast("TextIO", _CleanText(sys.stdout, redactor))
    sys.stderr = cast("TextIO", _CleanText(sys.stderr, redactor))


class _CleanText:
    """A text stream that cleans what is written to it; all else is the stream's own."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor

    @property
    def buffer(self) -> _CleanBytes:
        """The stream of bytes below, cleaned too."""
        return _CleanBytes(self._stream.buffer, self._redactor)

    def write(self, text: str) -> int:
        """Write a text."""
        self._stream.write(self._redactor.clean(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _CleanBytes:
    """As ``_CleanText``, for bytes."""

    def __init__(self, stream: BinaryIO, redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor

    def write(self, data: bytes) -> int:
        """Write bytes."""
        text = bytes(data).decode("utf-8", "surrogateescape")
        self._stream.write(self._redactor.clean(text).encode("utf-8", "surrogateescape"))
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
