"""Takes messages out of the outbox to be sent, and writes down what came of it. Needs an open transaction.

What fails makes its message wait, and its target too: the more fails there, the longer. A message that no target takes
thus waits by itself, and a target that is away is not asked for each of its messages. What an earlier clock put off for
longer than any pause is due.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from agentpod_server.alert_records import MessageKind, MessageRecord, TargetRecord, ToldRecord
from agentpod_server.records import Failure
from agentpod_server.store import alert_rows, leadership, outbox, rows, targets
from agentpod_server.store.ids import known
from agentpod_server.store.transactions import demanded

LONGEST_PAUSE: Final = timedelta(hours=1)
"""Nothing is put off for longer than that."""

MOST_TOGETHER: Final = 1000
"""So many messages are taken at a time."""

# The one that is later; null is none.
_AT = "greatest(o.due_at, r.not_before)"
_PUT_OFF = f"{_AT} > now() and {_AT} <= now() + interval '{LONGEST_PAUSE.total_seconds() + 60:.0f} seconds'"

PENDING = f"""
    from alerts_outbox o join alert_routes r on r.id = o.route_id join alerts a on a.id = o.alert_id
    where o.state = 'pending' and not r.is_paused and (o.kind = 'recovered' or ({outbox.WANTED}))
"""
"""The messages ``o`` that are to be sent, now or later, and that nobody wants to be kept."""

# An end waits for the beginnings before it, and a beginning for the ends, of the same subject: for those that are to be
# sent and are not yet in the hands (``$2``) of who asks.
_DUE = f"""
    {PENDING} and o.epoch <= $1 and not ({_PUT_OFF}) and o.id <> all($2::uuid[])
      and not exists (select from alerts_outbox e join alerts a on a.id = e.alert_id
                      where e.route_id = o.route_id and e.subject = o.subject and e.state = 'pending'
                        and e.kind <> o.kind and e.number < o.number and e.id <> all($2::uuid[])
                        and (e.kind = 'recovered' or ({outbox.WANTED})))
"""

# What was tried least comes first: what nobody takes must not be tried in place of the others.
_TAKE = f"""
    update alerts_outbox set epoch = $1, attempts = attempts + 1 where id in (
        select o.id {_DUE} and o.route_id = $3 and ($4::uuid[] is null or o.subject = any($4))
        order by o.attempts, o.number limit $5 for update of o skip locked)
    returning id, subject
"""

# An end speaks of an alert that its target was told of.
_MESSAGES = """
    select o.id as message_id, o.kind as message_kind, o.attempts, o.created_at as written_at, a.*,
           array(select b.id from alerts b where b.cleared_at = a.cleared_at
                 and (b.pod_id = a.pod_id or b.id = a.id) order by b.raised_at, b.id) as ends
    from alerts_outbox o join alerts h on h.id = o.alert_id
    join alerts a on a.id = coalesce(
        (select e.alert_id from alerts_outbox e join alerts b on b.id = e.alert_id
         where o.kind = 'recovered' and e.kind = 'raised' and e.state = 'delivered'
           and e.route_id = o.route_id and e.subject = o.subject and b.cleared_at = h.cleared_at
         order by e.number desc limit 1), o.alert_id)
    where o.id = any($1) order by o.number
"""

_TOLD = """
    o.id, o.alert_id, a.reason, a.tenant, a.pod, o.kind, o.state, o.attempts, o.error, o.created_at, o.done_at
"""

_GIVE_UP = f"""
    update alerts_outbox o set state = 'failed', error = coalesce(o.error, $2), done_at = now() from alerts a
    where a.id = o.alert_id and o.route_id = $1 and o.state = 'pending' and o.missed >= $3 and a.cleared_at is not null
    returning {_TOLD}
"""

_REFUSED = f"""
    update alerts_outbox o set state = 'failed', error = $2, done_at = now() from alerts a
    where a.id = o.alert_id and o.id = any($1) and o.state = 'pending' and o.epoch = $3
    returning {_TOLD}
