"""Concludes a pod's phase and conditions from what was asked, what is seen and what is about to be done."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from agentpod_core.desired import Desired
from agentpod_core.observed import Observed
from agentpod_core.plan.answers import current_probe, measure, own_container
from agentpod_core.plan.failures import DEGRADED, ENDED, LOOPING
from agentpod_core.plan.steps import BACKING_OFF, IMAGE, LIVING, SLOT, WAITS, Steps
from agentpod_core.plan.timings import Timings
from agentpod_core.values.actions import CreateContainer, RunOnce, StartContainer, StopContainer
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Condition, ConditionType, Happening, Phase, PodStatus, Record, Severity
from agentpod_core.values.world import ContainerState

KILLED = "EndedForMemory"
REPAIRING = "Repairing"
DOWN = (*ENDED, ContainerState.CREATED, ContainerState.RESTARTING, ContainerState.REMOVING)

SEVERITIES = {
    Phase.DEGRADED: Severity.ERROR,
    Phase.CRASH_LOOP: Severity.ERROR,
    Phase.BLOCKED: Severity.ERROR,
}


class Answer(Struct, frozen=True, kw_only=True):
    """A condition that does not know yet since when it holds."""

    type: ConditionType
    status: bool | None
    reason: str
    params: dict[str, Any] = {}


class Verdict(Struct, frozen=True, kw_only=True):
    """A phase and the one sentence that explains it."""

    phase: Phase
    reason: str
    params: dict[str, Any] = {}


PLANNED = Answer(type=ConditionType.PLANNED, status=True, reason="Planned")
APPLIED = Answer(type=ConditionType.APPLIED, status=True, reason="Applied")
APPLYING = Answer(type=ConditionType.APPLIED, status=False, reason="Applying")
RUNNING = Verdict(phase=Phase.RUNNING, reason="Running")
STARTING = Verdict(phase=Phase.STARTING, reason="Starting")
IN_LINE = Verdict(phase=Phase.PENDING, reason=SLOT)
STUCK = Verdict(phase=Phase.DEGRADED, reason="WaitingForEngine")
WAITING = Answer(type=ConditionType.APPLIED, status=False, reason=STUCK.reason)


def conclude(  # noqa: PLR0913 - all that a status follows from
    desired: Desired, observed: Observed, steps: Steps, before: PodStatus, now: datetime, timings: Timings
) -> PodStatus:
    """Conclude the status; a condition that did not change keeps its ``since``.

    It goes on speaking of the earlier generation for as long as the agent of that one may be taken for what is wanted.
    """
    verdict = _verdict(desired, observed, steps)
    if steps.waits_for == STUCK.reason and verdict.phase not in SEVERITIES:
        is_stuck = waited(before, now) >= timedelta(seconds=timings.longest_backoff)
        verdict = STUCK if is_stuck else verdict
    ready = _ready(desired, observed, steps, before)
    is_earlier = _is_earlier(desired, observed, steps)
    applied = _applied(desired, steps, is_earlier=is_earlier)
    # Who leads next may find the earlier agent still there, and have to wait with it.
    is_begun = not is_earlier and bool(steps.actions) and not steps.waits_for and ready.status is not True
    answers: tuple[Answer, ...] = (
        PLANNED,
        applied,
        _alive(desired, observed),
        ready,
        _known(ConditionType.ROUTED, observed.routed, before, ("Routed", "NotRouted")),
        _known(
            ConditionType.HOST_PROTECTED,
            observed.protection.active,
            before,
            ("HostProtected", "HostNotProtected"),
            {"detail": observed.protection.reason} if observed.protection.reason else {},
        ),
    )
    if lack := observed.adapter_lack:
        # Whether the stored workload is what the adapter would render now, only the adapter knows.
        answers += (Answer(type=ConditionType.UP_TO_DATE, status=None, reason=lack.reason, params=lack.params),)
    return PodStatus(
        phase=verdict.phase,
        ready=ready.status is True and desired.wanted is Wanted.RUNNING,
        observed_generation=desired.generation if applied.status or is_begun else earlier(before, desired.generation),
        reason=verdict.reason,
        params=verdict.params,
        conditions=_kept(answers, before, desired.generation, now),
    )


def earlier(before: PodStatus, generation: int) -> int:
    """Give the generation that a status goes on to speak of; of the first one nothing can be mistaken for the agent."""
    return before.observed_generation or generation


def waited(status: PodStatus, now: datetime) -> timedelta:
    """Say for how long the engine has been in the midst of something with the pod's container."""
    applied = status.condition(ConditionType.APPLIED)
    if applied is None or applied.reason != STUCK.reason:
        return timedelta()
    return max(now - applied.since, timedelta())


