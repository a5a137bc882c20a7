"""What is to be told to whom: written in the transaction that changes the alert, taken back where it is moot.

A target is told of an alert once, and once more when that is over. Sending is ``sending``'s. Needs an open transaction
that sees all tenants.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from asyncpg import Record as Row

from agentpod_server.alert_records import MessageKind
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.transactions import demanded

SILENCES = """
    s.ends_at > now() and s.tenant in ('', a.tenant) and s.pod in ('', a.pod) and s.reason in ('', a.reason)
    and (s.tenant_id is null or s.tenant_id = {})
"""
"""Whether the silence ``s`` keeps the alert ``a`` from a target of that tenant."""

_RANK = "array_position(array['info', 'warning', 'error'], {}::text)"

WANTED = f"""
    {_RANK.format("a.severity")} >= {_RANK.format("r.min_severity")} and (r.reasons = '[]' or r.reasons ? a.reason)
    and not exists (select from silences s where {SILENCES.format("r.tenant_id")})
"""
"""Whether the target ``r`` is to hear now that the alert ``a`` began."""

# Who ends an alert locks it first: what is told here cannot be over before its message can be seen.
_UNTOLD = f"""
    select a.id as alert_id, r.id as route_id, coalesce(a.pod_id, a.id) as subject
    from alerts a join alert_routes r on r.tenant_id is null or r.tenant_id = a.tenant_id
    where a.cleared_at is null and ($1::uuid[] is null or a.id = any($1))
      and not exists (select from alerts_outbox o
                      where o.alert_id = a.id and o.route_id = r.id and o.kind = 'raised')
      and {WANTED}
    order by a.raised_at, a.id, r.id
    for key share of a skip locked
"""

_MOOT = f"""
    o.alert_id = any($1) and o.kind = 'raised' and o.state = 'pending'
    and ($2 or exists (select from alerts a, alert_routes r where a.id = o.alert_id and r.id = o.route_id
                       and not ({WANTED})))
"""

_DROP = f"delete from alerts_outbox o where {_MOOT} and o.attempts = 0"
_END = f"update alerts_outbox o set state = 'failed', done_at = now() where {_MOOT}"

_PASSED = f"""
    select o.alert_id, o.route_id, o.subject, a.cleared_at
    from alerts_outbox o join alert_routes r on r.id = o.route_id join alerts a on a.id = o.alert_id
    where o.kind = 'raised' and o.state = 'pending' and a.cleared_at is not null and not ({WANTED})
"""

# Nobody heard that any of them began, nor may have.
_UNBEGUN = """
    delete from alerts_outbox o using alerts a
    where a.id = o.alert_id and o.kind = 'recovered' and o.state = 'pending'
      and (o.route_id, o.subject, a.cleared_at) in (select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]))
      and not exists (select from alerts_outbox e join alerts b on b.id = e.alert_id
                      where e.route_id = o.route_id and e.subject = o.subject and e.kind = 'raised'
                        and b.cleared_at = a.cleared_at)
"""

# Of several alerts of a pod that end together each target hears once.
_OVER = """
    select distinct on (o.route_id, o.subject) o.alert_id, o.route_id, o.subject
    from alerts_outbox o
    where o.alert_id = any($1) and o.kind = 'raised' and o.state in ('pending', 'delivered')
    order by o.route_id, o.subject, o.number desc
"""

# A target that somebody removes at the moment is waited for, and is told nothing.
_INSERT = """
    insert into alerts_outbox (id, tenant_id, alert_id, route_id, subject, kind, due_at, created_at)
    select $1::uuid, r.tenant_id, $2::uuid, r.id, $4::uuid, $5::text, now(), clock_timestamp()
    from alert_routes r where r.id = $3 for key share
    on conflict do nothing
"""


async def tell(alert_ids: Collection[UUID] | None = None) -> int:
    """Write a message for each target that should know of these open alerts (None: of all) and was not told yet.

    What somebody else changes at the moment is left to them, and to the next call.
    """
    found = await demanded().fetch(_UNTOLD, None if alert_ids is None else list(alert_ids))
    return await _write(found, MessageKind.RAISED)


async def tell_over(alert_ids: Collection[UUID], *, is_stopped: bool = False) -> None:
    """Write a message for each target that was told, or is about to be, of these alerts that ended together.

    What nobody wants to hear at the moment, or ended because its pod was stopped, and was not sent yet, is not told any
    more. Where a try may have arrived although nobody said so, the end is told all the same.
    """
    transaction, ended = demanded(), list(alert_ids)
    await transaction.execute(_DROP, ended, is_stopped)
    found = await transaction.fetch(_OVER, ended)
    await transaction.execute(_END, ended, is_stopped)
    await _write(found, MessageKind.RECOVERED)


async def drop_passed() -> None:
    """Forget that something began that nobody wants to hear any more and that is over by now, and its end with it.

    What ends later is ``tell_over``'s. As there, the end is told where a try may have arrived.
    """
    transaction = demanded()
    found = await transaction.fetch(_PASSED)
    if not found:
        return
    passed, is_stopped = [row["alert_id"] for row in found], False
    await transaction.execute(_DROP, passed, is_stopped)
    await transaction.execute(_END, passed, is_stopped)
    columns = ([row[name] for row in found] for name in ("route_id", "subject", "cleared_at"))
    await transaction.execute(_UNBEGUN, *columns)


async def due_now(target_id: str) -> None:
    """Let a target be told at once of all that waits for it, for it is there again or was changed.

    What it refused for good is due as well, as far as that is still wrong.
    """
    transaction, route_id = demanded(), known(target_id)
    await transaction.execute(
        "update alert_routes set failures = 0, failed_message = null, not_before = null where id = $1", route_id
    )
    await transaction.execute(
        "update alerts_outbox o set state = 'pending', epoch = 0, due_at = now(), done_at = null from alerts a"
        " where o.route_id = $1 and o.kind = 'raised' and o.state = 'failed'"
        " and a.id = o.alert_id and a.cleared_at is null",
        route_id,
    )
    await transaction.execute(
        "update alerts_outbox set due_at = now() where route_id = $1 and state = 'pending' and due_at > now()", route_id
    )


async def _write(found: Collection[Row], kind: MessageKind) -> int:
    if found:
        await demanded().execute_many(
            _INSERT,
            [(uuid7(), row["alert_id"], row["route_id"], row["subject"], kind.value) for row in found],
        )
    return len(found)
