"""A clock that stands still until a test moves it, and wakes sleepers in the order of their times."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

START = datetime(2030, 1, 1, tzinfo=UTC)


class FakeClock:
    """Time in a test's hands.

    ``advance`` moves it and lets whoever slept until then run, each at its own moment. With
    ``is_eager`` a sleep returns at once and moves the clock by itself.
    """

    def __init__(self, start: datetime = START, *, is_eager: bool = False) -> None:
        self.is_eager = is_eager
        self.slept: list[float] = []
        self._start = start
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Give the present moment."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Give the seconds since the clock was made."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was moved that far."""
        self.slept.append(seconds)
        if self.is_eager:
            self._elapsed += max(seconds, 0.0)
        if self.is_eager or seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), wake))
        await wake

    @property
    def sleepers(self) -> int:
        """How many are asleep."""
        return sum(not wake.done() for _, _, wake in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Move the clock, waking each sleeper at its moment, and let them run."""
        end = self._elapsed + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, wake = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, at)
            if not wake.done():
                wake.set_result(None)
                await _settle()
        self._elapsed = end
        await _settle()

    def jump(self, seconds: float) -> None:
        """Move the clock and wake nobody yet: a machine that was asleep."""
        self._elapsed += seconds


async def _settle() -> None:
    # A woken task may need several turns of the loop until it sleeps again.
    for _ in range(20):
        await asyncio.sleep(0)
