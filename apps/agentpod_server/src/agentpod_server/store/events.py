"""Events: what happened, in one order that everybody sees. Needs an open transaction.

An event's ``seq`` is drawn under a lock that is held until the commit, so that who has read ``seq`` n
has missed nothing below it. Events are therefore written as a transaction's last act: taken earlier,
the lock would be held while waiting for others.
"""

from __future__ import annotations

from typing import Any

from asyncpg import Record as Row

from agentpod_core.values.status import Happening, Severity
from agentpod_server.records import EventRecord, PodRecord, TenantRecord
from agentpod_server.store import rows
from agentpod_server.store.conditions import Conditions
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.transactions import Transaction, demanded

_INSERT = """
    insert into events (id, at, tenant_id, tenant, pod_id, pod, kind, reason, severity, params, actor, request_id,
                        generation)
    values ($1, clock_timestamp(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""


def append(
    *happenings: Happening,
    tenant_id: str | None = None,
    tenant: str = "",
    pod_id: str | None = None,
    pod: str = "",
    generation: int = 0,
) -> None:
    """Write events at the end of this transaction; actor and request come from its scope."""
    transaction = demanded()
    where = (known(tenant_id) if tenant_id else None, tenant, known(pod_id) if pod_id else None, pod)
    events = [_row(transaction, happening, where, generation) for happening in happenings]
    if events:
        transaction.at_end(lambda: transaction.execute_many(_INSERT, events))


def append_for(subject: TenantRecord | PodRecord, *happenings: Happening) -> None:
    """Write events of a tenant or pod at the end of this transaction."""
    if isinstance(subject, TenantRecord):
        append(*happenings, tenant_id=subject.id, tenant=subject.slug, generation=subject.generation)
        return
    append(
        *happenings,
        tenant_id=subject.tenant_id,
        tenant=subject.tenant,
        pod_id=subject.id,
        pod=subject.name,
        generation=subject.generation,
    )


async def listing(
    *, after: int = 0, tenant: str | None = None, pod: str | None = None, limit: int = 100
) -> list[EventRecord]:
    """List events above ``after``, oldest first."""
    where = _filter(tenant, pod)
    where.add("seq > ?", after)
    size = where.number(rows.page_size(limit))
    found = await demanded().fetch(f"select * from events {where.sql} order by seq limit {size}", *where.args)
    return [_event(row) for row in found]


async def latest(
    *, before: int | None = None, tenant: str | None = None, pod: str | None = None, limit: int = 50
) -> list[EventRecord]:
    """List events below ``before``, newest first."""
    where = _filter(tenant, pod)
    if before is not None:
        where.add("seq < ?", before)
    size = where.number(rows.page_size(limit))
    found = await demanded().fetch(f"select * from events {where.sql} order by seq desc limit {size}", *where.args)
    return [_event(row) for row in found]


async def last_seq() -> int:
    """Give the newest event's ``seq`` in this scope; 0 without events."""
    where = _filter(None, None)
    last: int = await demanded().value(f"select coalesce(max(seq), 0) from events {where.sql}", *where.args)
    return last


def _filter(tenant: str | None, pod: str | None) -> Conditions:
    where = Conditions()
    scope = demanded().scope
    if scope.tenant_id:
        where.add("tenant_id = ?", scope.tenant_id)
    if tenant is not None:
        where.add("tenant = ?", tenant)
    if pod is not None:
        where.add("pod = ?", pod)
    return where


def _row(transaction: Transaction, happening: Happening, where: tuple[Any, ...], generation: int) -> tuple[Any, ...]:
    return (
        uuid7(),
        *where,
        happening.kind,
        happening.reason,
        happening.severity.value,
        rows.text(happening.params),
        transaction.scope.actor,
        transaction.scope.request_id,
        generation,
    )


def _event(row: Row) -> EventRecord:
    return EventRecord(
        seq=row["seq"],
        id=str(row["id"]),
        at=row["at"],
        tenant_id=None if row["tenant_id"] is None else str(row["tenant_id"]),
        tenant=row["tenant"],
        pod=row["pod"],
        kind=row["kind"],
        reason=row["reason"],
        severity=Severity(row["severity"]),
        params=rows.value(row["params"], dict[str, Any]),
        actor=row["actor"],
        request_id=row["request_id"],
        generation=row["generation"],
    )