"""

# Who heard of none of the alerts that ended together need not know of their end.
_UNHEARD = """
    update alerts_outbox o set state = 'failed', error = $3, done_at = now() from alerts a
    where a.id = o.alert_id and o.route_id = $1 and o.kind = 'recovered' and o.state = 'pending'
      and exists (select from alerts_outbox e join alerts b on b.id = e.alert_id
                  where e.alert_id = any($2) and e.route_id = o.route_id and e.subject = o.subject
                    and b.cleared_at = a.cleared_at)
      and not exists (select from alerts_outbox e join alerts b on b.id = e.alert_id
                      where e.route_id = o.route_id and e.subject = o.subject and e.kind = 'raised'
                        and e.state in ('pending', 'delivered') and b.cleared_at = a.cleared_at)
"""


class Waiting(Struct, frozen=True, kw_only=True):
    """A target that something is due for: its id, its owner, the notifier that it is told by, and its ``failures``."""

    id: str
    tenant_id: str | None
    kind: str
    failures: int


class Pauses(Struct, frozen=True, kw_only=True):
    """How long to wait after a failure: each message for itself, and their target for all that it is to be told.

    ``failures`` counts what failed there, the same message alone once. Of what is over, a message is given up that has
    waited for ``patience`` tries in vain.
    """

    messages: Sequence[timedelta]
    target: timedelta
    failures: int
    patience: int


async def waiting(epoch: int) -> tuple[list[Waiting], float | None]:
    """List the targets that something is due for, and say in how many seconds the next message after those is due."""
    transaction = demanded()
    found = await transaction.fetch(f"select distinct o.route_id, r.tenant_id, r.kind, r.failures {_DUE}", epoch, [])
    later: timedelta | None = await transaction.value(f"select min({_AT}) - now() {PENDING} and {_PUT_OFF}")
    due = [
        Waiting(
            id=str(row["route_id"]),
            tenant_id=str(row["tenant_id"]) if row["tenant_id"] else None,
            kind=row["kind"],
            failures=row["failures"],
        )
        for row in found
    ]
    return due, None if later is None else later.total_seconds()


async def claim(epoch: int, target_id: str, most: int = 1, *, gathers: bool = False) -> list[MessageRecord]:
    """Take a target's oldest messages that are due, for one try by the leader of that epoch.

    Where it ``gathers``, also what comes after them of the same subjects: ends together with their beginnings. What
    that leader took before and has not put back is given again: its one worker for the target was cut short.

    Raises:
        ConflictError: ``NotLeader``.
    """
    transaction = demanded()
    await leadership.demand(epoch)
    taken = await transaction.fetch(_TAKE, epoch, [], known(target_id), None, most)
    if not taken:
        return []
    following = taken
    while gathers and following:
        held, subjects = [row["id"] for row in taken], {row["subject"] for row in taken}
        room = MOST_TOGETHER - len(taken)
        following = await transaction.fetch(_TAKE, epoch, held, known(target_id), list(subjects), room)
        taken += following
    target = await targets.by_id(target_id)
    return [
        MessageRecord(
            id=str(row["message_id"]),
            kind=MessageKind(row["message_kind"]),
            attempts=row["attempts"],
            created_at=row["written_at"],
            alert=alert_rows.alert(row),
            pod_id=str(row["pod_id"]) if row["pod_id"] else None,
            target=target,
            ends=tuple(map(str, row["ends"])),
        )
        for row in await transaction.fetch(_MESSAGES, [row["id"] for row in taken])
    ]


async def delivered(messages: Sequence[MessageRecord], rest: timedelta) -> None:
    """Cross messages out that arrived together; their target is left alone for that long."""
    transaction, target = demanded(), messages[0].target
    ids = [known(one.id) for one in messages]
    await transaction.execute(
        "update alerts_outbox set state = 'delivered', error = null, done_at = now()"
        " where id = any($1) and state <> 'delivered'",
        ids,
    )
    if target.failures > 1 or known(target.failed_message or "") in ids:
        await outbox.due_now(target.id)
    await targets.note(target.id, None)
    await transaction.execute(
        "update alert_routes set failures = 0, failed_message = null, not_before = now() + $2 where id = $1",
        known(target.id),
        rest,
    )


async def postponed(messages: Sequence[MessageRecord], epoch: int, why: Failure, pauses: Pauses) -> list[ToldRecord]:
    """Put back messages that were sent in vain, to be tried again; gives those that are given up instead.

    Where their target was changed meanwhile, or took another message, they are due at once and nothing is noted.
    """
    transaction, target = demanded(), messages[0].target
    ids = [known(one.id) for one in messages]
    if not await _is_as_it_was(target):
        await _put_back(ids, epoch)
        return []
    done = await transaction.execute(
        "update alerts_outbox o set epoch = 0, error = $4, due_at = now() + p.pause"
        " from unnest($1::uuid[], $2::interval[]) p (id, pause)"
        " where o.id = p.id and o.state = 'pending' and o.epoch = $3",
        ids,
        list(pauses.messages),
        epoch,
        rows.text(why),
    )
    if not done:
        return []
    await _rest(messages, why, pauses)
    # As soon as a second try fails it is the target that is in trouble, and all that waits has been tried with it.
    await transaction.execute(
        "update alerts_outbox set missed = missed + 1"
        " where route_id = $1 and state = 'pending' and (id = any($2) or $3)",
        known(target.id),
        ids,
        pauses.failures > 1,
    )
    lost = await transaction.fetch(_GIVE_UP, known(target.id), rows.text(why), pauses.patience)
    return await _given_up(target.id, [alert_rows.told(row) for row in lost], why)


async def refused(messages: Sequence[MessageRecord], epoch: int, why: Failure, pauses: Pauses) -> list[ToldRecord]:
    """Give messages up that their target does not want; gives those that nobody else tries by now.

    Where the target was changed meanwhile, or took another message, they are tried again instead.
    """
    transaction, target = demanded(), messages[0].target
    ids = [known(one.id) for one in messages]
    if not await _is_as_it_was(target):
        await _put_back(ids, epoch)
        return []
    lost = await transaction.fetch(_REFUSED, ids, rows.text(why), epoch)
    if lost:
        await _rest(messages, why, pauses)
    return await _given_up(target.id, [alert_rows.told(row) for row in lost], why)


async def rest(target_id: str, why: Failure, pause: timedelta) -> None:
    """Leave a target alone for a while, for what is no fault of its messages; whoever changes it ends that."""
    await targets.note(target_id, why)
    await demanded().execute("update alert_routes set not_before = now() + $2 where id = $1", known(target_id), pause)


async def _is_as_it_was(target: TargetRecord) -> bool:
    """Say whether nobody changed a target since it was read, nor got a message through, and keep it so."""
    found = await demanded().fetch(
        "select from alert_routes where id = $1 and generation = $2 and delivered_at is not distinct from $3"
        " for no key update",
        known(target.id),
        target.generation,
        target.delivered_at,
    )
    return bool(found)


async def _put_back(ids: Sequence[UUID | None], epoch: int) -> None:
    await demanded().execute(
        "update alerts_outbox set epoch = 0, due_at = now() where id = any($1) and state = 'pending' and epoch = $2",
        ids,
        epoch,
    )


async def _rest(messages: Sequence[MessageRecord], why: Failure, pauses: Pauses) -> None:
    target = messages[0].target
    await rest(target.id, why, pauses.target)
    await demanded().execute(
        "update alert_routes set failures = $2, failed_message = $3 where id = $1",
        known(target.id),
        pauses.failures,
        known(messages[0].id),
    )


async def _given_up(target_id: str, lost: list[ToldRecord], why: Failure) -> list[ToldRecord]:
    if lost:
        await demanded().execute(_UNHEARD, known(target_id), [known(one.alert_id) for one in lost], rows.text(why))
    return lost
