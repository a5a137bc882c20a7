"""Whom alerts are told: named targets of the platform or of a tenant. Needs an open transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentpod_core.errors import ConflictError, NotFoundError
from agentpod_core.values.status import Severity
from agentpod_server.alert_records import TargetRecord, ToldRecord
from agentpod_server.records import Failure, Page
from agentpod_server.store import alert_rows, rows
from agentpod_server.store.conditions import Conditions
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.transactions import demanded


def new_id() -> str:
    """Make the id of a target to be: its secrets are stored under it."""
    return str(uuid7())


async def create(  # noqa: PLR0913 - a target's columns
    *,
    target_id: str,
    tenant_id: str | None,
    tenant: str,
    name: str,
    kind: str,
    settings: dict[str, Any],
    min_severity: Severity,
    reasons: Sequence[str],
) -> TargetRecord:
    """Make a target.

    Raises:
        ConflictError: ``TargetExists``.
    """
    transaction = demanded()
    row = await transaction.row(
        "insert into alert_routes (id, tenant_id, tenant, name, kind, settings, min_severity, reasons, created_at,"
        " created_by) values ($1, $2, $3, $4, $5, $6, $7, $8, now(), $9) on conflict do nothing returning *",
        known(target_id),
        known(tenant_id or ""),
        tenant,
        name,
        kind,
        rows.text(settings),
        min_severity.value,
        rows.text(tuple(reasons)),
        transaction.scope.actor,
    )
    if row is None:
        raise ConflictError("TargetExists", target=name)
    return alert_rows.target(row)


async def get(name: str, tenant: str | None = None) -> TargetRecord:
    """Give a target by its name: that tenant's (a slug), or the platform's or, for a tenant's reader, their own.

    Raises:
        NotFoundError: ``TargetNotFound``.
    """
    found = await find(name, tenant)
    if found is None:
        raise NotFoundError("TargetNotFound", target=name[:80])
    return found


async def find(name: str, tenant: str | None = None) -> TargetRecord | None:
    """Give a target as ``get`` does; None without one."""
    transaction, where = demanded(), Conditions()
    where.add("name = ?", name)
    if transaction.scope.tenant_id:
        where.add("tenant_id = ?", known(transaction.scope.tenant_id))
    if tenant or not transaction.scope.tenant_id:
        where.add("tenant = ?", tenant or "")
    row = await transaction.row(f"select * from alert_routes {where.sql}", *where.args)
    return None if row is None else alert_rows.target(row)


async def by_id(target_id: str) -> TargetRecord:
    """Give a target by its id."""
    row = await demanded().row("select * from alert_routes where id = $1", known(target_id))
    if row is None:
        raise NotFoundError("TargetNotFound", target=target_id)
    return alert_rows.target(row)


async def listing(
    *, tenant: str | None = None, after: tuple[str, ...] | None = None, limit: int = 50
) -> Page[TargetRecord]:
    """List targets by tenant (the platform's first) and name."""
    transaction, where = demanded(), Conditions()
    if transaction.scope.tenant_id:
        where.add("tenant_id = ?", known(transaction.scope.tenant_id))
    if tenant is not None:
        where.add("tenant = ?", tenant)
    if after is not None:
        where.add("(tenant, name) > (?, ?)", *after)
    size = where.number(rows.page_size(limit) + 1)
    found = await transaction.fetch(
        f"select * from alert_routes {where.sql} order by tenant, name limit {size}", *where.args
    )
    return rows.page([alert_rows.target(row) for row in found], limit, lambda one: (one.tenant, one.name))


async def change(  # noqa: PLR0913 - what can be changed of a target
    target_id: str,
    *,
    expected: int,
    settings: dict[str, Any],
    min_severity: Severity,
    reasons: Sequence[str],
    is_paused: bool,
) -> TargetRecord:
    """Change a target of that generation; what it is still to be told stays, and what went wrong is forgotten.

    Raises:
        ConflictError: ``GenerationMismatch``: somebody else changed or removed it.
    """
    row = await demanded().row(
        "update alert_routes set settings = $3, min_severity = $4, reasons = $5, is_paused = $6, failure = null,"
        " generation = generation + 1 where id = $1 and generation = $2 returning *",
        known(target_id),
        expected,
        rows.text(settings),
        min_severity.value,
        rows.text(tuple(reasons)),
        is_paused,
    )
    if row is None:
        raise ConflictError("GenerationMismatch", expected=expected, actual="?")
    return alert_rows.target(row)


async def told(target_id: str, *, after: tuple[str, ...] | None = None, limit: int = 50) -> Page[ToldRecord]:
    """List what a target was told and is still to be told, newest first."""
    where = Conditions()
    where.add("o.route_id = ?", known(target_id))
    if after is not None:
        where.add("o.id < ?", known(after[0]))
    size = where.number(rows.page_size(limit) + 1)
    found = await demanded().fetch(
        "select o.id, o.alert_id, a.reason, a.tenant, a.pod, o.kind, o.state, o.attempts, o.error, o.created_at,"
        " o.done_at from alerts_outbox o join alerts a on a.id = o.alert_id"
        f" {where.sql} order by o.id desc limit {size}",
        *where.args,
    )
    return rows.page([alert_rows.told(row) for row in found], limit, lambda one: (one.id,))


async def count(tenant_id: str) -> int:
    """Count a tenant's own targets."""
    number: int = await demanded().value("select count(*) from alert_routes where tenant_id = $1", known(tenant_id))
    return number


async def delete(target_id: str) -> None:
    """Drop a target with all that it was still to be told."""
    await demanded().execute("delete from alert_routes where id = $1", known(target_id))


async def note(target_id: str, failure: Failure | None) -> None:
    """Write down how the last try went."""
    if failure is None:
        await demanded().execute(
            "update alert_routes set failure = null, delivered_at = now() where id = $1", known(target_id)
        )
        return
    await demanded().execute("update alert_routes set failure = $2 where id = $1", known(target_id), rows.text(failure))