def transition(before: PodStatus, after: PodStatus) -> tuple[Happening, ...]:
    """Give the event of a changed phase, if it changed, or of a repair, whatever the phase was."""
    is_same = before.phase is after.phase and (before.ready == after.ready or after.phase is not Phase.RUNNING)
    is_repair = after.reason == REPAIRING != before.reason
    if is_same and not is_repair:
        return ()
    return (
        Happening(
            kind="pod",
            reason=after.reason,
            severity=SEVERITIES.get(after.phase, Severity.INFO),
            params={**after.params, "phase": after.phase.value},
        ),
    )


def _verdict(desired: Desired, observed: Observed, steps: Steps) -> Verdict:
    container = own_container(desired, observed)
    record = steps.record
    if desired.wanted is Wanted.DELETED:
        return Verdict(phase=Phase.DELETING, reason="Deleting")
    if desired.wanted is Wanted.STOPPED:
        if container and container.state in LIVING:
            return Verdict(phase=Phase.STOPPING, reason="Stopping")
        return Verdict(phase=Phase.STOPPED, reason="Stopped")
    if record.blocked is not None and steps.waits_for != SLOT:
        reason = observed.repair.reason if observed.repair else "PermanentExit"
        return Verdict(phase=Phase.BLOCKED, reason=reason, params={"exit_code": record.blocked})
    is_up = container is not None and container.state not in DOWN and not _restarts(steps)
    if steps.waits_for in WAITS and not is_up and len(record.failures) < DEGRADED:
        return IN_LINE if steps.waits_for == SLOT else _fetching(desired)
    if _plans(steps, RunOnce):
        return Verdict(phase=Phase.STARTING, reason=REPAIRING)
    if _plans(steps, CreateContainer):
        return Verdict(phase=Phase.CREATING, reason="Creating")
    if is_up and record.was_ready:
        if _is_ready(desired, observed, record) is not False:
            return RUNNING
        probed = current_probe(container, observed)
        params = {**probed.result.params, "cause": probed.result.reason} if probed else {}
        return Verdict(phase=Phase.DEGRADED, reason="Ailing", params=params)
    return _failing(desired, steps, is_up=is_up) if record.failures else STARTING


def _fetching(desired: Desired) -> Verdict:
    return Verdict(phase=Phase.CREATING, reason=IMAGE, params={"image": desired.workload.image})


def _failing(desired: Desired, steps: Steps, *, is_up: bool) -> Verdict:
    """Say that it failed, why, and when the next try is."""
    record = steps.record
    failures = len(record.failures)
    params = {
        "failures": failures,
        "since": record.failures[0].isoformat(),
        # Who has no limit of its own was killed at the machine's.
        "cause": "EndedForMachine" if record.cause == KILLED and desired.limits.memory is None else record.cause,
        "exit_code": record.last_exit,
        "limit": desired.limits.memory,
        "doing": "StartsAgain" if is_up else "TriesNow",
    }
    if steps.waits_for == BACKING_OFF and record.not_before:
        params |= {"doing": "TriesLater", "next_at": record.not_before.isoformat()}
    if failures >= LOOPING:
        return Verdict(phase=Phase.CRASH_LOOP, reason="CrashLoop", params=params)
    if failures >= DEGRADED:
        return Verdict(phase=Phase.DEGRADED, reason="Degraded", params=params)
    return Verdict(phase=Phase.STARTING, reason="Restarting", params=params)


def _is_ready(desired: Desired, observed: Observed, record: Record) -> bool | None:
    """Say whether the agent answers; None when nobody asked this start of it yet."""
    container = own_container(desired, observed)
    if container is None or container.state is not ContainerState.RUNNING:
        return False
    probed = current_probe(container, observed)
    probe = measure(desired, container, probed)
    if probe is None:
        return True
    if probed is None:
        return None
    if probed.lack is not None:
        return True
    # One missed answer is no news about an agent that was well: the threshold decides.
    return probed.result.ready or (record.was_ready and probed.failures < probe.failures)


def _restarts(steps: Steps) -> bool:
    return _plans(steps, StopContainer, StartContainer)


def _plans(steps: Steps, *kinds: type[Struct]) -> bool:
    return bool(steps.actions) and any(isinstance(action, kinds) for action in steps.actions)


