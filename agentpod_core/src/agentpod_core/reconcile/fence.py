"""Keeps a leader that lost its lease from acting: asked before every change to the world, and open during it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agentpod_core.errors import ConflictError
from agentpod_core.ports import Clock


class Fence:
    """Open while this process is sure to lead, by its own monotonic clock.

    The margin between the lease's length in the database and ``seconds`` here is what makes a
    frozen leader stop before somebody else starts.
    """

    def __init__(self, clock: Clock, epoch: int, seconds: float) -> None:
        self.epoch = epoch
        self._clock = clock
        self._seconds = seconds
        self._deadline = clock.monotonic() + seconds
        self._bounds: set[asyncio.Timeout] = set()

    @property
    def left(self) -> float:
        """The seconds for which it stays open without another renewal; 0 when it is closed."""
        return max(self._deadline - self._clock.monotonic(), 0.0)

    def renewed(self, asked_at: float) -> None:
        """Take note that the lease was renewed by a request sent at that monotonic moment."""
        self._deadline = asked_at + self._seconds
        until = asyncio.get_running_loop().time() + self.left
        for bound in self._bounds:
            if not bound.expired():
                bound.reschedule(until)

    def check(self) -> None:
        """Return while leading.

        Raises:
            ConflictError: ``NotLeader``, the lease may have run out.
        """
        if not self.left:
            raise ConflictError("NotLeader")

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Make a change: it is broken off between two of its steps when the lease may have run out meanwhile.

        Raises:
            ConflictError: ``NotLeader``, before it or in the midst of it.
        """
        self.check()
        bound = asyncio.timeout(self.left)
        try:
            async with bound:
                self._bounds.add(bound)
                try:
                    yield
                finally:
                    self._bounds.discard(bound)
        except TimeoutError:
            if bound.expired():
                raise ConflictError("NotLeader") from None
            raise
