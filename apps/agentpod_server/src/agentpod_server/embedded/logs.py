"""Keeps the logs of detached processes small. They append, so a log can be emptied under their hands."""

from __future__ import annotations

import os
from pathlib import Path

from agentpod_server import atomic

LIMIT = 10 * 1024 * 1024


def trim(log: Path, limit: int = LIMIT) -> bool:
    """Move a log that has grown over ``limit`` bytes to ``<name>.1``; the process goes on writing to the same file.

    The folder may belong to an account that is not trusted: no link in it is followed.
    """
    try:
        handle = os.open(log, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(handle, "r+b") as file:
        if os.fstat(handle).st_size <= limit:
            return False
        atomic.replace(log.with_name(f"{log.name}.1"), file.read())
        file.truncate(0)
    return True


def since(log: Path, offset: int, limit: int = 65_536) -> str:
    """Give what a log says after its first ``offset`` bytes, at most the last ``limit``; empty where there is none.

    A log that was emptied meanwhile is read from its beginning.
    """
    try:
        with log.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(offset if offset <= size else 0, size - limit))
            return file.read(limit).decode(errors="replace")
    except OSError:
        return ""
