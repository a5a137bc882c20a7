"""Decides what counts as a failure, and what a failure means for the next try.

A failure is an exit, a restart by the engine, or a readiness window that ended without an answer.
Absence is none, and neither is an end that was wanted, or one that came with the engine's own.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from agentpod_core.desired import Desired
from agentpod_core.observed import Observed
from agentpod_core.plan.answers import own_container, readiness
from agentpod_core.plan.memory import watch
from agentpod_core.plan.timings import Timings
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Happening, Record, Severity
from agentpod_core.values.world import Container, ContainerState

ENDED = (ContainerState.EXITED, ContainerState.DEAD)
DEGRADED = 3
"""So many failures in a row make a pod degraded."""
LOOPING = 4
"""So many make it a crash loop: the try after it was degraded failed too."""
REMEMBERED = 20
GOODBYE = 2.0
"""Seconds before it was lost in which an engine that is being stopped may already end what runs in it."""

KILLED = (137, 143, 255)
"""What is left of those that a machine which goes down, or an engine, ends."""
CLEAN = (0, 143)
"""How an agent ends that had the time to."""

_replace = msgspec.structs.replace


class Assessment(Struct, frozen=True, kw_only=True):
    """The record brought up to what is seen, what happened since, and whether the agent hangs."""

    record: Record
    happenings: tuple[Happening, ...] = ()
    is_hung: bool = False


class Ends(Struct, frozen=True, kw_only=True):
    """The ends that the record does not know yet: how many are failures, and whether any was unclean."""

    failures: int = 0
    is_unclean: bool = False
    happenings: tuple[Happening, ...] = ()
    cause: str = "EndedByItself"


NO_ENDS = Ends()


def assess(desired: Desired, observed: Observed, record: Record, now: datetime, timings: Timings) -> Assessment:
    """Bring the record up to date and count new failures."""
    is_wanted = desired.wanted is Wanted.RUNNING
    if record.generation != desired.generation:
        record = _replace(record, generation=desired.generation, blocked=None, repaired=False, change_at=None)
        record = _forgiven(record)
    if is_wanted and desired.restarts > record.restarts_done:
        record = _forgiven(_replace(record, blocked=None, repaired=False))
    record = _in_our_time(record, now, timings)
    container = own_container(desired, observed)
    if container is None:
        return _absence(desired, observed, record)
    ends = _ends(container, observed, record) if is_wanted else NO_ENDS
    record = _brought_up(desired, container, record)
    if not is_wanted:
        is_unclean = container.state in ENDED and container.exit_code not in CLEAN
        if record.heals or (is_unclean and record.heals is None):
            # Whoever had to be killed, or was not told yet, is told after its next start.
            record = _replace(record, heals=0, heal_at=None)
        return Assessment(record=_forgiven(record))
    record, memory = _out_of_memory(container, observed, record, now, timings)
    is_down = container.state in ENDED or container.state is ContainerState.RESTARTING
    is_for_good = ends.failures and container.exit_code in desired.workload.permanent_exits
    # How the agent of an earlier spec ends says nothing of what may be there to mend it.
    if is_down and is_for_good and container.spec_hash == desired.spec_hash:
        record = _replace(record, blocked=container.exit_code)
    record, silence = readiness(desired, container, observed, record, now, timings)
    # A stop that failed, or was cut off, leaves an agent silent that is known to be: that is no second failure.
    is_news = silence is not None and not record.is_silent
    record, growth = watch(observed, record, now, timings)
    happenings = (*ends.happenings, *memory, *((silence,) if silence and is_news else ()), *growth)
    if ends.failures or is_news:
        failures = (*record.failures, *([now] * max(ends.failures, 1)))[-REMEMBERED:]
        record = _replace(
            record,
            failures=failures,
            not_before=now + timings.backoff(len(failures)),
            ready_since=None,
            cause="FellSilent" if is_news else ends.cause,
            is_silent=is_news,
            # A start that came to nothing was a turn, too.
            refuses_start=record.refuses_start or not record.was_ready,
        )
    if ends.is_unclean or is_news:
        record = _replace(record, heals=0, heal_at=None)
    return Assessment(record=record, happenings=happenings, is_hung=silence is not None)


def _forgiven(record: Record) -> Record:
    return _replace(record, failures=(), not_before=None) if record.failures or record.not_before else record


def _in_our_time(record: Record, now: datetime, timings: Timings) -> Record:
    """Bear a clock that was set back: nobody waits for longer than the longest pause, and nothing began tomorrow."""
    latest = now + timedelta(seconds=timings.longest_backoff)
    if record.not_before is not None and record.not_before > latest:
        record = _replace(record, not_before=latest)
    if record.heal_at is not None and record.heal_at > latest:
        record = _replace(record, heal_at=latest)
    if record.ready_since is not None and record.ready_since > now:
        record = _replace(record, ready_since=now)
    if record.alarmed_at is not None and record.alarmed_at > now:
        record = _replace(record, alarmed_at=now)
    return record


def _absence(desired: Desired, observed: Observed, record: Record) -> Assessment:
    """Take note that there is no container, and of volumes that went with it: somebody removed them."""
    is_wanted = desired.wanted is Wanted.RUNNING
    if is_wanted and record.container_id:
        # It may have been killed in the midst of its work.
        record = _replace(record, heals=0, heal_at=None)
    record = _new_start(record, None, files={})
    if not is_wanted or observed.volumes is None:
        return Assessment(record=record)
    lost = tuple(name for name in record.volumes if name not in observed.volumes)
    if not lost:
        return Assessment(record=record)
    record = _replace(record, volumes=tuple(name for name in record.volumes if name not in lost))
    happening = Happening(
        kind="container", reason="VolumeLost", severity=Severity.ERROR, params={"volumes": ", ".join(lost)}
    )
    return Assessment(record=record, happenings=(happening,))


def _brought_up(desired: Desired, container: Container, record: Record) -> Record:
    """Let the record speak of the container and the start that are there now."""
    same = container.id == record.container_id
    if record.made_of and record.made_of != container.spec_hash:
        # What the one before did is not held against it.
        record = _forgiven(record)
    if not same or container.started_at != record.started_at:
        # The engine itself started it again: after a restart of the machine, or somebody did by hand.
        is_strange = same and record.started_at is not None and not record.expects_start
        # What a pass has just made and filled itself has the files that it says.
        has_files = same or (record.expects_start and record.files == desired.files)
        record = _new_start(record, container, files=record.files if has_files else {})
        if is_strange and container.state is ContainerState.RUNNING:
            record = _replace(record, heals=0, heal_at=None)
    if container.exit_code is not None and container.exit_code != record.last_exit:
        record = _replace(record, last_exit=container.exit_code)
    has_ended = container.state in ENDED
    seen_exit = container.finished_at if has_ended else record.seen_exit
    expects_exit = record.expects_exit and not has_ended
    if (container.restarts, seen_exit, expects_exit) != (record.engine_restarts, record.seen_exit, record.expects_exit):
        record = _replace(record, engine_restarts=container.restarts, seen_exit=seen_exit, expects_exit=expects_exit)
    if record.asked != desired.asked and container.spec_hash == desired.spec_hash:
        record = _replace(record, asked=desired.asked)
    volumes = tuple(desired.volumes.values())
    if record.volumes != volumes and container.spec_hash == desired.spec_hash:
        record = _replace(record, volumes=volumes)
    return record


def _new_start(record: Record, container: Container | None, *, files: dict[str, str]) -> Record:
    known = container is not None and container.id == record.container_id
    return _replace(
        record,
        container_id=container.id if container else "",
        files=files,
        engine_restarts=record.engine_restarts if known else 0,
        started_at=container.started_at if container else None,
        seen_exit=record.seen_exit if known else None,
        ready_since=None,
        was_ready=False,
        expects_exit=False,
        expects_start=False,
        is_filling=False,
        is_silent=False,
        put_down=False,
        refuses_start=False,
        made_of=container.spec_hash if container else record.made_of,
    )


def _ends(container: Container, observed: Observed, record: Record) -> Ends:
    """Find the ends that the record does not know yet."""
    same = container.id == record.container_id
    # A start by hand or by us sets the engine's count back to zero.
    baseline = record.engine_restarts if same and container.restarts >= record.engine_restarts else 0
    by_engine = container.restarts - baseline
    is_end = (
        container.state in ENDED
        and container.finished_at != (record.seen_exit if same else None)
        and not (same and record.expects_exit)
    )
    if not by_engine and not is_end:
        return NO_ENDS
    for_memory = container.oom_killed or (observed.oom_at is not None and observed.oom_at != record.seen_oom)
    happenings: list[Happening] = []
    if by_engine:
        reason = "OutOfMemory" if for_memory else "RestartedByEngine"
        happenings.append(_warning("container", reason, times=by_engine))
    if is_end and (reason := _blameless(container, observed)):
        happenings.append(Happening(kind="container", reason=reason))
        return Ends(failures=by_engine, is_unclean=True, happenings=tuple(happenings))
    if is_end:
        reason = "OutOfMemory" if for_memory else "ContainerExited"
        happenings.append(_warning("container", reason, exit_code=container.exit_code))
    # With which code it ended before the engine started it again, nobody saw.
    cause = "EndedForMemory" if for_memory else "EndedByItself" if is_end else "EndedAndRestarted"
    return Ends(failures=by_engine + is_end, is_unclean=True, happenings=tuple(happenings), cause=cause)


def _blameless(container: Container, observed: Observed) -> str:
    """Say why an end is no agent's fault: everything ended with the engine, or maybe did; empty where it is."""
    ended = container.finished_at
    if ended is None:
        return ""
    if observed.away is not None:
        lost, back = observed.away
        if lost - timedelta(seconds=GOODBYE) <= ended <= back:
            return "EndedWithEngine"
    is_unseen = observed.watched_since is not None and ended < observed.watched_since
    return "EndedUnseen" if is_unseen and container.exit_code in KILLED and not container.oom_killed else ""


def _out_of_memory(
    container: Container, observed: Observed, record: Record, now: datetime, timings: Timings
) -> tuple[Record, tuple[Happening, ...]]:
    """Report a kill for want of memory that the agent itself lived through: that of a process it had started."""
    at = observed.oom_at
    if at is None or at == record.seen_oom:
        return record, ()
    lives_on = container.state is ContainerState.RUNNING and (container.started_at is None or container.started_at < at)
    if not lives_on:
        return _replace(record, seen_oom=at), ()
    if timedelta() <= now - at < timedelta(seconds=timings.last_words):
        return record, ()
    return _replace(record, seen_oom=at), (_warning("container", "OutOfMemory", child=True),)


def _warning(kind: str, reason: str, **params: float | None) -> Happening:
    return Happening(kind=kind, reason=reason, severity=Severity.WARNING, params=params)
