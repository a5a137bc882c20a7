"""Counts what the metrics show of the whole platform. Needs an open transaction that sees all tenants."""

from __future__ import annotations

from msgspec import Struct

from agentpod_server.store import sending
from agentpod_server.store.transactions import demanded


class Counted(Struct, frozen=True, kw_only=True):
    """How many there are; what none is in is left out.

    ``pods`` are by phase, open ``alerts`` by severity, what is not delivered of the ``outbox`` by state.
    ``outbox_oldest`` is for how many seconds the first of what is still to be delivered has waited; what is silenced,
    or for a paused target, waits because somebody wanted it to.
    """

    pods: dict[str, int] = {}
    ready: int = 0
    tenants: int = 0
    alerts: dict[str, int] = {}
    outbox: dict[str, int] = {}
    outbox_oldest: float = 0.0


async def count() -> Counted:
    """Count everything."""
    transaction = demanded()
    pods = await transaction.fetch(
        "select phase, count(*) as pods, count(*) filter (where ready) as ready from pod_status group by phase"
    )
    alerts = await transaction.fetch(
        "select severity, count(*) as alerts from alerts where cleared_at is null group by severity"
    )
    # What was delivered is most of it, and nobody's trouble: it is not looked through at every scrape.
    outbox = await transaction.fetch(
        "select state, count(*) as messages from alerts_outbox where state <> 'delivered' group by state"
    )
    oldest = await transaction.value(f"select extract(epoch from now() - min(o.created_at))::float8 {sending.PENDING}")
    return Counted(
        pods={row["phase"]: row["pods"] for row in pods},
        ready=sum(row["ready"] for row in pods),
        tenants=await transaction.value("select count(*) from tenants"),
        alerts={row["severity"]: row["alerts"] for row in alerts},
        outbox={row["state"]: row["messages"] for row in outbox},
        outbox_oldest=max(oldest or 0.0, 0.0),
    )
