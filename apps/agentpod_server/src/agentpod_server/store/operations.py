"""Operations: long verbs as data, claimed by the leader and resumed by the next one. Needs an open transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from asyncpg import Record as Row

from agentpod_core.errors import ConflictError, NotFoundError
from agentpod_server.records import Failure, OperationRecord, OperationStatus, Page, Progress
from agentpod_server.store import rows
from agentpod_server.store.conditions import Conditions
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.transactions import demanded

_OPEN = "id = $1 and status in ('pending', 'running') and ($3::bigint is null or epoch = $3)"


async def create(
    kind: str, target: str, *, params: dict[str, Any] | None = None, tenant_id: str | None = None, tenant: str = ""
) -> OperationRecord:
    """Ask for a long verb; the leader is told when the transaction commits."""
    transaction = demanded()
    row = await transaction.row(
        "insert into operations (id, tenant_id, tenant, kind, target, status, progress, params, result, epoch,"
        " created_at, updated_at, created_by)"
        " values ($1, $2, $3, $4, $5, 'pending', $6, $7, '{}', 0, now(), now(), $8) returning *",
        uuid7(),
        tenant_id,
        tenant,
        kind,
        target,
        rows.text(Progress()),
        rows.text(params or {}),
        transaction.scope.actor,
    )
    assert row is not None  # noqa: S101 - an insert without a conflict clause returns its row
    return _operation(row)


async def get(operation_id: str) -> OperationRecord:
    """Give an operation.

    Raises:
        NotFoundError: ``OperationNotFound``.
    """
    row = await demanded().row("select * from operations where id = $1", known(operation_id))
    if row is None:
        raise NotFoundError("OperationNotFound", operation=operation_id)
    return _operation(row)


async def listing(
    *,
    status: OperationStatus | None = None,
    kind: str | None = None,
    tenant: str | None = None,
    after: tuple[str, ...] | None = None,
    limit: int = 50,
) -> Page[OperationRecord]:
    """List operations, newest first."""
    transaction = demanded()
    where = Conditions()
    if transaction.scope.tenant_id:
        where.add("tenant_id = ?", transaction.scope.tenant_id)
    if status is not None:
        where.add("status = ?", status.value)
    if kind is not None:
        where.add("kind = ?", kind)
    if tenant is not None:
        where.add("tenant = ?", tenant)
    if after is not None:
        where.add("id < ?", known(after[0]))
    size = where.number(rows.page_size(limit) + 1)
    found = await transaction.fetch(f"select * from operations {where.sql} order by id desc limit {size}", *where.args)
    return rows.page([_operation(row) for row in found], limit, lambda one: (one.id,))


async def claim(epoch: int, *kinds: str, is_other: bool = True) -> OperationRecord | None:
    """Take the oldest operation that is pending, that an earlier leader left, or that this one lost sight of.

    It is of one of those kinds, or with ``is_other`` of none of them. Whoever claims works on no other of them:
    what runs in its own epoch was claimed by a call whose answer was lost, or dropped when the lead seemed lost.
    """
    row = await demanded().row(
        "update operations set status = 'running', epoch = $1, updated_at = now() where id = ("
        " select id from operations where (status = 'pending' or (status = 'running' and epoch <= $1))"
        " and (kind = any($2::text[])) <> $3"
        " order by id limit 1 for update skip locked) returning *",
        epoch,
        list(kinds),
        is_other,
    )
    return None if row is None else _operation(row)


async def progress(operation_id: str, progress: Progress, *, epoch: int | None = None) -> None:
    """Write how far it came; nothing once it has ended. With an ``epoch``, only while it is that leader's.

    Raises:
        ConflictError: ``NotLeader``, somebody else works on it now.
    """
    row = await demanded().row(
        f"update operations set progress = $2, updated_at = now() where {_OPEN} returning id",
        known(operation_id),
        rows.text(progress),
        epoch,
    )
    if row is None:
        await _ended(operation_id)


async def finish(
    operation_id: str,
    *,
    result: dict[str, Any] | None = None,
    error: Failure | None = None,
    epoch: int | None = None,
) -> OperationRecord:
    """End it: failed with an error, succeeded without. One that has ended stays as it ended.

    Raises:
        NotFoundError: ``OperationNotFound``.
        ConflictError: ``NotLeader``, somebody else works on it now.
    """
    row = await demanded().row(
        f"update operations set status = $4, result = $2, error = $5, updated_at = now() where {_OPEN} returning *",
        known(operation_id),
        rows.text(result or {}),
        epoch,
        OperationStatus.SUCCEEDED.value if error is None else OperationStatus.FAILED.value,
        None if error is None else rows.text(error),
    )
    return await _ended(operation_id) if row is None else _operation(row)


async def prune(age: timedelta, limit: int) -> int:
    """Take away at most so many of those that ended longer ago, the oldest first; gives how many."""
    return await demanded().execute(
        "delete from operations where id in (select id from operations"
        " where status in ('succeeded', 'failed') and updated_at < now() - $1::interval order by id limit $2)",
        age,
        limit,
    )


async def _ended(operation_id: str) -> OperationRecord:
    """Give an operation that could not be changed because it has ended."""
    there = await get(operation_id)
    if there.status in {OperationStatus.PENDING, OperationStatus.RUNNING}:
        raise ConflictError("NotLeader")
    return there


def _operation(row: Row) -> OperationRecord:
    return OperationRecord(
        id=str(row["id"]),
        kind=row["kind"],
        target=row["target"],
        tenant_id=None if row["tenant_id"] is None else str(row["tenant_id"]),
        tenant=row["tenant"],
        status=OperationStatus(row["status"]),
        progress=rows.value(row["progress"], Progress),
        error=None if row["error"] is None else rows.value(row["error"], Failure),
        params=rows.value(row["params"], dict[str, Any]),
        result=rows.value(row["result"], dict[str, Any]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        created_by=row["created_by"],
    )
