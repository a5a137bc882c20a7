"""Decides, purely, what one pass does for a pod and what it concludes about it.

``plan`` is a function of what is wanted, what is seen, what is remembered and the time; the same
plan is the dry run, the answer of the API and what gets applied. It touches nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from agentpod_core.desired import Desired
from agentpod_core.observed import Observed
from agentpod_core.plan import alerting, healing, memory
from agentpod_core.plan.answers import current_probe, is_late, own_container
from agentpod_core.plan.conclude import conclude, transition, unseen, waited
from agentpod_core.plan.failures import assess
from agentpod_core.plan.refusals import applied_badly
from agentpod_core.plan.steps import Steps, announced, steps
from agentpod_core.plan.timings import Timings
from agentpod_core.plan.value import Plan
from agentpod_core.values.actions import StopContainer
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import PodStatus, Record
from agentpod_core.values.world import ContainerState

__all__ = ["Plan", "Timings", "applied_badly", "plan", "unseen"]


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
    is_full_soon = observed.trend is not None and memory.may_restart(desired, observed, found.record, timings)
    todo = steps(desired, observed, found.record, now, is_hung=found.is_hung, is_full_soon=is_full_soon)
    status = conclude(desired, observed, todo, before, now, timings)
    actions, after = todo.actions, todo.record
    assessed, alerts = alerting.follow(desired, record, found.record, status, found.happenings, now, timings)
    if assessed is not found.record:
        after = alerting.remembered(after, assessed)
    unchanged = None
    if actions and any(isinstance(action, StopContainer) for action in actions):
        assessed = announced(assessed, after)
        unchanged = conclude(desired, observed, Steps(record=found.record), before, now, timings)
    telling = None if actions else healing.telling(desired, observed, after, now)
    relief = (
        (memory.restarted(observed),) if is_full_soon and any(one.reason == memory.WORRY for one in actions) else ()
    )
    return Plan(
        actions=(telling,) if telling else actions,
        status=status,
        assessed=assessed,
        record=healing.told(after) if telling else after,
        happenings=(*found.happenings, *relief, *transition(before, status)),
        alerts=alerts,
        waits_for=todo.waits_for,
        unchanged=unchanged,
        wake_at=_wake_at(desired, observed, after, todo.waits_for, status, now, timings),
        is_gone=desired.wanted is Wanted.DELETED and not actions and not observed.containers,
    )


def _wake_at(  # noqa: PLR0913 - see plan
    desired: Desired,
    observed: Observed,
    record: Record,
    waits_for: str,
    status: PodStatus,
    now: datetime,
    timings: Timings,
) -> datetime | None:
    if desired.wanted is not Wanted.RUNNING:
        return None
    moments = [*_waiting(record, waits_for, status, now, timings), *_running(desired, observed, record, now, timings)]
    return min((moment for moment in moments if moment > now), default=None) if moments else None


def _waiting(record: Record, waits_for: str, status: PodStatus, now: datetime, timings: Timings) -> list[datetime]:
    match waits_for:
        case "WaitingForEngine":
            # It tells when it is done; the longer it takes, the less is a look worth.
            lasted = waited(status, now).total_seconds()
            return [now + timedelta(seconds=min(max(lasted, timings.settle), timings.longest_backoff))]
        case "WaitingToStart":
            # Whoever frees a slot says so; this is for the case that nobody does.
            return [now + timedelta(seconds=timings.first_backoff)]
        case "BackingOff" if record.not_before:
            return [record.not_before]
    return []


def _running(desired: Desired, observed: Observed, record: Record, now: datetime, timings: Timings) -> list[datetime]:
    container = own_container(desired, observed)
    if container is None or container.state is not ContainerState.RUNNING:
        return []
    moments: list[datetime] = []
    if record.ready_since:
        if record.failures or record.repaired:
            moments.append(record.ready_since + timedelta(seconds=timings.good_spell))
        if record.heal_at:
            moments.append(record.heal_at)
    if record.alerting and (ends := alerting.end(record, timings)):
        moments.append(ends)
    if observed.oom_at is not None and observed.oom_at != record.seen_oom:
        moments.append(observed.oom_at + timedelta(seconds=timings.last_words))
    probed = current_probe(container, observed)
    if probed is not None and not record.was_ready and is_late(desired, probed):
        # It makes headway; how long it may go on so is looked at again.
        moments.append(now + timedelta(seconds=timings.first_backoff))
    return moments
