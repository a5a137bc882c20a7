"""Counts what the metrics show of the whole platform. Needs an open transaction that sees all tenants."""

from __future__ import annotations

from msgspec import Struct

from agentpod_server.store.transactions import demanded


class Counted(Struct, frozen=True, kw_only=True):
    """How many there are; what none is in is left out.

    ``pods`` are by phase, open ``alerts`` by severity, ``outbox`` by state. ``outbox_oldest`` is for how many seconds
    the first of what is still to be delivered has waited.
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
    outbox = await transaction.fetch(
        "select state, count(*) as messages, extract(epoch from now() - min(created_at))::float8 as oldest"
        " from alerts_outbox group by state"
    )
    return Counted(
        pods={row["phase"]: row["pods"] for row in pods},
        ready=sum(row["ready"] for row in pods),
        tenants=await transaction.value("select count(*) from tenants"),
        alerts={row["severity"]: row["alerts"] for row in alerts},
        outbox={row["state"]: row["messages"] for row in outbox},
        outbox_oldest=next((row["oldest"] for row in outbox if row["state"] == "pending"), 0.0),
    )
