"""Decides, purely, what one pass does for a pod and what it concludes about it.

``plan`` is a function of what is wanted, what is seen, what is remembered and the time; the same
plan is the dry run, the answer of the API and what gets applied. It touches nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from agentpod_core.desired import Desired
from agentpod_core.observed import Observed
from agentpod_core.plan import alerting, healing, memory, refusals
from agentpod_core.plan.answers import current_probe, is_late, own_container
from agentpod_core.plan.conclude import conclude, transition, waited
from agentpod_core.plan.failures import assess
from agentpod_core.plan.refusals import applied_badly
from agentpod_core.plan.steps import BACKING_OFF, WAITS, Steps, announced, needs_image, steps
from agentpod_core.plan.timings import Timings
from agentpod_core.plan.unseen import REASON as HIDDEN
from agentpod_core.plan.unseen import hidden, unseen
from agentpod_core.plan.value import Plan
from agentpod_core.values.actions import StopContainer
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import PodStatus, Record
from agentpod_core.values.world import ContainerState

__all__ = ["Plan", "Timings", "applied_badly", "hidden", "needs_image", "plan", "unseen"]


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
    if before.reason == HIDDEN:
        # What it did meanwhile nobody knows: a good spell begins with the first look.
        found = msgspec.structs.replace(found, record=alerting.renewed(found.record, now))
    stands = refusals.standing(before, desired.generation) if desired.wanted is Wanted.RUNNING else None
    if stands:
        found = msgspec.structs.replace(found, record=refusals.in_our_time(found.record, before, now, timings))
    is_full_soon = observed.trend is not None and memory.may_restart(desired, observed, found.record, timings)
    todo = steps(
        desired,
        observed,
        found.record,
        now,
        is_hung=found.is_hung,
        is_full_soon=is_full_soon,
        is_refused=stands is not None,
    )
    actions, after = todo.actions, todo.record
    is_end = bool(actions) and any(isinstance(action, StopContainer) for action in actions)
    # Where a change is refused again and again, the agent is told between two tries of it.
    telling = healing.telling(desired, observed, found.record, now) if stands or not is_end else None
    status = conclude(desired, observed, todo, before, now, timings)
    refusal = None
    if todo.lacks_image and observed.refused_image:
        refusal = observed.refused_image
    elif (telling and actions) or todo.is_upkeep or (todo.waits_for in (*WAITS, BACKING_OFF) and not actions):
        # To wait is no try: what the last one came to still stands.
        refusal = stands
    news = transition(before, status)
    if refusal:
        status = refusals.refused(status, before, refusal, now, timings, back_at=observed.back_at)
        is_news = (status.phase, status.reason) != (before.phase, before.reason)
        news = (refusals.happening(status, refusal),) if is_news else ()
    is_settled = not (actions or todo.waits_for or refusal)
    assessed, alerts = alerting.follow(
        desired, record, found.record, status, found.happenings, now, timings, is_settled=is_settled
    )
    if assessed is not found.record:
        after = alerting.remembered(after, assessed)
    unchanged = None
    if is_end and not telling:
        assessed = announced(assessed, after)
        unchanged = conclude(desired, observed, Steps(record=found.record), before, now, timings)
    wake_at = _wake_at(desired, observed, after, todo, status, now, timings)
    if telling and actions:
        # They have their turn when that is over, however it ends.
        after, wake_at = assessed, now + timedelta(seconds=timings.settle)
    relieves = is_full_soon and not telling and any(one.reason == memory.WORRY for one in actions)
    relief = (memory.restarted(observed),) if relieves else ()
    return Plan(
        actions=(telling,) if telling else actions,
        status=status,
        assessed=assessed,
        record=healing.told(after) if telling else after,
        happenings=(*found.happenings, *relief, *news),
        alerts=alerts,
        waits_for=todo.waits_for,
        lacks_image=todo.lacks_image,
        unchanged=unchanged,
        wake_at=wake_at,
        is_gone=desired.wanted is Wanted.DELETED and not todo.actions and not observed.containers,
    )


def _wake_at(  # noqa: PLR0913 - see plan
    desired: Desired,
    observed: Observed,
    record: Record,
    todo: Steps,
    status: PodStatus,
    now: datetime,
    timings: Timings,
) -> datetime | None:
    if desired.wanted is not Wanted.RUNNING:
        return None
    moments = _waiting(record, todo.waits_for, status, now, timings)
    moments += _running(desired, observed, record, now, timings)
    if record.change_at:
        moments.append(record.change_at)
    if todo.lacks_image and observed.refused_image and observed.refused_image.next_at:
        moments.append(observed.refused_image.next_at)
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
    if probed is not None and not record.was_ready and is_late(desired, container, probed):
        # It makes headway; how long it may go on so is looked at again.
        moments.append(now + timedelta(seconds=timings.first_backoff))
    return moments
