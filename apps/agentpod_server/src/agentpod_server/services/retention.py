"""Takes away what has been kept for long enough, in the process that leads: events, availability, operations.

A batch is a transaction of its own, and between two of them everybody else has a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TypeAlias, TypeVar
from uuid import UUID

from msgspec import Struct

from agentpod_server.persisting import repeat
from agentpod_server.records import Scope
from agentpod_server.services.engine import Engine
from agentpod_server.store import ahead, alerts, availability, event_retention, history, operations, silences
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
LOOK = 60.0
"""So often it is looked whether this process leads by now. A machine that was just started may set its clock first."""

PODS_AT_ONCE = 100
"""Of so many pods at once it is asked whether they have too much."""

_BATCH = 1000
_FIRST = str(UUID(int=0))
_BREATH = 0.05

_SYSTEM = Scope(actor="system")

CrowdedT = TypeVar("CrowdedT")
_Find: TypeAlias = Callable[[int, str, int], Awaitable[tuple[list[CrowdedT], str | None]]]
_Shorten: TypeAlias = Callable[[CrowdedT, int], Awaitable[int]]


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
        await repeat("taking away what is old", self._prune_when_leading, every=EVERY, longest=EVERY)

    async def _prune_when_leading(self) -> None:
        # Nobody leads yet when a server starts, and one that is often started again prunes too.
        while self._engine.epoch is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(LOOK)
        await self.prune()

    async def prune(self) -> None:
        """Roll up what is to be kept in fewer points, and take away all that is old or too much."""
        await self._set_right()
        await self._all(history.roll_up)
        await self._all(lambda: history.prune(_BATCH))
        await self._all(lambda: event_retention.prune_old(self._kept.events_for, _BATCH))
        await self._crowded(self._kept.events_per_pod, event_retention.crowded, event_retention.shorten)
        await self._all(lambda: availability.prune(KEPT_AVAILABILITY, _BATCH))
        await self._crowded(TRANSITIONS_PER_POD, availability.crowded, availability.shorten)
        await self._all(lambda: operations.prune(KEPT_OPERATIONS, _BATCH))
        await self._all(lambda: alerts.prune(KEPT_ALERTS, _BATCH))
        await self._all(lambda: alerts.prune_crowded(ALERTS_PER_POD, _BATCH))
        await self._all(silences.prune)

    async def _set_right(self) -> None:
        """Set right what was written while the database's clock was ahead."""
        async with self._database.transaction(_SYSTEM):
            await ahead.cut_gaps()
            found = await ahead.misplaced()
        for one in found:
            async with self._database.transaction(_SYSTEM):
                await ahead.note_again(one)
        await self._all(lambda: ahead.forget(_BATCH))

    async def _crowded(self, keep: int, find: _Find[CrowdedT], shorten: _Shorten[CrowdedT]) -> None:
        after: str | None = _FIRST
        while after is not None:
            async with self._database.transaction(_SYSTEM):
                found, after = await find(keep, after, PODS_AT_ONCE)
            for pod in found:
                await self._all(partial(shorten, pod, _BATCH))
            await asyncio.sleep(_BREATH)

    async def _all(self, batch: Callable[[], Awaitable[int]]) -> None:
        while True:
            async with self._database.transaction(_SYSTEM):
                gone = await batch()
            if not gone:
                return
            await asyncio.sleep(_BREATH)
