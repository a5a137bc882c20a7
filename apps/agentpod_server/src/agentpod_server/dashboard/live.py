"""The stream that keeps open pages up to date: names of what to look at again, and nothing else.

A page asks again for the part that a name belongs to. So nothing is drawn for pages that nobody looks
at, a name that comes twice costs nothing, and a page that missed some catches up when it comes back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream

from agentpod_core import AgentPodError, NotFoundError
from agentpod_core.ports import RESYNC
from agentpod_server import forms
from agentpod_server.api import streams
from agentpod_server.api.paging import After
from agentpod_server.dashboard.pages import Anything
from agentpod_server.records import EventRecord, Scope
from agentpod_server.services import Services
from agentpod_server.services.hub import TooSlowError
from agentpod_server.services.identity import Caller

LONGEST: Final = 3600.0
"""Seconds until a stream ends and its page has to ask, and be recognised, again."""

_POLL = 0.5
_TOGETHER = 0.05
_QUIET = 15.0
_SKEW = timedelta(seconds=5)
_FIRST = datetime.fromtimestamp(0, UTC)
_PAGE = 500
_OF_LISTS = frozenset({"PodCreated", "Deleted", "TenantCreated", "TenantChanged", "TenantDeleted"})
"""Events after which a listing has other rows."""

_log = logging.getLogger(__name__)

Follow = Callable[[], AsyncIterator[str]]


class News:
    """Names that wait to be told, each once, and the number of the newest event among them."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._seq = 0
        self._woken = asyncio.Event()

    def add(self, *names: str, seq: int = 0) -> None:
        """Have names told."""
        self._names |= dict.fromkeys(names)
        self._seq = max(self._seq, seq)
        self._woken.set()

    async def next(self, wait: float) -> tuple[list[str], int]:
        """Give what waits, or after ``wait`` seconds nothing; what comes almost together is told together."""
        try:
            async with asyncio.timeout(wait):
                await self._woken.wait()
        except TimeoutError:
            return [], self._seq
        await asyncio.sleep(_TOGETHER)
        names, self._names = list(self._names), {}
        self._woken.clear()
        return names, self._seq


@get("/live")
async def live(  # noqa: PLR0913 - what a page tells
    request: Anything,
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    asking: NamedDependency[Scope],
    follow_statuses: NamedDependency[Follow],
    after: After = None,
    since: FromQuery[datetime | None] = None,
) -> Stream:
    """Tell names: ``pod-<id>``, ``pod:<tenant>/<name>``, ``events``, ``list``.

    ``after`` (an event's number) and ``since`` are what the page was made from.
    """
    resumed = forms.number(request.headers.get("last-event-id", ""))
    start = after if resumed is None else resumed
    now = datetime.now(UTC)
    # No page was made outside of these; a skew before the first moment, or UTC after the last, is in no calendar.
    moment = min(max(since, _FIRST), now) if since and since.tzinfo else now

    def source(is_over: Callable[[], bool]) -> AsyncIterator[bytes]:
        return stream(services, follow_statuses, asking, after=start, since=moment - _SKEW, is_over=is_over)

    told = streams.while_welcome(services, caller, source)
    return Stream(told, media_type="text/event-stream", headers=streams.UNBUFFERED)


async def stream(  # noqa: PLR0913 - what a page tells
    services: Services,
    follow: Follow,
    asking: Scope,
    *,
    after: int | None,
    since: datetime,
    is_over: Callable[[], bool],
) -> AsyncIterator[bytes]:
    """Write the event stream until ``is_over`` says so, an hour is over, or the database goes away."""
    news = News()
    tasks = [
        asyncio.create_task(_happenings(services, asking, after, news), name="live-events"),
        asyncio.create_task(_statuses(services, follow, asking, since, news), name="live-statuses"),
    ]
    begun = spoke = time.monotonic()
    try:
        yield b"retry: 1000\n\n"
        while not is_over() and time.monotonic() - begun < LONGEST and not any(task.done() for task in tasks):
            names, seq = await news.next(_POLL)
            number = b"id: %d\n" % seq if seq else b""
            if names:
                spoke = time.monotonic()
                yield b"".join(number + f"event: {name}\ndata:\n\n".encode() for name in names)
            elif time.monotonic() - spoke > _QUIET:
                spoke = time.monotonic()
                yield b": \n\n"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _happenings(services: Services, asking: Scope, after: int | None, news: News) -> None:
    try:
        async with aclosing(services.events.stream(asking, after=after)) as events:  # type: ignore[type-var]
            async for event in events:
                if event is not None:
                    news.add(*_names(event), seq=event.seq)
    except (AgentPodError, TooSlowError) as error:
        _log.info("a stream of page updates ends: %s", error)


async def _statuses(services: Services, follow: Follow, asking: Scope, since: datetime, news: News) -> None:
    try:
        async with aclosing(follow()) as told:  # type: ignore[type-var]
            async for pod_id in told:
                if pod_id == RESYNC:
                    news.add(*[f"pod-{one}" for one in await _changed(services, asking, since)])
                elif await _is_visible(services, asking, pod_id):
                    news.add(f"pod-{pod_id}")
    except AgentPodError as error:
        _log.info("a stream of page updates ends: %s", error)


def _names(event: EventRecord) -> list[str]:
    names = ["events"]
    if event.pod:
        names.append(f"pod:{event.tenant}/{event.pod}")
    if event.reason in _OF_LISTS:
        names.append("list")
    return names


async def _changed(services: Services, asking: Scope, since: datetime) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        pods, cursor = await services.pods.listing(asking, cursor=cursor, limit=_PAGE)
        found += [pod.id for pod in pods if pod.status_at >= since]
        if cursor is None:
            return found


async def _is_visible(services: Services, asking: Scope, pod_id: str) -> bool:
    if asking.tenant_id is None:
        return True
    try:
        await services.pods.by_id(asking, pod_id)
    except NotFoundError:
        return False
    return True
