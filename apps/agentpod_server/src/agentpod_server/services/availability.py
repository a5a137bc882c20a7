"""How available pods and tenants were: by day or month, and at a glance.

What is looked at is in the asker's scope; when nobody led, which concerns everybody, is read beside it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from agentpod_core import AgentPodError
from agentpod_server.availability import Availability, Span, Transition, day, days, measured, month, months
from agentpod_server.records import PodRecord, Scope, TenantRecord
from agentpod_server.store import availability, pods, tenants
from agentpod_server.store.database import Database

By = Literal["day", "month"]
LONGEST = timedelta(days=400)
_DEFAULT: dict[By, timedelta] = {"day": timedelta(days=29), "month": timedelta(days=360)}
_PLATFORM = Scope(actor="system")


class Summary(Struct, frozen=True, kw_only=True):
    """Availability at a glance, in UTC; the first two go on until now."""

    today: Availability
    this_month: Availability
    last_month: Availability


class Availabilities:
    """Reads what was written down and reckons."""

    def __init__(self, database: Database, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._now = now

    async def of_tenant(
        self, scope: Scope, slug: str, *, by: By, begin: datetime | None = None, end: datetime | None = None
    ) -> tuple[TenantRecord, list[Availability]]:
        """Give a tenant's availability, that of its deleted pods included, for each day or month.

        Raises:
            NotFoundError: there is no such tenant.
            AgentPodError: ``BadPeriod``: the end is not after the begin, or over ``LONGEST`` after it.
        """
        async with self._database.transaction(scope):
            tenant = await tenants.get(slug)
        spans = self._spans(by, begin, end)
        return tenant, await self._measured(scope, spans, _of_tenant(tenant.id))

    async def of_pod(  # noqa: PLR0913 - which pod, and when
        self,
        scope: Scope,
        tenant: str,
        name: str,
        *,
        by: By,
        begin: datetime | None = None,
        end: datetime | None = None,
    ) -> tuple[PodRecord, list[Availability]]:
        """Give a pod's availability for each day or month, as ``of_tenant`` does."""
        async with self._database.transaction(scope):
            await tenants.get(tenant)
            pod = await pods.get(tenant, name)
        spans = self._spans(by, begin, end)
        return pod, await self._measured(scope, spans, _of_pod(pod.id))

    async def pod_summary(self, scope: Scope, pod: PodRecord) -> Summary:
        """Give a pod's availability at a glance."""
        return _summary(await self._measured(scope, self._glance(), _of_pod(pod.id)))

    async def tenant_summary(self, scope: Scope, tenant: TenantRecord) -> tuple[Summary, dict[str, Availability]]:
        """Give a tenant's availability at a glance, and that of each of its pods (by id) this month."""
        spans = self._glance()
        found, gaps, now = await self._read(scope, spans, _of_tenant(tenant.id))
        this_month = {pod_id: measured([history], gaps, spans[1:2], now=now)[0] for pod_id, history in found.items()}
        return _summary(_apart(found, gaps, spans, now)), this_month

    async def _measured(self, scope: Scope, spans: Sequence[Span], read: _Read) -> list[Availability]:
        found, gaps, now = await self._read(scope, spans, read)
        return _apart(found, gaps, spans, now)

    async def _read(
        self, scope: Scope, spans: Sequence[Span], read: _Read
    ) -> tuple[Mapping[str, Sequence[Transition]], list[Span], datetime]:
        begin, end = min(span.begin for span in spans), max(span.end for span in spans)
        async with self._database.transaction(scope):
            found = await read(begin, end)
        async with self._database.transaction(_PLATFORM):
            gaps = await availability.gaps(begin, end)
        return found, gaps, self._now()

    def _glance(self) -> list[Span]:
        now = self._now()
        this_month = month(now)
        return [day(now), this_month, month(this_month.begin - timedelta(days=1))]

    def _spans(self, by: By, begin: datetime | None, end: datetime | None) -> list[Span]:
        end = end or self._now()
        whole = day if by == "day" else month
        try:
            begin = begin or whole(end - _DEFAULT[by]).begin
            if begin < end and end - begin <= LONGEST:
                return (days if by == "day" else months)(begin, end)
        except OverflowError as error:  # before or after all calendars
            raise AgentPodError("BadPeriod", names=["since", "until"], days=LONGEST.days) from error
        raise AgentPodError("BadPeriod", names=["since", "until"], days=LONGEST.days)


_Read = Callable[[datetime, datetime], Awaitable[Mapping[str, Sequence[Transition]]]]


def _of_tenant(tenant_id: str) -> _Read:
    return lambda begin, end: availability.of_tenant(tenant_id, begin, end)


def _of_pod(pod_id: str) -> _Read:
    async def read(begin: datetime, end: datetime) -> Mapping[str, Sequence[Transition]]:
        return {pod_id: await availability.of_pod(pod_id, begin, end)}

    return read


def _apart(
    found: Mapping[str, Sequence[Transition]], gaps: Sequence[Span], spans: Sequence[Span], now: datetime
) -> list[Availability]:
    """Measure spans that may overlap, each for itself."""
    if all(one.end <= other.begin for one, other in pairwise(spans)):
        return measured(found.values(), gaps, spans, now=now)
    return [measured(found.values(), gaps, [span], now=now)[0] for span in spans]


def _summary(found: Sequence[Availability]) -> Summary:
    today, this_month, last_month = found
    return Summary(today=today, this_month=this_month, last_month=last_month)
