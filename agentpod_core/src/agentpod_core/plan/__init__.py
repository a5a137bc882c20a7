"""Decides, purely, what one pass does for a pod and what it concludes about it.

``plan`` is a function of what is wanted, what is seen, what is remembered and the time; the same
plan is the dry run, the answer of the API and what gets applied. It touches nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from agentpod_core.desired import Desired
from agentpod_core.errors import AgentPodError, TemporaryError
from agentpod_core.observed import Observed
from agentpod_core.plan.conclude import conclude, transition, unseen
from agentpod_core.plan.failures import assess, own_container
from agentpod_core.plan.steps import steps
from agentpod_core.plan.timings import Timings
from agentpod_core.values.actions import Action
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import (
    Condition,
    ConditionType,
    Happening,
    Phase,
    PodStatus,
    Record,
    Severity,
)
from agentpod_core.values.world import ContainerState

__all__ = ["Plan", "Timings", "applied_badly", "plan", "unseen"]


class Plan(Struct, frozen=True, kw_only=True):
    """One pass for one pod.

    ``assessed`` is the record before the actions, ``record`` the one that holds once all of them
    are done. ``wake_at`` is when to look again though nothing happens; None for the usual resync.
    ``is_gone`` says that nothing of a deleted pod is left.
    """

    actions: tuple[Action, ...]
    status: PodStatus
    assessed: Record
    record: Record
    happenings: tuple[Happening, ...] = ()
    wake_at: datetime | None = None
    is_gone: bool = False


def plan(  # noqa: PLR0913 - the whole input of a decision
    desired: Desired,
    observed: Observed,
    record: Record,
    now: datetime,
    *,
    before: PodStatus = PodStatus(),  # noqa: B008 - frozen
    timings: Timings = Timings(),  # noqa: B008 - frozen
) -> Plan:
    """Decide what to do for a pod and conclude how it is."""
    found = assess(desired, observed, record, now, timings)
    todo = steps(desired, observed, found.record, now, is_hung=found.is_hung)
    status = conclude(desired, observed, todo, before, now)
    return Plan(
        actions=todo.actions,
        status=status,
        assessed=found.record,
        record=todo.record,
        happenings=(*found.happenings, *transition(before, status)),
        wake_at=_wake_at(desired, observed, todo.record, todo.waits_for, now, timings),
        is_gone=desired.wanted is Wanted.DELETED and not todo.actions and not observed.containers,
    )


def applied_badly(plan_: Plan, error: AgentPodError, now: datetime, timings: Timings) -> Plan:
    """Give the plan as it stands after one of its actions failed with that error."""
    condition = Condition(
        type=ConditionType.APPLIED,
        status=False,
        reason=error.reason,
        params=error.params,
        since=now,
        generation=plan_.status.observed_generation,
    )
    conditions = tuple(condition if one.type is condition.type else one for one in plan_.status.conditions)
    can_mend = isinstance(error, TemporaryError)
    phase = plan_.status.phase if can_mend or plan_.status.phase is Phase.DELETING else Phase.BLOCKED
    wait = getattr(error, "retry_after", None) or (timings.first_backoff if can_mend else timings.longest_backoff)
    status = msgspec.structs.replace(
        plan_.status, phase=phase, reason=error.reason, params=error.params, conditions=conditions
    )
    happening = Happening(
        kind="pod",
        reason=error.reason,
        severity=Severity.WARNING if can_mend else Severity.ERROR,
        params={**error.params, "phase": phase.value},
    )
    return msgspec.structs.replace(
        plan_,
        actions=(),
        status=status,
        record=plan_.assessed,
        happenings=(*plan_.happenings, happening),
        wake_at=now + timedelta(seconds=wait),
    )


def _wake_at(  # noqa: PLR0913 - see plan
    desired: Desired, observed: Observed, record: Record, waits_for: str, now: datetime, timings: Timings
) -> datetime | None:
    if desired.wanted is not Wanted.RUNNING:
        return None
    moments: list[datetime] = []
    if waits_for == "WaitingForEngine":
        moments.append(now + timedelta(seconds=timings.settle))
    if waits_for == "WaitingToStart":
        # Whoever frees a slot says so; this is for the case that nobody does.
        moments.append(now + timedelta(seconds=timings.first_backoff))
    if waits_for == "BackingOff" and record.not_before:
        moments.append(record.not_before)
    container = own_container(desired, observed)
    is_running = container is not None and container.state is ContainerState.RUNNING
    if is_running and record.failures and record.ready_since:
        moments.append(record.ready_since + timedelta(seconds=timings.good_spell))
    return min((moment for moment in moments if moment > now), default=None)
