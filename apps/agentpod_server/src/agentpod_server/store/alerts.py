"""Alerts: at most one is open for each pod, or the platform, reason and subject. Needs an open transaction.

What changes here is written into the outbox in the same transaction: see ``outbox``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from agentpod_core.errors import NotFoundError
from agentpod_core.values.alerts import AlertChange, Clear, Raise
from agentpod_core.values.status import Severity
from agentpod_server.alert_records import AlertRecord
from agentpod_server.records import Page
from agentpod_server.store import alert_rows, outbox, rows
from agentpod_server.store.conditions import Conditions
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.transactions import Transaction, demanded

_DELIVERIES = """
    (select coalesce(jsonb_agg(jsonb_build_object(
                'target', r.name, 'kind', o.kind, 'state', o.state, 'attempts', o.attempts, 'error', o.error,
                'done_at', o.done_at) order by o.number), '[]')
       from alerts_outbox o join alert_routes r on r.id = o.route_id where o.alert_id = a.id) as deliveries
"""
_IS_SILENCED = """
    agentpod_is_silenced(nullif(current_setting('app.tenant_id', true), '')::uuid, a.tenant, a.pod, a.reason)
    as is_silenced
"""
_ALERT = f"select a.*, {_IS_SILENCED}, {_DELIVERIES} from alerts a"


class _Owner:
    """A pod or, without one, the platform, with the alerts that are open for it by reason and subject."""

    def __init__(self, tenant_id: str | None, tenant: str, pod_id: str | None, pod: str) -> None:
        self.columns = (known(tenant_id or ""), tenant, known(pod_id or ""), pod)
        self.pod_id = known(pod_id or "")
        self.open: dict[tuple[str, str], UUID] = {}

    async def look(self, transaction: Transaction) -> None:
        """Find what is open, and keep others from changing it until the end of the transaction."""
        found = await transaction.fetch(
            "select id, reason, subject from alerts"
            " where cleared_at is null and pod_id is not distinct from $1 for update",
            self.pod_id,
        )
        self.open = {(row["reason"], row["subject"]): row["id"] for row in found}


async def change(
    changes: Sequence[AlertChange],
    *,
    tenant_id: str | None = None,
    tenant: str = "",
    pod_id: str | None = None,
    pod: str = "",
) -> None:
    """Raise and clear alerts of a pod or, without one, of the platform, and put down what is to be told of it."""
    if not changes:
        return
    transaction, owner = demanded(), _Owner(tenant_id, tenant, pod_id, pod)
    await owner.look(transaction)
    over: dict[bool, list[UUID]] = {False: [], True: []}
    news = False
    for one in changes:
        if isinstance(one, Clear):
            if (alert_id := owner.open.pop((one.reason, one.subject), None)) is not None:
                over[one.is_stopped].append(alert_id)
        elif (alert_id := owner.open.get((one.reason, one.subject))) is not None:
            await transaction.execute("update alerts set params = $2 where id = $1", alert_id, rows.text(one.params))
        else:
            await _raise(transaction, owner, one)
            news = True
    if news:
        await outbox.tell(list(owner.open.values()))
    for is_stopped, alert_ids in over.items():
        await _end(alert_ids, is_stopped=is_stopped)


async def end_of_pod(pod_id: str) -> None:
    """Close the alerts of a pod that goes."""
    owner = _Owner(None, "", pod_id, "")
    await owner.look(demanded())
    await _end(owner.open.values(), is_stopped=True)


async def _end(alert_ids: Collection[UUID], *, is_stopped: bool) -> None:
    if alert_ids:
        await demanded().execute(
            "update alerts set cleared_at = now(), is_stopped = $2 where id = any($1)", list(alert_ids), is_stopped
        )
        await outbox.tell_over(alert_ids, is_stopped=is_stopped)


async def platform() -> list[Raise]:
    """Give the platform's open alerts, each as what would raise it now."""
    found = await demanded().fetch(
        "select reason, subject, severity, params from alerts"
        " where cleared_at is null and pod_id is null and tenant_id is null"
    )
    return [
        Raise(
            reason=row["reason"],
            subject=row["subject"],
            severity=Severity(row["severity"]),
            params=rows.value(row["params"], dict[str, Any]),
        )
        for row in found
    ]


