"""What is still to be told to whom: written with the alert, and crossed out once it was delivered.

A target is told of an alert once, and once more when that is over. Needs an open transaction that sees all tenants.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from asyncpg import Record as Row

from agentpod_server.alert_records import MessageKind, MessageRecord
from agentpod_server.records import Failure
from agentpod_server.store import alert_rows, leadership, rows, targets
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.transactions import demanded

SILENCES_ALERT = """
    s.ends_at > now() and s.tenant in ('', a.tenant) and s.pod in ('', a.pod) and s.reason in ('', a.reason)
"""
"""Whether the silence ``s`` is about the alert ``a``."""

_RANK = "array_position(array['info', 'warning', 'error'], {}::text)"

_UNTOLD = f"""
    select a.id as alert_id, r.id as route_id, r.tenant_id, coalesce(a.pod_id, a.id) as subject
    from alerts a join alert_routes r on r.tenant_id is null or r.tenant_id = a.tenant_id
    where a.cleared_at is null and ($1::uuid[] is null or a.id = any($1))
      and {_RANK.format("a.severity")} >= {_RANK.format("r.min_severity")}
      and (r.reasons = '[]' or r.reasons ? a.reason)
      and not exists (select from alerts_outbox o
                      where o.alert_id = a.id and o.route_id = r.id and o.kind = 'raised')
      and not exists (select from silences s
                      where {SILENCES_ALERT} and (s.tenant_id is null or s.tenant_id = r.tenant_id))
    order by a.raised_at, a.id, r.id
"""

# Of several alerts that end together each target hears once, about one that it was told of.
_TOLD = """
    select distinct on (o.route_id) o.alert_id, o.route_id, o.tenant_id, o.subject
    from alerts_outbox o
    where o.alert_id = any($1) and o.kind = 'raised' and o.state in ('pending', 'delivered')
    order by o.route_id, o.created_at desc, o.id desc
"""

_INSERT = """
    insert into alerts_outbox (id, tenant_id, alert_id, route_id, subject, kind, due_at, created_at)
    values ($1, $2, $3, $4, $5, $6, now(), clock_timestamp()) on conflict do nothing
"""

# A message waits for what its target is still to hear of the same subject.
_DUE = """
    o.state = 'pending' and o.due_at <= now()
    and not exists (select from alerts_outbox e
                    where e.route_id = o.route_id and e.subject = o.subject and e.state = 'pending'
                      and (e.created_at, e.id) < (o.created_at, o.id))
"""

_MESSAGE = """
    select o.id as message_id, o.kind as message_kind, o.attempts, o.created_at as written_at, o.route_id, a.*,
           array(select b.id from alerts b where b.cleared_at = a.cleared_at
                 and b.pod_id is not distinct from a.pod_id order by b.raised_at, b.id) as ends
    from alerts_outbox o join alerts a on a.id = o.alert_id
    where o.id = $1
"""


async def tell(alert_ids: Collection[UUID] | None = None) -> int:
    """Write a message for each target that should know of these open alerts (None: of all) and was not told yet."""
    found = await demanded().fetch(_UNTOLD, None if alert_ids is None else list(alert_ids))
    return await _write(found, MessageKind.RAISED)


async def tell_over(alert_ids: Collection[UUID]) -> int:
    """Write a message for each target that was told, or is about to be, of these alerts that ended together."""
    return await _write(await demanded().fetch(_TOLD, list(alert_ids)), MessageKind.RECOVERED)


async def waiting(epoch: int) -> tuple[list[str], float | None]:
    """List the targets that something is due for, and say in how many seconds the next message after those is due."""
    transaction = demanded()
    found = await transaction.fetch(
        f"select distinct o.route_id from alerts_outbox o where o.epoch <= $1 and {_DUE}", epoch
    )
    later: timedelta | None = await transaction.value(
        "select min(due_at) - now() from alerts_outbox where state = 'pending' and due_at > now()"
    )
    return [str(row["route_id"]) for row in found], None if later is None else later.total_seconds()


async def claim(epoch: int, target_id: str) -> MessageRecord | None:
    """Take a target's oldest message that is due, for one try by the leader of that epoch; None without one.

    What that leader took before and has not put back is given again: its one worker for the target was cut short.

    Raises:
        ConflictError: ``NotLeader``.
    """
    transaction = demanded()
    await leadership.demand(epoch)
    message_id = await transaction.value(
        "update alerts_outbox set epoch = $1, attempts = attempts + 1 where id = ("
        f" select o.id from alerts_outbox o where o.route_id = $2 and o.epoch <= $1 and {_DUE}"
        " order by o.created_at, o.id limit 1 for update skip locked) returning id",
        epoch,
        known(target_id),
    )
    if message_id is None:
        return None
    row = await transaction.row(_MESSAGE, message_id)
    assert row is not None  # noqa: S101 - it was just found
    return MessageRecord(
        id=str(row["message_id"]),
        kind=MessageKind(row["message_kind"]),
        attempts=row["attempts"],
        created_at=row["written_at"],
        alert=alert_rows.alert(row),
        pod_id=str(row["pod_id"]) if row["pod_id"] else None,
        target=await targets.by_id(target_id),
        ends=tuple(map(str, row["ends"])),
    )


async def delivered(message: MessageRecord) -> None:
    """Cross a message out: it arrived."""
    done = await demanded().execute(
        "update alerts_outbox set state = 'delivered', error = null, done_at = now()"
        " where id = $1 and state = 'pending'",
        known(message.id),
    )
    if done:
        await targets.note(message.target.id, None)


async def postponed(message: MessageRecord, epoch: int, why: Failure, seconds: float) -> None:
    """Try a message again after that many seconds."""
    done = await demanded().execute(
        "update alerts_outbox set epoch = 0, error = $3, due_at = now() + $4"
        " where id = $1 and state = 'pending' and epoch = $2",
        known(message.id),
        epoch,
        rows.text(why),
        timedelta(seconds=seconds),
    )
    if done:
        await targets.note(message.target.id, why)


async def failed(message: MessageRecord, epoch: int, why: Failure) -> bool:
    """Give a message up, and with it the word that this alert is over: who never heard of it need not know.

    Gives False if somebody else tries it by now.
    """
    transaction = demanded()
    done = await transaction.execute(
        "update alerts_outbox set state = 'failed', error = $3, done_at = now()"
        " where id = $1 and state = 'pending' and epoch = $2",
        known(message.id),
        epoch,
        rows.text(why),
    )
    if not done:
        return False
    if message.kind is MessageKind.RAISED:
        await transaction.execute(
            "update alerts_outbox set state = 'failed', error = $3, done_at = now()"
            " where alert_id = $1 and route_id = $2 and kind = 'recovered' and state = 'pending'",
            known(message.alert.id),
            known(message.target.id),
            rows.text(why),
        )
    await targets.note(message.target.id, why)
    return True


async def _write(found: Collection[Row], kind: MessageKind) -> int:
    if found:
        await demanded().execute_many(
            _INSERT,
            [
                (uuid7(), row["tenant_id"], row["alert_id"], row["route_id"], row["subject"], kind.value)
                for row in found
            ],
        )
    return len(found)
