"""Bounds how many passes work at once, without letting slow work keep the others waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """So many may work at the same time; ``async with`` waits for a turn."""

    def __init__(self, turns: int) -> None:
        self._free = asyncio.Semaphore(turns)

    async def __aenter__(self) -> None:
        await self._free.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._free.release()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Let somebody else work while this one only waits for something; it takes a turn again afterwards."""
        self._free.release()
        try:
            yield
        finally:
            await self._free.acquire()
