"""Decides what counts as a failure, and what a failure means for the next try.

A failure is an exit, a restart by the engine, or a readiness window that ended without an answer.
Absence is none, and neither is an end that was wanted.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from agentpod_core.desired import Desired
from agentpod_core.observed import Observed, Probed
from agentpod_core.plan.timings import Timings
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Happening, Record, Severity
from agentpod_core.values.world import Container, ContainerState

ENDED = (ContainerState.EXITED, ContainerState.DEAD)
LOOPING = 3
"""So many failures in a row make a pod degraded, or a crash loop."""


class Assessment(Struct, frozen=True, kw_only=True):
    """The record brought up to what is seen, what happened since, and whether the agent hangs."""

    record: Record
    happenings: tuple[Happening, ...] = ()
    is_hung: bool = False


def own_container(desired: Desired, observed: Observed) -> Container | None:
    """Give the pod's container: the one with its name, whatever else carries its label."""
    return next((one for one in observed.containers if one.name == desired.container), None)


def current_probe(container: Container | None, observed: Observed) -> Probed | None:
    """Give the probe's word, if it speaks of this very start of the container."""
    probed = observed.probed
    if container is None or probed is None or container.state is not ContainerState.RUNNING:
        return None
    return probed if probed.started_at == container.started_at else None


def assess(desired: Desired, observed: Observed, record: Record, now: datetime, timings: Timings) -> Assessment:
    """Bring the record up to date and count new failures."""
    if record.generation != desired.generation:
        record = msgspec.structs.replace(
            record, generation=desired.generation, failures=(), not_before=None, blocked=None
        )
    if desired.wanted is Wanted.RUNNING and desired.restarts > record.restarts_done:
        record = msgspec.structs.replace(record, failures=(), not_before=None, blocked=None)
    latest = now + timedelta(seconds=timings.longest_backoff)
    if record.not_before is not None and record.not_before > latest:
        # The clock was set back: nobody waits for longer than the longest pause.
        record = msgspec.structs.replace(record, not_before=latest)
    container = own_container(desired, observed)
    if container is None:
        return Assessment(record=_new_start(record, None))
    new_failures, happenings = _ends(desired, container, record)
    if container.id != record.container_id or container.started_at != record.started_at:
        record = _new_start(record, container)
    record = msgspec.structs.replace(
        record,
        engine_restarts=container.restarts,
        seen_exit=container.finished_at if container.state in ENDED else record.seen_exit,
        expects_exit=record.expects_exit and container.state not in ENDED,
    )
    if desired.wanted is not Wanted.RUNNING:
        return Assessment(record=msgspec.structs.replace(record, failures=(), not_before=None))
    is_down = container.state in (*ENDED, ContainerState.RESTARTING)
    if is_down and container.exit_code in desired.workload.permanent_exits and new_failures:
        record = msgspec.structs.replace(record, blocked=container.exit_code)
    record, silence = _answers(desired, container, observed, record, now, timings)
    happenings = (*happenings, *silence)
    if new_failures or silence:
        failures = (*record.failures, *([now] * max(new_failures, 1)))[-20:]
        record = msgspec.structs.replace(
            record, failures=failures, not_before=now + timings.backoff(len(failures)), ready_since=None
        )
    return Assessment(record=record, happenings=happenings, is_hung=bool(silence))


def _new_start(record: Record, container: Container | None) -> Record:
    known = container is not None and container.id == record.container_id
    return msgspec.structs.replace(
        record,
        container_id=container.id if container else "",
        files=record.files if known else {},
        engine_restarts=record.engine_restarts if known else 0,
        started_at=container.started_at if container else None,
        seen_exit=record.seen_exit if known else None,
        ready_since=None,
        was_ready=False,
        expects_exit=False,
    )


def _ends(desired: Desired, container: Container, record: Record) -> tuple[int, tuple[Happening, ...]]:
    """Count the ends that the record does not know yet."""
    if desired.wanted is not Wanted.RUNNING:
        return 0, ()
    same = container.id == record.container_id
    # A start by hand or by us sets the engine's count back to zero.
    baseline = record.engine_restarts if same and container.restarts >= record.engine_restarts else 0
    by_engine = container.restarts - baseline
    is_new_end = (
        container.state in ENDED
        and container.finished_at != (record.seen_exit if same else None)
        and not (same and record.expects_exit)
    )
    happenings: list[Happening] = []
    if by_engine:
        happenings.append(
            Happening(
                kind="container", reason="RestartedByEngine", severity=Severity.WARNING, params={"times": by_engine}
            )
        )
    if is_new_end:
        happenings.append(
            Happening(
                kind="container",
                reason="OutOfMemory" if container.oom_killed else "ContainerExited",
                severity=Severity.WARNING,
                params={"exit_code": container.exit_code},
            )
        )
    return by_engine + is_new_end, tuple(happenings)


def _answers(  # noqa: PLR0913 - everything that decides whether an agent is well
    desired: Desired, container: Container, observed: Observed, record: Record, now: datetime, timings: Timings
) -> tuple[Record, tuple[Happening, ...]]:
    """Follow readiness: since when it answers, or that it has been silent for too long."""
    probe = desired.workload.probe
    if container.state is not ContainerState.RUNNING or container.started_at is None:
        return record, ()
    probed = current_probe(container, observed)
    if probe is None or (probed is not None and (probed.lack or probed.result.ready)):
        record = msgspec.structs.replace(record, was_ready=True, ready_since=record.ready_since or now)
        return _forgive(record, now, timings), ()
    # Nothing is held against an agent that nobody asked, however long ago it started.
    if probed is None:
        return record, ()
    if record.was_ready:
        if probed.failures >= probe.failures:
            record = msgspec.structs.replace(record, ready_since=None)
        if probed.silences < probe.failures:
            return record, ()
        return record, (_silence("NotAnswering", {"failures": probed.silences}),)
    if probed.waited >= probe.start_deadline:
        return record, (_silence("StartTooSlow", {"seconds": probe.start_deadline}),)
    return record, ()


def _forgive(record: Record, now: datetime, timings: Timings) -> Record:
    since = record.ready_since
    if since is None or not record.failures or now < since + timedelta(seconds=timings.good_spell):
        return record
    return msgspec.structs.replace(record, failures=(), not_before=None)


def _silence(reason: str, params: dict[str, float | int]) -> Happening:
    return Happening(kind="health", reason=reason, severity=Severity.WARNING, params=params)