async def _raise(transaction: Transaction, owner: _Owner, raised: Raise) -> None:
    lesser = [owner.open.pop(one) for reason in raised.replaces if (one := (reason, raised.subject)) in owner.open]
    what = (raised.reason, raised.severity.value, rows.text(raised.params))
    if lesser:
        first, *others = lesser
        await transaction.execute("update alerts set cleared_at = now() where id = any($1)", others)
        await transaction.execute(
            "update alerts set reason = $2, severity = $3, params = $4 where id = $1", first, *what
        )
        owner.open[raised.reason, raised.subject] = first
        return
    alert_id = uuid7()
    made = await transaction.execute(
        "insert into alerts (id, tenant_id, tenant, pod_id, pod, reason, severity, params, subject, raised_at)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now()) on conflict do nothing",
        alert_id,
        *owner.columns,
        *what,
        raised.subject,
    )
    if made:
        owner.open[raised.reason, raised.subject] = alert_id


async def get(alert_id: str) -> AlertRecord:
    """Give an alert.

    Raises:
        NotFoundError: ``AlertNotFound``.
    """
    row = await demanded().row(f"{_ALERT} where a.id = $1", known(alert_id))
    if row is None:
        raise NotFoundError("AlertNotFound", alert=alert_id[:80])
    return alert_rows.alert(row)


async def listing(  # noqa: PLR0913 - the filters of a listing
    *,
    is_open: bool | None = None,
    severity: Severity | None = None,
    tenant: str | None = None,
    pod: str | None = None,
    after: tuple[str, ...] | None = None,
    limit: int = 50,
) -> Page[AlertRecord]:
    """List alerts, newest first; ``severity`` is the least."""
    transaction, where = demanded(), Conditions()
    if transaction.scope.tenant_id:
        where.add("a.tenant_id = ?", known(transaction.scope.tenant_id))
    if is_open is not None:
        where.add(f"a.cleared_at is {'' if is_open else 'not '}null")
    if severity is not None:
        where.add("a.severity = any(?)", [one.value for one in Severity if _rank(one) >= _rank(severity)])
    if tenant is not None:
        where.add("a.tenant = ?", tenant)
    if pod is not None:
        where.add("a.pod = ?", pod)
    if after is not None:
        where.add("a.id < ?", known(after[0]))
    size = where.number(rows.page_size(limit) + 1)
    found = await transaction.fetch(f"{_ALERT} {where.sql} order by a.id desc limit {size}", *where.args)
    return rows.page([alert_rows.alert(row) for row in found], limit, lambda one: (one.id,))


async def count_open(tenant_id: str) -> int:
    """Count a tenant's open alerts."""
    count: int = await demanded().value(
        "select count(*) from alerts where tenant_id = $1 and cleared_at is null", known(tenant_id)
    )
    return count


async def prune(kept: timedelta, limit: int) -> int:
    """Drop alerts that have been over for longer than that, with their messages; gives how many."""
    return await demanded().execute(
        "delete from alerts where id in (select id from alerts where cleared_at < now() - $1::interval limit $2)",
        kept,
        limit,
    )


async def prune_crowded(keep: int, limit: int) -> int:
    """Drop the oldest alerts that are over of a pod, or the platform, that has more than ``keep``; gives how many."""
    return await demanded().execute(
        "delete from alerts where id in ("
        " select a.id from (select pod_id from alerts where cleared_at is not null"
        "                   group by pod_id having count(*) > $1 limit 1) crowded"
        " join alerts a on a.pod_id is not distinct from crowded.pod_id where a.cleared_at is not null"
        " order by a.id desc offset $1 limit $2)",
        keep,
        limit,
    )


def _rank(severity: Severity) -> int:
    return list(Severity).index(severity)
