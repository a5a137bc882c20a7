"""The audit log: who did what to which thing; rows are only ever added. Needs an open transaction."""

from __future__ import annotations

from typing import Any

from agentpod_server.records import AuditRecord, Page
from agentpod_server.store import rows
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.tables import AuditLog
from agentpod_server.store.transactions import demanded


def append(action: str, target: str, *, tenant_id: str | None = None, params: dict[str, Any] | None = None) -> None:
    """Write an entry at the end of this transaction; actor and request come from its scope.

    No secret value belongs in ``params``.
    """
    transaction = demanded()
    entry = AuditLog(
        id=uuid7(),
        tenant_id=known(tenant_id) if tenant_id else None,
        actor=transaction.scope.actor,
        action=action,
        target=target,
        request_id=transaction.scope.request_id,
        params=rows.text(params or {}),
    )

    async def write() -> None:
        await AuditLog.insert(entry)

    transaction.at_end(write)


async def listing(*, after: tuple[str, ...] | None = None, limit: int = 50) -> Page[AuditRecord]:
    """List entries, newest first."""
    scope = demanded().scope
    query = AuditLog.select().order_by(AuditLog.id, ascending=False).limit(rows.page_size(limit) + 1)
    if scope.tenant_id:
        query = query.where(AuditLog.tenant_id == known(scope.tenant_id))
    if after is not None:
        query = query.where(AuditLog.id < known(after[0]))
    return rows.page([_entry(row) for row in await query], limit, lambda one: (one.id,))


def _entry(row: dict[str, Any]) -> AuditRecord:
    return AuditRecord(
        id=str(row["id"]),
        at=row["at"],
        tenant_id=None if row["tenant_id"] is None else str(row["tenant_id"]),
        actor=row["actor"],
        action=row["action"],
        target=row["target"],
        request_id=row["request_id"],
        params=rows.value(row["params"], dict[str, Any]),
    )
