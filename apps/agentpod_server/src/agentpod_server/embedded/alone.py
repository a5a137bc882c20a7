"""Keeps other processes of this machine out of a piece of work; the kernel lets go however one ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_PATIENCE = 0.01


@asynccontextmanager
async def alone(path: Path) -> AsyncIterator[None]:
    """Hold a lock file while the block runs, waiting for whoever holds it: several servers may share a state folder."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "r+b") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(_PATIENCE)
            else:
                break
        yield
