"""Decides when a person is to be told of a pod, and when that is over: once for each incident, however often it flaps.

What is open is remembered in the record, so that a pass without news changes nothing. How bad a pod is follows its
phase; a worse phase takes over the alert of a lesser one, and only the end of the incident lowers it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from agentpod_core.desired import Desired
from agentpod_core.plan.timings import Timings
from agentpod_core.values.alerts import AlertChange, Clear, Raise
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Happening, Phase, PodStatus, Record, Severity

LEVELS = ("Degraded", "CrashLoop", "Blocked")
"""How bad it is with a pod, the worse later."""

OF_PHASE = {Phase.DEGRADED: "Degraded", Phase.CRASH_LOOP: "CrashLoop", Phase.BLOCKED: "Blocked"}

OF_HAPPENING = {
    "OutOfMemory": ("OutOfMemory", Severity.ERROR),
    "NotAnswering": ("Hung", Severity.ERROR),
    "MemoryGrowing": ("MemoryGrowing", Severity.WARNING),
    "VolumeLost": ("VolumeLost", Severity.ERROR),
}
"""Events that a person is told of by themselves: the reason of the alert, and how much it asks."""

WELL = frozenset(Phase) - OF_PHASE.keys()

NOTHING: tuple[AlertChange, ...] = ()


def follow(  # noqa: PLR0913 - all that an alert follows from
    desired: Desired,
    before: Record,
    record: Record,
    status: PodStatus,
    happenings: Sequence[Happening],
    now: datetime,
    timings: Timings,
    *,
    is_settled: bool = True,
) -> tuple[Record, tuple[AlertChange, ...]]:
    """Give what is to be raised and cleared, and the record that remembers it; ``before`` is that of the last pass.

    Nothing is over before all ``is_settled``: what is planned, and what it waits for, may fail.
    """
    if not record.alerting and not happenings and status.phase in WELL:
        return record, NOTHING
    if desired.wanted is not Wanted.RUNNING:
        return _ended(record, is_stopped=True)
    if before.generation != desired.generation or before.restarts_done < desired.restarts:
        # A person saw to it; what comes of that is known sooner.
        record = msgspec.structs.replace(record, alarmed_at=None)
    changes: list[AlertChange] = []
    for happening in happenings:
        if happening.reason in OF_HAPPENING:
            reason, severity = OF_HAPPENING[happening.reason]
            record, raised = _raised(record, reason, severity, happening.params, now)
            changes += raised
    record, raised = of_phase(record, status, now)
    changes += raised
    if is_settled and not changes and status.ready and status.phase is Phase.RUNNING:
        ends = end(record, timings)
        if ends is not None and now >= ends:
            return _ended(record)
    return record, tuple(changes)


def remembered(record: Record, other: Record) -> Record:
    """Give a record with what another one remembers of alerts."""
    return msgspec.structs.replace(record, alerting=other.alerting, alarmed_at=other.alarmed_at)


def of_phase(record: Record, status: PodStatus, now: datetime) -> tuple[Record, tuple[AlertChange, ...]]:
    """Raise the alert of a phase, unless that one or a worse one is open."""
    level = OF_PHASE.get(status.phase)
    if level is None or any(worse in record.alerting for worse in LEVELS[LEVELS.index(level) :]):
        return record, NOTHING
    lesser = tuple(one for one in LEVELS if one in record.alerting)
    record = msgspec.structs.replace(record, alerting=tuple(one for one in record.alerting if one not in lesser))
    params = {"cause": status.reason, "cause_params": status.params}
    return _raised(record, level, Severity.ERROR, params, now, lesser)


def again(record: Record, status: PodStatus, now: datetime) -> tuple[Record, tuple[AlertChange, ...]]:
    """Raise the alert of a phase that a try ended with, or take note that the open one has cause anew."""
    record, changes = of_phase(record, status, now)
    return (renewed(record, now) if status.phase in OF_PHASE else record), changes


def renewed(record: Record, now: datetime) -> Record:
    """Let a good spell begin anew for what is open."""
    return msgspec.structs.replace(record, alarmed_at=now) if record.alerting else record


def end(record: Record, timings: Timings) -> datetime | None:
    """Say when an incident is over if the agent goes on answering; None while that cannot be told.

    It takes a good spell after the last alarm, for what comes again within that is the same incident.
    """
    if not record.alerting or record.ready_since is None or (record.is_filling and "MemoryGrowing" in record.alerting):
        return None
    if record.alarmed_at is None:
        return record.ready_since + timedelta(seconds=timings.calm)
    return max(record.ready_since, record.alarmed_at) + timedelta(seconds=timings.good_spell)


def _raised(  # noqa: PLR0913 - all that an alert follows from
    record: Record,
    reason: str,
    severity: Severity,
    params: dict[str, Any],
    now: datetime,
    replaces: tuple[str, ...] = (),
) -> tuple[Record, tuple[AlertChange, ...]]:
    if reason in record.alerting:
        return msgspec.structs.replace(record, alarmed_at=now), NOTHING
    change = Raise(reason=reason, severity=severity, params=params, replaces=replaces)
    return msgspec.structs.replace(record, alerting=(*record.alerting, reason), alarmed_at=now), (change,)


def _ended(record: Record, *, is_stopped: bool = False) -> tuple[Record, tuple[AlertChange, ...]]:
    """Clear all that is open."""
    changes = tuple(Clear(reason=reason, is_stopped=is_stopped) for reason in record.alerting)
    return msgspec.structs.replace(record, alerting=(), alarmed_at=None), changes
