"""Looks again at callers whose answers go on: a token is revoked or a session ends while its stream is open.

One look serves all streams of the process. While the database is away nobody can be shut out, and streams go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Final, Generic, TypeVar

from agentpod_server.persisting import repeat

EVERY: Final = 10.0
"""Seconds between two looks. A stream asks twice a second what they found, so it ends within 15."""

CallerT = TypeVar("CallerT")

Look = Callable[[Collection[CallerT]], Awaitable[Collection[CallerT]]]
"""Gives those of the callers who would be let in now."""


class Stay(Generic[CallerT]):
    """One answer that goes on, and whose; ``is_over`` once that caller would not be let in any more."""

    def __init__(self, caller: CallerT) -> None:
        self.caller = caller
        self.is_over = False


class Stays(Generic[CallerT]):
    """The answers that go on."""

    def __init__(self, look: Look[CallerT]) -> None:
        self._look = look
        self._open: set[Stay[CallerT]] = set()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def begin(self, caller: CallerT) -> AsyncIterator[Stay[CallerT]]:
        """Look at a caller, who was let in just now, again and again while the block runs."""
        stay = Stay(caller)
        self._open.add(stay)
        if self._task is None:
            # The task outlives the request that happens to begin it, and is to be told of under no request's name.
            self._task = asyncio.create_task(self._run(), name="stays", context=Context())
        try:
            yield stay
        finally:
            self._open.discard(stay)
            if not self._open and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        await asyncio.sleep(EVERY)
        await repeat("looking at callers again", self._look_again, every=EVERY, longest=EVERY)

    async def _look_again(self) -> None:
        seen = frozenset(self._open)
        welcome = await self._look({stay.caller for stay in seen})
        for stay in seen:
            stay.is_over = stay.caller not in welcome
