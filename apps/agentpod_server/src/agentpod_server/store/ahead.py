"""Sets right what was written while the database's clock was ahead, once it was set back. Needs an open transaction.

Nothing tells a clock that was ahead from one that is behind now, as a machine without a battery has it until it has
asked for the time. So hardly anything is taken away: what is later than now is passed over by whoever reads, what pods
are now is noted anew, and only what its time comes near to is forgotten.
"""

from __future__ import annotations

from msgspec import Struct

from agentpod_core.values.status import PodStatus, Record
from agentpod_server.availability import State, state_of
from agentpod_server.store import availability, history, rows
from agentpod_server.store.ids import known
from agentpod_server.store.transactions import demanded

# When the clock jumped nobody led, so the trigger has it, and the gap ends when that date comes: it ends now.
_CUT = """
    with cut as (
        delete from availability_gaps where until > now() + interval '1 minute' and since < now() returning since)
    insert into availability_gaps (id, since, until)
    select gen_random_uuid(), min(since), now() from cut having count(*) > 0
"""

_MISPLACED = """
    select distinct on (pod_id) pod_id, pod, tenant_id, tenant from availability
    where at > now() + interval '1 minute' order by pod_id
"""

_FORGET = """
    delete from {table} where id in (
        select id from {table}
        where {which} at > now() + interval '1 minute' and at < now() + interval '1 hour' limit $1)
"""


class Misplaced(Struct, frozen=True, kw_only=True):
    """A pod, or one that is gone, whose newest states are later than now."""

    pod_id: str
    pod: str
    tenant_id: str
    tenant: str


async def cut_gaps() -> None:
    """End the time in which nobody led where it would go on into the future."""
    await demanded().execute(_CUT)


async def misplaced() -> list[Misplaced]:
    """Give the pods that have states later than now."""
    return [
        Misplaced(pod_id=str(row["pod_id"]), pod=row["pod"], tenant_id=str(row["tenant_id"]), tenant=row["tenant"])
        for row in await demanded().fetch(_MISPLACED)
    ]


async def note_again(one: Misplaced) -> None:
    """Note what a pod is, from now on; one that is gone is not wanted."""
    # Shared, so that a conclusion that is being saved is noted after this or seen by it.
    row = await demanded().row("select status, record from pod_status where pod_id = $1 for share", known(one.pod_id))
    state = State.NOT_WANTED
    if row is not None:
        state = state_of(rows.value(row["status"], PodStatus), rows.value(row["record"], Record))
    await availability.note(one.pod_id, pod=one.pod, tenant_id=one.tenant_id, tenant=one.tenant, state=state)


async def forget(limit: int) -> int:
    """Take away at most so many of each kind that would soon be taken for what is then; gives how many."""
    transaction = demanded()
    gone = await transaction.execute(_FORGET.format(table="availability", which=""), limit)
    for span in history.KEPT:
        gone += await transaction.execute(_FORGET.format(table="metrics_history", which=f"span = {span} and"), limit)
    return gone
