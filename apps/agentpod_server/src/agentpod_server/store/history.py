"""What pods used in the course of time: minutes, and what they are rolled up to. Needs an open transaction.

Minutes are kept for a day, tens of minutes for a week, hours for a month, each with some time to spare. A minute
without a sample is a gap and stays one: nothing is made up, and averages are of the samples that there are. What is
later than now was written by a clock that was ahead: it is neither given nor counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from asyncpg import Record as Row
from msgspec import Struct

from agentpod_core.ports import Sample
from agentpod_server.store.ids import known
from agentpod_server.store.transactions import demanded

MINUTE, TEN, HOUR = 60, 600, 3600
KEPT = {MINUTE: timedelta(hours=26), TEN: timedelta(days=8), HOUR: timedelta(days=35)}
"""For how long points of so many seconds are kept."""

LATE = timedelta(minutes=3)
"""So long after its end a span is rolled up: the last samples of a round arrive when the round is over."""


class Point(Struct, frozen=True, kw_only=True):
    """What a pod used from ``at`` on for one step: averages and peaks of millicores and bytes, starts again counted.

    ``memory_limit`` and ``storage`` are the last ones known in it, None for none.
    """

    at: datetime
    cpu: int
    cpu_max: int
    memory: int
    memory_max: int
    memory_limit: int | None
    storage: int | None
    restarts: int


# A statement may touch each row once only. Whoever measured may have a clock that is ahead of the database's.
_ADD = """
    insert into metrics_history as h (tenant_id, pod_id, span, at, samples, cpu, cpu_max, memory, memory_max,
                                      memory_limit, storage, restarts)
    select distinct on (p.id, m.at) p.tenant_id, p.id, 60, m.at, 1, s.cpu, s.cpu, s.memory, s.memory,
           s.memory_limit, s.storage, s.restarts
    from unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::int[])
         with ordinality as s (pod_id, at, cpu, memory, memory_limit, storage, restarts, number)
    join pods p on p.id = s.pod_id
    cross join lateral (select date_trunc('minute', least(s.at, now())) as at) m
    order by p.id, m.at, s.number desc
    on conflict (pod_id, span, at) do update set
        cpu = excluded.cpu, cpu_max = excluded.cpu_max, memory = excluded.memory, memory_max = excluded.memory_max,
        memory_limit = excluded.memory_limit, storage = excluded.storage, restarts = h.restarts + excluded.restarts
"""

_JOINED = """
    sum(samples)::int as samples,
    round(sum(cpu::numeric * samples) / sum(samples))::int as cpu, max(cpu_max) as cpu_max,
    round(sum(memory::numeric * samples) / sum(samples))::bigint as memory, max(memory_max) as memory_max,
    (array_agg(memory_limit order by at desc))[1] as memory_limit,
    (array_agg(storage order by at desc) filter (where storage is not null))[1] as storage,
    sum(restarts)::int as restarts
"""

# One span at a time, the first that is over and not there yet; what lies before the last one there is came too late.
_ROLL_UP = f"""
    with first as (
        select date_bin($2, min(at), timestamptz 'epoch') as at from metrics_history
        where span = $3 and at >= coalesce(
            (select max(at) + $2 from metrics_history where span = $1 and at <= now() - $2 - $4::interval), '-infinity')
    )
    insert into metrics_history (tenant_id, pod_id, span, at, samples, cpu, cpu_max, memory, memory_max,
                                 memory_limit, storage, restarts)
    select joined.* from first cross join lateral (
        select tenant_id, pod_id, $1, first.at, {_JOINED}
        from metrics_history where span = $3 and at >= first.at and at < first.at + $2 group by tenant_id, pod_id
    ) joined
    where first.at + $2 <= now() - $4::interval
    on conflict (pod_id, span, at) do nothing
"""

_PRUNE = """
    delete from metrics_history where id in (
        select id from metrics_history where span = $1 and at < now() - $2::interval limit $3)
"""

# What is newer than the last point that was rolled up is still there minute by minute.
_POINTS = f"""
    with rolled as (
        select * from metrics_history where pod_id = $1 and span = $2 and at >= $3 and at <= now()
    ), minutes as (
        select * from metrics_history
        where $2 > 60 and pod_id = $1 and span = 60 and at >= $3 and at <= now()
            and at >= coalesce((select max(at) from rolled) + make_interval(secs => $2), $3)
    ), points as (select * from rolled union all select * from minutes)
    select date_bin($4, at, timestamptz 'epoch') as begun, {_JOINED} from points group by begun order by begun
"""


async def add(samples: Sequence[Sample]) -> None:
    """Add a round of samples, of pods that there are.

    A second sample of a minute takes the place of the first, but for the starts again: those are added.
    """
    if not samples:
        return
    await demanded().execute(
        _ADD,
        [known(one.pod_id) for one in samples],
        [one.at for one in samples],
        [one.cpu for one in samples],
        [one.memory for one in samples],
        [one.limit for one in samples],
        [one.storage for one in samples],
        [one.restarts for one in samples],
    )


async def roll_up() -> int:
    """Make the points of one span that is over, of all pods; gives how many were made.

    An hour is made when no ten minutes wait any more: it would lack those for good.
    """
    for finer, span in pairwise(KEPT):
        if made := await demanded().execute(_ROLL_UP, span, timedelta(seconds=span), finer, LATE):
            return made
    return 0


async def prune(limit: int) -> int:
    """Take away at most so many of each span that have been kept for long enough; gives how many."""
    gone = 0
    for span, kept in KEPT.items():
        gone += await demanded().execute(_PRUNE, span, kept, limit)
    return gone


async def points(pod_id: str, since: timedelta, step: int) -> list[Point]:
    """Give what a pod used, in steps of so many seconds, the oldest first; a step without samples is left out."""
    span = next((span for span, kept in KEPT.items() if since <= kept), HOUR)
    moment = await demanded().value("select now() - $1::interval", since)
    rows = await demanded().fetch(_POINTS, known(pod_id), span, moment, timedelta(seconds=max(step, span)))
    return [_point(row) for row in rows]


async def storage(pod_id: str) -> int | None:
    """Give what a pod's volumes held when they were measured last; None where that is not known."""
    found: int | None = await demanded().value(
        "select storage from metrics_history where pod_id = $1 and storage is not null and at <= now()"
        " order by at desc limit 1",
        known(pod_id),
    )
    return found


def _point(row: Row) -> Point:
    return Point(
        at=row["begun"],
        cpu=row["cpu"],
        cpu_max=row["cpu_max"],
        memory=row["memory"],
        memory_max=row["memory_max"],
        memory_limit=row["memory_limit"],
        storage=row["storage"],
        restarts=row["restarts"],
    )
