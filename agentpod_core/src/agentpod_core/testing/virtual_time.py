"""Time that passes only while nobody has anything to do: minutes of an engine's life in milliseconds.

``asyncio.Runner(loop_factory=VirtualLoop)`` runs a history; whoever sleeps or sets a timeout in it is
woken in the order of the times, and never waited for. Nothing outside the process can take part.
"""

from __future__ import annotations

import asyncio
import selectors
from datetime import datetime, timedelta

from agentpod_core.testing.fake_clock import START

TURN = 1e-6
"""Seconds that each turn of the loop takes: who waits for less than a clock can tell gets there, too."""


class _Jump(selectors.DefaultSelector):
    """Waits for nothing: moves the loop's time on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            msg = "nothing is due any more: everybody waits for ever"
            raise RuntimeError(msg)
        self.now += max(timeout, 0.0) + TURN
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time jumps to whatever is due next."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Give the seconds since the loop was made."""
        return self._jump.now


class VirtualClock:
    """Implements ``agentpod_core.Clock`` by the running loop's time; ``set_by`` is how far its hands were moved."""

    def __init__(self) -> None:
        self.set_by = timedelta()

    def now(self) -> datetime:
        """Give the present moment, as the wall has it."""
        return START + timedelta(seconds=self.monotonic()) + self.set_by

    def monotonic(self) -> float:
        """Give the loop's time, which no hand moves."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Return once the loop's time is that far on."""
        await asyncio.sleep(seconds)
