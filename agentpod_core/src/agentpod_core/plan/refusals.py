"""Concludes what a pass comes to that was not carried out: what is said of the pod, and when it is tried again."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from agentpod_core.errors import AgentPodError, NotFoundError, PermanentError, TemporaryError
from agentpod_core.plan import alerting, healing
from agentpod_core.plan.timings import Timings
from agentpod_core.plan.value import Plan
from agentpod_core.values.actions import RunOnce, TellHealed
from agentpod_core.values.status import Condition, ConditionType, Happening, Phase, PodStatus, Severity

LEAVING = (Phase.STOPPING, Phase.DELETING)


def applied_badly(
    plan_: Plan,
    error: AgentPodError,
    now: datetime,
    timings: Timings,
    *,
    before: PodStatus = PodStatus(),  # noqa: B008 - frozen
) -> Plan:
    """Give the plan as it stands after one of its actions failed so; ``before`` is the status until then."""
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
    if isinstance(error, PermanentError) and any(isinstance(action, RunOnce) for action in plan_.actions):
        # The repair was tried, and mended nothing.
        record = msgspec.structs.replace(record, repaired=True)
    since = _since(before, plan_.status.observed_generation, now)
    condition = Condition(
        type=ConditionType.APPLIED,
        status=False,
        reason=error.reason,
        params=error.params,
        since=since,
        generation=plan_.status.observed_generation,
    )
    conditions = tuple(condition if one.type is condition.type else one for one in plan_.status.conditions)
    # What is gone was removed in the midst of the pass, which is over soon.
    can_mend = isinstance(error, TemporaryError | NotFoundError)
    lasts = now - since >= timedelta(seconds=timings.longest_backoff)
    phase = _phase(plan_.status.phase, can_mend=can_mend, lasts=lasts)
    status = msgspec.structs.replace(
        plan_.status, phase=phase, reason=error.reason, params=error.params, conditions=conditions
    )
    record, alerts = alerting.of_phase(record, status, now)
    happening = Happening(
        kind="pod",
        reason=error.reason,
        severity=Severity.WARNING if can_mend and not lasts else Severity.ERROR,
        params={**error.params, "phase": phase.value},
    )
    return msgspec.structs.replace(
        plan_,
        actions=(),
        status=status,
        record=record,
        happenings=(*plan_.happenings, happening),
        alerts=(*plan_.alerts, *alerts),
        wake_at=now + _pause(error, now - since, timings),
    )


def _phase(planned: Phase, *, can_mend: bool, lasts: bool) -> Phase:
    """Say how bad it is: what may pass is no news until it has lasted, and who is to go needs no person."""
    if planned in LEAVING:
        return planned
    if not can_mend:
        return Phase.BLOCKED
    return Phase.DEGRADED if lasts and planned is not Phase.CRASH_LOOP else planned


def _since(before: PodStatus, generation: int, now: datetime) -> datetime:
    """Say since when something stands in the way of that spec, whatever it was at first."""
    kept = before.condition(ConditionType.APPLIED)
    if kept is None or kept.status is not False or kept.reason == "Applying" or kept.generation != generation:
        return now
    return min(kept.since, now)


def _pause(error: AgentPodError, lasted: timedelta, timings: Timings) -> timedelta:
    """Give how long to leave it: as long again as it has lasted; what is permanent waits for a new spec."""
    asked = error.retry_after if isinstance(error, TemporaryError) else None
    if asked is not None:
        return timedelta(seconds=asked)
    if isinstance(error, PermanentError):
        return timedelta(seconds=timings.longest_backoff)
    return timedelta(seconds=min(max(lasted.total_seconds(), timings.first_backoff), timings.longest_backoff))


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)
