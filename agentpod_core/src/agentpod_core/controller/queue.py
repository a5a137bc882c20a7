"""A queue of keys: each at most once, never handled twice at the same time, optionally later."""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict

from agentpod_core.ports import Clock


class KeyQueue:
    """Hands out keys to the one who takes them.

    A key added while it is being handled comes again once that is done. A key added for later is
    forgotten when it comes sooner by itself.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Not a dict: the first of one from which many were taken is found ever more slowly.
        self._waiting: OrderedDict[str, float] = OrderedDict()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._news = asyncio.Event()

    def __len__(self) -> int:
        """Count the keys that wait for a worker."""
        return len(self._waiting)

    @property
    def oldest(self) -> float:
        """The seconds for which the first of them has waited; 0 when none does."""
        since = next(iter(self._waiting.values()), None)
        return 0.0 if since is None else self._clock.monotonic() - since

    def add(self, key: str) -> None:
        """Ask for a key to be handled as soon as possible."""
        self._due.pop(key, None)
        if key in self._busy:
            self._again.add(key)
        else:
            self._waiting.setdefault(key, self._clock.monotonic())
            self._news.set()

    def add_in(self, key: str, seconds: float) -> None:
        """Ask for a key to be handled in a while; an earlier date wins."""
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        if key in self._waiting or self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))
        self._news.set()

    def is_due(self, key: str) -> bool:
        """Say whether a key is to be handled anyway, now or later."""
        return key in self._waiting or key in self._due

    async def wait(self) -> None:
        """Return once there is a key to take."""
        while True:
            self._ripen()
            if self._waiting:
                return
            self._news.clear()
            await self._sleep()

    def take(self) -> str:
        """Give the next key, which has to be there; the caller must say ``done`` with it."""
        key, _ = self._waiting.popitem(last=False)
        self._busy.add(key)
        return key

    def done(self, key: str) -> None:
        """Let the key be handed out again."""
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _ripen(self) -> None:
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                self.add(key)

    async def _sleep(self) -> None:
        news = asyncio.ensure_future(self._news.wait())
        if not self._heap:
            await news
            return
        timer = asyncio.ensure_future(self._clock.sleep(max(self._heap[0][0] - self._clock.monotonic(), 0)))
        try:
            await asyncio.wait({news, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            timer.cancel()
