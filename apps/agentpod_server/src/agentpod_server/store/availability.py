"""What pods were when, and when nobody saw them. Needs an open transaction.

Rows are only ever added, and the oldest are taken away in the end: when they are old, or too many of one pod. Times
are the database's own. That nobody led is noted by a trigger on the lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from asyncpg import Record as Row
from msgspec import Struct

from agentpod_server.availability import Span, State, Transition
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.transactions import demanded

# A pod is owed from its first answer on. The microsecond keeps the order where the clock is set back a little; what is
# later than that was written by a clock that was ahead, and says nothing of now: nor of when its time comes, if soon.
_NOTE = """
    with misplaced as (
        delete from availability
        where pod_id = $4 and at > now() + interval '1 minute' and at < now() + interval '1 hour')
    insert into availability (id, tenant_id, tenant, pod_id, pod, at, state)
    select $1, $2, $3, $4, $5, greatest(clock_timestamp(), last.at + interval '1 microsecond'), $6::text
    from (values (1)) one
    left join lateral (
        select at, state from availability where pod_id = $4 and at <= now() + interval '1 minute'
        order by at desc limit 1
    ) last on true
    where last.state is distinct from $6::text and (last.state is not null or $6::text = 'ready')
"""

_TRANSITIONS = """
    with one as (select distinct pod_id from availability where {which})
    select found.pod_id, found.at, found.state from one cross join lateral (
        (select a.pod_id, a.at, a.state from availability a
         where a.pod_id = one.pod_id and a.at <= $2 order by a.at desc limit 1)
        union all
        (select a.pod_id, a.at, a.state from availability a
         where a.pod_id = one.pod_id and a.at > $2 and a.at < $3)
    ) found order by found.pod_id, found.at
"""

# The newest of each pod from before then still says how it began.
_PRUNE = """
    delete from availability where id in (
        select a.id from availability a where a.at < $1 and (
            exists (select from availability b where b.pod_id = a.pod_id and b.at > a.at and b.at <= $1)
            or a.state = 'not-wanted' and not exists (select from pods p where p.id = a.pod_id))
        order by a.at limit $2)
"""


_CROWDED = """
    select p.id, found.at from (select id from pods where id > $1 order by id limit $2) p left join lateral (
        select a.at from availability a where a.pod_id = p.id order by a.at desc offset $3 limit 1
    ) found on exists (select from availability b where b.pod_id = p.id and b.at < found.at) order by p.id
"""

_SHORTEN = """
    delete from availability where id in (
        select id from availability where pod_id = $1 and at <= $2 order by at limit $3)
        and exists (select from availability where pod_id = $1 and at <= $2 offset 1)
    returning tenant_id, tenant, pod, at
"""


class Crowded(Struct, frozen=True):
    """A pod with more rows than are kept, and the newest one that is too many."""

    pod_id: str
    at: datetime


async def note(pod_id: str, *, pod: str, tenant_id: str, tenant: str, state: State) -> None:
    """Write down what a pod is from now on, where it differs; nothing for one that was never ready."""
    await demanded().execute(_NOTE, uuid7(), known(tenant_id), tenant, known(pod_id), pod, state.value)


async def of_tenant(tenant_id: str, begin: datetime, end: datetime) -> dict[str, list[Transition]]:
    """Give what each pod of a tenant was, those that are gone included; by the pods' ids."""
    return await _transitions("tenant_id = $1", tenant_id, begin, end)


async def of_pod(pod_id: str, begin: datetime, end: datetime) -> list[Transition]:
    """Give what a pod was, with what it was when that time began."""
    return (await _transitions("pod_id = $1", pod_id, begin, end)).get(pod_id, [])


async def gaps(begin: datetime, end: datetime) -> list[Span]:
    """Give when nobody led, the time since the lease ran out included; needs to see the whole platform."""
    found = await demanded().fetch(
        "select since, until from availability_gaps where until > $1 and since < $2"
        " union all select renewed_at, clock_timestamp() from leases"
        " where name = 'controller' and expires_at <= clock_timestamp() and renewed_at is not null",
        begin,
        end,
    )
    return [Span(row["since"], row["until"]) for row in found]


async def prune(age: timedelta, limit: int) -> int:
    """Take away at most so many of the oldest rows that say nothing about the time kept; gives how many."""
    transaction = demanded()
    before: datetime = await transaction.value("select now() - $1::interval", age)
    gone = await transaction.execute(_PRUNE, before, limit)
    return gone + await transaction.execute(
        "delete from availability_gaps where id in"
        " (select id from availability_gaps where until < $1 order by since limit $2)",
        before,
        limit,
    )


async def crowded(keep: int, after: str, limit: int) -> tuple[list[Crowded], str | None]:
    """Give which of the next so many pods after that id have too many rows over ``keep``, and the last one's id.

    Of each pod ``keep`` entries of an index are read, so it is looked at once. The id is None after the last pods.
    """
    found = await demanded().fetch(_CROWDED, known(after), limit, keep)
    last = str(found[-1]["id"]) if len(found) == limit else None
    return [Crowded(str(row["id"]), row["at"]) for row in found if row["at"] is not None], last


async def shorten(pod: Crowded, limit: int) -> int:
    """Take away at most so many (two or more) of a pod's rows that are too many; gives how many.

    What it was then is unknown from now on, which counts neither for nor against it.
    """
    transaction = demanded()
    gone = await transaction.fetch(_SHORTEN, known(pod.pod_id), pod.at, limit)
    if not gone:
        return 0
    first = min(gone, key=lambda row: row["at"])
    await transaction.execute(
        "insert into availability (id, tenant_id, tenant, pod_id, pod, at, state) values ($1, $2, $3, $4, $5, $6, $7)",
        uuid7(),
        first["tenant_id"],
        first["tenant"],
        known(pod.pod_id),
        first["pod"],
        first["at"],
        State.UNKNOWN.value,
    )
    return len(gone)


async def _transitions(which: str, subject: str, begin: datetime, end: datetime) -> dict[str, list[Transition]]:
    rows: Sequence[Row] = await demanded().fetch(_TRANSITIONS.format(which=which), known(subject), begin, end)
    found: dict[str, list[Transition]] = {}
    for row in rows:
        found.setdefault(str(row["pod_id"]), []).append(Transition(row["at"], State(row["state"])))
    return found