def _ready(desired: Desired, observed: Observed, steps: Steps, before: PodStatus) -> Answer:
    record = steps.record
    if desired.wanted is not Wanted.RUNNING:
        return Answer(type=ConditionType.READY, status=False, reason="NotWanted")
    if _restarts(steps):
        # What the agent answered last is about to be over.
        return Answer(type=ConditionType.READY, status=False, reason="NotRunning")
    ready = _is_ready(desired, observed, record)
    if ready is None:
        # A control plane that was away keeps the last word on a start that it has seen be ready.
        kept = before.condition(ConditionType.READY)
        is_known = kept is not None and kept.status is True and record.was_ready
        return Answer(
            type=ConditionType.READY,
            status=True if is_known else None,
            reason="Answering" if is_known else "NotAskedYet",
        )
    probed = current_probe(own_container(desired, observed), observed)
    if probed is not None and probed.lack is not None:
        return Answer(type=ConditionType.READY, status=None, reason=probed.lack.reason, params=probed.lack.params)
    if ready:
        return Answer(type=ConditionType.READY, status=True, reason="Answering")
    if probed is None:
        return Answer(type=ConditionType.READY, status=False, reason="NotRunning")
    return Answer(type=ConditionType.READY, status=False, reason=probed.result.reason, params=probed.result.params)


def _alive(desired: Desired, observed: Observed) -> Answer:
    container = own_container(desired, observed)
    if container is None:
        return Answer(type=ConditionType.ALIVE, status=False, reason="NoContainer")
    is_alive = container.state is ContainerState.RUNNING
    return Answer(
        type=ConditionType.ALIVE,
        status=is_alive,
        reason="ContainerRunning" if is_alive else "ContainerNotRunning",
        params={"container": container.name, "container_state": container.state.value},
    )


def _is_earlier(desired: Desired, observed: Observed, steps: Steps) -> bool:
    """Say whether what is there has yet to be replaced by what is wanted."""
    container = own_container(desired, observed)
    is_over = container is None or container.spec_hash == desired.spec_hash
    return not is_over and desired.wanted is Wanted.RUNNING and steps.record.blocked is None


def _applied(desired: Desired, steps: Steps, *, is_earlier: bool) -> Answer:
    if steps.actions or (is_earlier and not steps.waits_for):
        return APPLYING
    if steps.waits_for == STUCK.reason:
        return WAITING
    # While an earlier agent waits out its own pause, what is wanted waits with it.
    if steps.lacks_image or steps.waits_for == SLOT or is_earlier:
        verdict = _fetching(desired) if steps.lacks_image else IN_LINE
        return Answer(type=ConditionType.APPLIED, status=False, reason=verdict.reason, params=verdict.params)
    return APPLIED


def _known(
    kind: ConditionType,
    status: bool | None,  # noqa: FBT001 - three answers, not a switch
    before: PodStatus,
    reasons: tuple[str, str],
    params: dict[str, Any] | None = None,
) -> Answer:
    kept = before.condition(kind)
    if status is None and not params and kept is not None:
        # Nobody has looked yet since this platform came back: its last word stands.
        return Answer(type=kind, status=kept.status, reason=kept.reason, params=kept.params)
    reason = "Unknown" if status is None else reasons[0] if status else reasons[1]
    return Answer(type=kind, status=status, reason=reason, params=params or {})


def _kept(answers: tuple[Answer, ...], before: PodStatus, generation: int, now: datetime) -> tuple[Condition, ...]:
    """Give the conditions that say so; most are those of before, in the same order, and thousands are looked at."""
    if len(answers) != len(before.conditions):
        return tuple(keep_since(one, before, generation, now) for one in answers)
    return tuple(
        [
            old
            if old.type is one.type
            and old.status is one.status
            and old.reason == one.reason
            and old.generation == generation
            and old.params == one.params
            else keep_since(one, before, generation, now)
            for one, old in zip(answers, before.conditions, strict=True)
        ]
    )


def keep_since(answer: Answer, before: PodStatus, generation: int, now: datetime) -> Condition:
    """Give the condition that says so, since when it was first said."""
    old = before.condition(answer.type)
    since = now
    if old is not None and old.status is answer.status and old.reason == answer.reason:
        if old.generation == generation and old.params == answer.params:
            return old
        since = old.since
    return Condition(
        type=answer.type,
        status=answer.status,
        reason=answer.reason,
        params=answer.params,
        since=since,
        generation=generation,
    )
