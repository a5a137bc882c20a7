"""Bounds how many passes work at once, without letting slow work keep the others waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """So many may work at the same time; whoever takes a turn gives it back."""

    def __init__(self, turns: int) -> None:
        self._free = asyncio.Semaphore(turns)

    async def take(self) -> None:
        """Wait for a turn."""
        await self._free.acquire()

    def give(self) -> None:
        """Give a turn back."""
        self._free.release()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Let somebody else work while this one only waits for something; it takes a turn again afterwards."""
        self.give()
        try:
            yield
        finally:
            await self.take()
