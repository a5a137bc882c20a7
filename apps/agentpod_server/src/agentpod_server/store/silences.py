"""Silences: until when nobody is to be told of what. Needs an open transaction."""

from __future__ import annotations

from datetime import datetime

from agentpod_core.errors import NotFoundError
from agentpod_server.alert_records import SilenceRecord
from agentpod_server.records import Page
from agentpod_server.store import alert_rows, rows
from agentpod_server.store.conditions import Conditions
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.transactions import demanded


async def create(  # noqa: PLR0913 - a silence's columns
    *, tenant_id: str | None, tenant: str, pod: str, reason: str, comment: str, ends_at: datetime
) -> SilenceRecord:
    """Make a silence."""
    transaction = demanded()
    row = await transaction.row(
        "insert into silences (id, tenant_id, tenant, pod, reason, comment, ends_at, created_at, created_by)"
        " values ($1, $2, $3, $4, $5, $6, $7, now(), $8) returning *",
        uuid7(),
        known(tenant_id or ""),
        tenant,
        pod,
        reason,
        comment,
        ends_at,
        transaction.scope.actor,
    )
    assert row is not None  # noqa: S101 - an insert without a conflict clause returns its row
    return alert_rows.silence(row)


async def listing(*, after: tuple[str, ...] | None = None, limit: int = 50) -> Page[SilenceRecord]:
    """List the silences that hold, newest first."""
    transaction, where = demanded(), Conditions()
    where.add("ends_at > now()")
    if transaction.scope.tenant_id:
        where.add("tenant_id = ?", known(transaction.scope.tenant_id))
    if after is not None:
        where.add("id < ?", known(after[0]))
    size = where.number(rows.page_size(limit) + 1)
    found = await transaction.fetch(f"select * from silences {where.sql} order by id desc limit {size}", *where.args)
    return rows.page([alert_rows.silence(row) for row in found], limit, lambda one: (one.id,))


async def end(silence_id: str) -> SilenceRecord:
    """End a silence now.

    Raises:
        NotFoundError: ``SilenceNotFound``.
    """
    row = await demanded().row("delete from silences where id = $1 returning *", known(silence_id))
    if row is None:
        raise NotFoundError("SilenceNotFound", silence=silence_id[:80])
    return alert_rows.silence(row)


async def forget(tenant: str, pod: str | None = None) -> None:
    """Drop the silences about a pod or, without one, a tenant that goes: one of the same name is somebody else."""
    await demanded().execute("delete from silences where tenant = $1 and ($2::text is null or pod = $2)", tenant, pod)


async def prune() -> int:
    """Drop the silences that are over; gives how many."""
    return await demanded().execute("delete from silences where ends_at <= now()")
