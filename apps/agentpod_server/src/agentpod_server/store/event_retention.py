"""For how long events are kept, and what became of those that are asked for too late. Needs an open transaction.

Events go in batches, the oldest first. Taking them away needs no number, so nobody who writes one waits for it.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from agentpod_server.store.conditions import Conditions
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.transactions import demanded

# No index knows how old events are: their numbers are in the order of time.
_OLD = """
    with gone as (
        delete from events where seq in (
            select seq from (select seq, at from events order by seq limit $2) oldest where at < now() - $1::interval)
        returning seq)
    select count(*) as number, max(seq) as last from gone
"""

_CROWDED = """
    select p.id, p.tenant_id, p.tenant, p.name, found.seq
    from (select * from pods where id > $1 order by id limit $2) p left join lateral (
        select e.seq from events e where e.tenant = p.tenant and e.pod = p.name order by e.seq desc offset $3 limit 1
    ) found on true order by p.id
"""

_OF_A_POD = """
    with gone as (
        delete from events where seq in (
            select seq from events where tenant = $1 and pod = $2 and seq <= $3 order by seq limit $4)
        returning seq)
    select count(*) as number, max(seq) as last from gone
"""

_NOTE = """
    insert into events_pruned as p (id, tenant_id, tenant, pod, seq) values ($1, $2, $3, $4, $5)
    on conflict (tenant, pod) do update set seq = greatest(p.seq, excluded.seq)
"""


class Crowded(Struct, frozen=True, kw_only=True):
    """A pod with more events than are kept, and the newest one that is too many."""

    tenant_id: str
    tenant: str
    pod: str
    seq: int


async def prune_old(age: timedelta, limit: int) -> int:
    """Take away at most so many of those that are older; gives how many."""
    transaction = demanded()
    gone = await transaction.row(_OLD, age, limit)
    if gone is None or not gone["number"]:
        return 0
    await transaction.execute(_NOTE, uuid7(), None, "", "", gone["last"])
    await transaction.execute("delete from events_pruned where pod <> '' and seq <= $1", gone["last"])
    return int(gone["number"])


async def crowded(keep: int, after: str, limit: int) -> tuple[list[Crowded], str | None]:
    """Give which of the next so many pods after that id have more than ``keep``, and the last one's id.

    Of each pod ``keep`` entries of an index are read, so it is looked at once. The id is None after the last pods.
    """
    found = await demanded().fetch(_CROWDED, known(after), limit, keep)
    last = str(found[-1]["id"]) if len(found) == limit else None
    return [
        Crowded(tenant_id=str(row["tenant_id"]), tenant=row["tenant"], pod=row["name"], seq=row["seq"])
        for row in found
        if row["seq"] is not None
    ], last


async def shorten(pod: Crowded, limit: int) -> int:
    """Take away at most so many of a pod's events that are too many; gives how many."""
    transaction = demanded()
    gone = await transaction.row(_OF_A_POD, pod.tenant, pod.pod, pod.seq, limit)
    if gone is None or not gone["number"]:
        return 0
    await transaction.execute(_NOTE, uuid7(), known(pod.tenant_id), pod.tenant, pod.pod, gone["last"])
    return int(gone["number"])


async def has_missed(after: int, *, tenant: str | None = None, pod: str | None = None) -> bool:
    """Say whether events above ``after`` were taken away already; needs to see the whole platform."""
    where = Conditions()
    where.add("seq > ?", after)
    if tenant is not None:
        where.add("tenant in ('', ?)", tenant)
    if pod is not None:
        where.add("pod in ('', ?)", pod)
    found: bool = await demanded().value(f"select exists (select from events_pruned {where.sql})", *where.args)
    return found
