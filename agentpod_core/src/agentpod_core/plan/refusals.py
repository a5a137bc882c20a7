"""Concludes what is said of a pod while something is refused that it needs, and when that is tried again."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from agentpod_core.errors import AgentPodError, NotFoundError, PermanentError, TemporaryError
from agentpod_core.observed import Refusal
from agentpod_core.plan import alerting, healing
from agentpod_core.plan.conclude import earlier
from agentpod_core.plan.steps import WAITS
from agentpod_core.plan.timings import Timings
from agentpod_core.plan.value import Plan
from agentpod_core.values.actions import CreateContainer, RunOnce, StartContainer, StopContainer, TellHealed, WriteFiles
from agentpod_core.values.status import Condition, ConditionType, Happening, Phase, PodStatus, Record, Severity

LEAVING = (Phase.STOPPING, Phase.DELETING)

UNDER_WAY = ("Applying", "WaitingForEngine", *WAITS)
"""Reasons for which not all is applied that speak of no failure."""


def applied_badly(  # noqa: PLR0913 - all that follows from a try that failed
    plan_: Plan,
    error: AgentPodError,
    now: datetime,
    timings: Timings,
    *,
    before: PodStatus = PodStatus(),  # noqa: B008 - frozen
    back_at: datetime | None = None,
) -> Plan:
    """Give the plan as it stands after one of its actions failed so; ``before`` is the status until then.

    ``back_at`` is since when the engine is known to answer.
    """
    if any(isinstance(action, TellHealed) for action in plan_.actions):
        record, happenings = healing.told_in_vain(plan_.assessed, error, now, timings)
        return msgspec.structs.replace(
            plan_,
            actions=(),
            record=record,
            happenings=(*plan_.happenings, *happenings),
            wake_at=_sooner(plan_.wake_at, record.heal_at),
        )
    record = plan_.assessed
    wait = None
    if isinstance(error, PermanentError) and any(isinstance(action, RunOnce) for action in plan_.actions):
        # The repair was tried, and mended nothing: what that means is said at the next look.
        record = msgspec.structs.replace(record, repaired=True)
        wait = timedelta(seconds=timings.settle)
    kinds = {type(action) for action in plan_.actions}
    as_it_is = StartContainer in kinds and not kinds & {CreateContainer, WriteFiles}
    record = msgspec.structs.replace(record, refuses_start=as_it_is)
    refusal = refusal_of(error)
    status = refused(plan_.status, before, refusal, now, timings, back_at=back_at)
    if StopContainer in kinds and record.expects_exit and error.reason != "EngineUnreachable":
        # An agent was ended for it, not in a rehearsal: the longer this goes on the less often is it ended again.
        record = msgspec.structs.replace(record, change_at=_next_change(status, now, timings))
    # What a repair in vain means, the next look tells.
    record, alerts = (record, ()) if wait else alerting.again(record, status, now)
    return msgspec.structs.replace(
        plan_,
        actions=(),
        status=status,
        record=record,
        happenings=(*plan_.happenings, happening(status, refusal)),
        alerts=(*plan_.alerts, *alerts),
        wake_at=now + (wait or pause(error, lasted(status, now), timings)),
    )


def _next_change(status: PodStatus, now: datetime, timings: Timings) -> datetime:
    return now + max(lasted(status, now), timedelta(seconds=timings.longest_backoff))


def in_our_time(record: Record, status: PodStatus, now: datetime, timings: Timings) -> Record:
    """Bear a clock that was set back: no change waits for longer than from now on."""
    if record.change_at is None:
        return record
    return msgspec.structs.replace(record, change_at=min(record.change_at, _next_change(status, now, timings)))


def refusal_of(error: AgentPodError, next_at: datetime | None = None) -> Refusal:
    """Put an error as what stands in the way; what is gone was removed in the midst of a pass, and comes back."""
    can_mend = isinstance(error, TemporaryError | NotFoundError)
    return Refusal(reason=error.reason, params=error.params, can_mend=can_mend, next_at=next_at)


def standing(status: PodStatus, generation: int) -> Refusal | None:
    """Give what the last try to apply that spec failed for; None where none was made, or none failed."""
    applied = status.condition(ConditionType.APPLIED)
    if applied is None or applied.status is not False or applied.generation != generation:
        return None
    if applied.reason in UNDER_WAY:
        return None
    is_blocked = status.phase is Phase.BLOCKED and status.reason == applied.reason
    return Refusal(reason=applied.reason, params=applied.params, can_mend=not is_blocked)


def refused(  # noqa: PLR0913 - all that a refusal's weight follows from
    status: PodStatus,
    before: PodStatus,
    refusal: Refusal,
    now: datetime,
    timings: Timings,
    *,
    back_at: datetime | None = None,
) -> PodStatus:
    """Give a status as it is with that in the way of the spec; ``back_at`` is since when the engine answers."""
    generation = next((one.generation for one in status.conditions if one.type is ConditionType.APPLIED), 0)
    since = _since(before, generation, now, back_at)
    condition = Condition(
        type=ConditionType.APPLIED,
        status=False,
        reason=refusal.reason,
        params=refusal.params,
        since=since,
        generation=generation,
    )
    phase = status.phase
    if phase not in LEAVING:
        is_long = now - since >= timedelta(seconds=timings.longest_backoff)
        if not refusal.can_mend:
            phase = Phase.BLOCKED
        elif is_long and phase is not Phase.CRASH_LOOP:
            phase = Phase.DEGRADED
    is_seen = phase is Phase.BLOCKED or phase in LEAVING
    return msgspec.structs.replace(
        status,
        phase=phase,
        reason=refusal.reason,
        params=refusal.params,
        # Who waits for this spec is to wait on while it may still come, whatever goes on meanwhile.
        observed_generation=generation if is_seen else earlier(before, generation),
        conditions=tuple(condition if one.type is condition.type else one for one in status.conditions),
    )


def happening(status: PodStatus, refusal: Refusal) -> Happening:
    """Give the event that something is refused: what may pass is a warning until it has lasted."""
    is_bad = not refusal.can_mend or status.phase is Phase.DEGRADED
    return Happening(
        kind="pod",
        reason=refusal.reason,
        severity=Severity.ERROR if is_bad else Severity.WARNING,
        params={**refusal.params, "phase": status.phase.value},
    )


def lasted(status: PodStatus, now: datetime) -> timedelta:
    """Say for how long something has stood in the way."""
    applied = status.condition(ConditionType.APPLIED)
    return now - applied.since if applied else timedelta()


def pause(error: AgentPodError, lasted_: timedelta, timings: Timings) -> timedelta:
    """Give how long to leave it: as long again as it has lasted; what is permanent waits for a new spec."""
    asked = error.retry_after if isinstance(error, TemporaryError) else None
    if asked is not None:
        return timedelta(seconds=asked)
    if isinstance(error, PermanentError):
        return timedelta(seconds=timings.longest_backoff)
    return timedelta(seconds=min(max(lasted_.total_seconds(), timings.first_backoff), timings.longest_backoff))


def _since(before: PodStatus, generation: int, now: datetime, back_at: datetime | None) -> datetime:
    """Say since when something stands in the way of that spec, whatever it was at first; an outage is no refusal."""
    kept = before.condition(ConditionType.APPLIED)
    if kept is None or standing(before, generation) is None:
        return now
    if kept.reason == "EngineUnreachable" and back_at is not None:
        return min(max(kept.since, back_at), now)
    return min(kept.since, now)


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)
