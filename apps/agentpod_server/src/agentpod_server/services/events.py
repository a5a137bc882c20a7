"""What happened: listings of events, and the stream of them that misses nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

from agentpod_server.records import EventRecord, Scope
from agentpod_server.services.cursors import Cursors
from agentpod_server.services.hub import EventHub
from agentpod_server.store import event_retention, events, pods, tenants
from agentpod_server.store.database import Database

_PAGE = 200
_POLL = 0.5
KEEP_ALIVE = 15.0
_PLATFORM = Scope(actor="system")


class Events:
    """Reads events. ``should_exit`` ends every stream soon after it says so."""

    def __init__(
        self, database: Database, hub: EventHub, cursors: Cursors, *, should_exit: Callable[[], bool] = lambda: False
    ) -> None:
        self._database = database
        self._hub = hub
        self._cursors = cursors
        self._should_exit = should_exit

    async def listing(  # noqa: PLR0913 - the filters of a listing
        self,
        scope: Scope,
        *,
        after: int | None = None,
        tenant: str | None = None,
        pod: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[list[EventRecord], str | None]:
        """Give the events after a number or cursor, or else the newest ones; oldest first either way.

        Raises:
            NotFoundError: there is no such tenant or pod.
            AgentPodError: ``BadCursor``.
        """
        filters = {"tenant": tenant, "pod": pod}
        if cursor is not None:
            after = int(self._cursors.read(scope, "events", filters, cursor)[0])
        async with self._database.transaction(scope):
            if after is None:
                found = list(reversed(await events.latest(tenant=tenant, pod=pod, limit=limit)))
            else:
                found = await events.listing(after=after, tenant=tenant, pod=pod, limit=limit)
            if not found:
                # What is gone has events still; what never was is an error.
                await _look_up(tenant, pod)
        if after is None:
            return found, None
        full = len(found) == limit
        return found, self._cursors.write(scope, "events", filters, (str(found[-1].seq),)) if full else None

    async def stream(
        self,
        scope: Scope,
        *,
        after: int | None = None,
        tenant: str | None = None,
        pod: str | None = None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator[EventRecord | None]:
        """Yield events as they come, from ``after`` on or only new ones, until ``is_over`` says so.

        None comes first, once nothing can be missed any more, and after every 15 quiet seconds.

        Raises:
            TooSlowError: the reader did not keep up.
        """
        async with self._hub.subscribe(tenant_id=scope.tenant_id, tenant=tenant, pod=pod) as subscription:
            yield None
            sent = after or 0
            while after is not None:
                async with self._database.transaction(scope):
                    missed = await events.listing(after=sent, tenant=tenant, pod=pod, limit=_PAGE)
                for event in missed:
                    if is_over():
                        return
                    sent = event.seq
                    yield event
                if len(missed) < _PAGE:
                    break
            quiet_since = time.monotonic()
            while not (self._should_exit() or is_over()):
                news = await subscription.next(_POLL)
                if is_over():
                    return
                if news is not None:
                    if news.seq > sent:
                        sent = news.seq
                        yield news
                        quiet_since = time.monotonic()
                elif time.monotonic() - quiet_since >= KEEP_ALIVE:
                    quiet_since = time.monotonic()
                    yield None

    async def has_missed(self, scope: Scope, after: int | None, *, tenant: str | None, pod: str | None) -> bool:
        """Say whether some of what came after a number is kept no longer."""
        if after is None:
            return False
        if scope.tenant_id is not None:
            async with self._database.transaction(scope):
                tenant = (await tenants.by_id(scope.tenant_id)).slug
        async with self._database.transaction(_PLATFORM):
            return await event_retention.has_missed(after, tenant=tenant, pod=pod)

    async def look_up(self, scope: Scope, tenant: str | None, pod: str | None) -> None:
        """Check before a stream begins that it is about something.

        Raises:
            NotFoundError: there is no such tenant or pod.
        """
        async with self._database.transaction(scope):
            await _look_up(tenant, pod)


async def _look_up(tenant: str | None, pod: str | None) -> None:
    if tenant is not None and pod is not None:
        await pods.get(tenant, pod)
    elif tenant is not None:
        await tenants.get(tenant)
