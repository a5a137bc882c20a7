"""For how long events are kept, and what became of those that are asked for too late. Needs an open transaction.

Events go in batches, the oldest first. Taking them away needs no number, so nobody who writes one waits for it.
"""

from __future__ import annotations

from datetime import timedelta

from agentpod_server.store.conditions import Conditions
from agentpod_server.store.ids import uuid7
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
    select p.tenant_id, p.tenant, p.name, found.seq from pods p cross join lateral (
        select e.seq from events e where e.tenant = p.tenant and e.pod = p.name order by e.seq desc offset $1 limit 1
    ) found limit 1
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


async def prune_old(age: timedelta, limit: int) -> int:
    """Take away at most so many of those that are older; gives how many."""
    transaction = demanded()
    gone = await transaction.row(_OLD, age, limit)
    if gone is None or not gone["number"]:
        return 0
    await transaction.execute(_NOTE, uuid7(), None, "", "", gone["last"])
    await transaction.execute("delete from events_pruned where pod <> '' and seq <= $1", gone["last"])
    return int(gone["number"])


async def prune_crowded(keep: int, limit: int) -> int:
    """Take away at most so many of a pod that has more than ``keep``; gives how many."""
    transaction = demanded()
    pod = await transaction.row(_CROWDED, keep)
    if pod is None:
        return 0
    gone = await transaction.row(_OF_A_POD, pod["tenant"], pod["name"], pod["seq"], limit)
    if gone is None or not gone["number"]:
        return 0
    await transaction.execute(_NOTE, uuid7(), pod["tenant_id"], pod["tenant"], pod["name"], gone["last"])
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
