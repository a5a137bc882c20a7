"""Takes away what has been kept for long enough, in the process that leads: events, availability, operations.

A batch is a transaction of its own, and between two of them everybody else has a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from msgspec import Struct

from agentpod_server.persisting import repeat
from agentpod_server.records import Scope
from agentpod_server.services.engine import Engine
from agentpod_server.store import alerts, availability, event_retention, history, operations, silences
from agentpod_server.store.database import Database

KEPT_AVAILABILITY = timedelta(days=400)
"""A whole year can be looked at, with some time to do it in."""

TRANSITIONS_PER_POD = 10_000
"""One an hour, for all the time that is kept; who changes more often is read no more slowly for it."""

KEPT_OPERATIONS = timedelta(days=30)
"""After their end."""

KEPT_ALERTS = timedelta(days=90)
"""After their end, with what became of their messages."""

ALERTS_PER_POD = 1000

EVERY = 600.0
_BATCH = 1000
_BREATH = 0.05

_SYSTEM = Scope(actor="system")


class Kept(Struct, frozen=True, kw_only=True):
    """How long events are kept, and at most how many of one pod."""

    events_for: timedelta = timedelta(days=90)
    events_per_pod: int = 5000


class Retention:
    """Prunes while this process leads."""

    def __init__(self, database: Database, engine: Engine, kept: Kept) -> None:
        self._database = database
        self._engine = engine
        self._kept = kept

    async def run(self) -> None:
        """Prune now and then, until cancelled."""
        await repeat("taking away what is old", self._prune_if_leading, every=EVERY, longest=EVERY)

    async def _prune_if_leading(self) -> None:
        if self._engine.epoch is not None:
            await self.prune()

    async def prune(self) -> None:
        """Roll up what is to be kept in fewer points, and take away all that is old or too much."""
        await self._all(history.roll_up)
        await self._all(lambda: history.prune(_BATCH))
        await self._all(lambda: event_retention.prune_old(self._kept.events_for, _BATCH))
        await self._all(lambda: event_retention.prune_crowded(self._kept.events_per_pod, _BATCH))
        await self._all(lambda: availability.prune(KEPT_AVAILABILITY, _BATCH))
        await self._all(lambda: availability.prune_crowded(TRANSITIONS_PER_POD, _BATCH))
        await self._all(lambda: operations.prune(KEPT_OPERATIONS, _BATCH))
        await self._all(lambda: alerts.prune(KEPT_ALERTS, _BATCH))
        await self._all(lambda: alerts.prune_crowded(ALERTS_PER_POD, _BATCH))
        await self._all(silences.prune)

    async def _all(self, batch: Callable[[], Awaitable[int]]) -> None:
        while True:
            async with self._database.transaction(_SYSTEM):
                gone = await batch()
            if not gone:
                return
            await asyncio.sleep(_BREATH)
