"""Tells everybody who listens about new events, as they are committed.

The database is the truth and its notifications are hints: after each hint, and after every gap, the
hub reads what is new and hands it out. A listener who is too slow is cut off and has to come back
with the number of the last event that it saw.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agentpod_server.persisting import repeat
from agentpod_server.records import EventRecord, Scope
from agentpod_server.store import events
from agentpod_server.store.database import Database

_BACKLOG = 1000
_PAGE = 500
_PAUSE = 1.0
_ALL = Scope(actor="system")


class TooSlowError(Exception):
    """The listener did not keep up; some events went past it."""


class Subscription:
    """One listener's view: events of a tenant or pod (slugs), or of all, in the order of ``seq``.

    A listener who may see one tenant alone gives its id: the slug is somebody else's once that tenant is gone.
    """

    def __init__(
        self,
        *,
        tenant_id: str | None = None,
        tenant: str | None = None,
        pod: str | None = None,
        backlog: int = _BACKLOG,
    ) -> None:
        self._tenant_id = tenant_id
        self._tenant = tenant
        self._pod = pod
        self._queue: asyncio.Queue[EventRecord] = asyncio.Queue(backlog)
        self._is_lost = False

    async def next(self, wait: float) -> EventRecord | None:
        """Give the next event; None when none came within ``wait`` seconds.

        Raises:
            TooSlowError: events were lost.
        """
        if self._queue.empty():
            if self._is_lost:
                raise TooSlowError
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    return await self._queue.get()
            return None
        return self._queue.get_nowait()

    def offer(self, event: EventRecord) -> None:
        """Hand over an event, if it is one that the listener asked for."""
        if self._is_lost or not self._asked_for(event):
            return
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self._is_lost = True

    def _asked_for(self, event: EventRecord) -> bool:
        return (
            self._tenant_id in (None, event.tenant_id)
            and self._tenant in (None, event.tenant)
            and self._pod in (None, event.pod)
        )


class EventHub:
    """Reads new events once and hands them to every subscription of this process."""

    def __init__(self, database: Database, follow: Callable[[], AsyncIterator[str]]) -> None:
        self._database = database
        self._follow = follow
        self._subscriptions: set[Subscription] = set()
        self._seen = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def subscribers(self) -> int:
        """How many are listening."""
        return len(self._subscriptions)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[EventHub]:
        """Hand out events while the block runs; only those committed after it began."""
        async with self._database.transaction(_ALL):
            self._seen = await events.last_seq()
        handing_out = repeat("handing out events", self._run, every=_PAUSE, longest=2 * _PAUSE)
        self._task = asyncio.create_task(handing_out, name="event-hub")
        try:
            yield self
        finally:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @asynccontextmanager
    async def subscribe(
        self, *, tenant_id: str | None = None, tenant: str | None = None, pod: str | None = None
    ) -> AsyncIterator[Subscription]:
        """Listen while the block runs."""
        subscription = Subscription(tenant_id=tenant_id, tenant=tenant, pod=pod)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def _run(self) -> None:
        async for _ in self._follow():
            await self._hand_out()

    async def _hand_out(self) -> None:
        while True:
            async with self._database.transaction(_ALL):
                new = await events.listing(after=self._seen, limit=_PAGE)
            for event in new:
                self._seen = event.seq
                for subscription in self._subscriptions:
                    subscription.offer(event)
            if len(new) < _PAGE:
                return
