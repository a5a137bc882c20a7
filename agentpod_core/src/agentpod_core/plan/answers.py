"""Decides what an agent's answers say of it: since when it is well, and that it has been silent for too long."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from agentpod_core.desired import Desired
from agentpod_core.observed import Observed, Probed
from agentpod_core.plan.timings import Timings
from agentpod_core.values.status import Happening, Record, Severity
from agentpod_core.values.workload import Probe
from agentpod_core.values.world import Container, ContainerState

HARD_END = 5.0
"""So many times its start deadline even an agent may take that burns processor time all the while."""


def own_container(desired: Desired, observed: Observed) -> Container | None:
    """Give the pod's container: the one with its name, whatever else carries its label."""
    for one in observed.containers:
        if one.name == desired.container:
            return one
    return None


def current_probe(container: Container | None, observed: Observed) -> Probed | None:
    """Give the probe's word, if it speaks of this very start of the container."""
    probed = observed.probed
    if container is None or probed is None or container.state is not ContainerState.RUNNING:
        return None
    return probed if probed.started_at == container.started_at else None


def measure(desired: Desired, container: Container, probed: Probed | None) -> Probe | None:
    """Give by which probe an agent is judged: what waits for its next version, by the one that it was asked with."""
    if probed is not None and probed.probe is not None and container.spec_hash != desired.spec_hash:
        return probed.probe
    return desired.workload.probe


def is_late(desired: Desired, container: Container, probed: Probed) -> bool:
    """Say whether a start takes longer than it may."""
    probe = measure(desired, container, probed)
    return probe is not None and probed.waited >= probe.start_deadline


def readiness(  # noqa: PLR0913 - everything that decides whether an agent is well
    desired: Desired, container: Container, observed: Observed, record: Record, now: datetime, timings: Timings
) -> tuple[Record, Happening | None]:
    """Follow readiness: since when it answers, or that it has been silent for too long.

    That is said for as long as it lasts; whether it was said before is for the caller to know.
    """
    if container.state is not ContainerState.RUNNING or container.started_at is None:
        return record, None
    probed = current_probe(container, observed)
    probe = measure(desired, container, probed)
    if probe is None or (probed is not None and (probed.lack or probed.result.ready)):
        if not record.was_ready or record.ready_since is None:
            ready_since = record.ready_since or now
            record = msgspec.structs.replace(record, was_ready=True, ready_since=ready_since, is_silent=False)
        if record.expects_exit or record.expects_start or record.put_down:
            # The end that was to come did not.
            change_at = None if record.expects_exit else record.change_at
            record = msgspec.structs.replace(
                record, expects_exit=False, expects_start=False, put_down=False, change_at=change_at
            )
        return _forgive(record, now, timings), None
    # Nothing is held against an agent that nobody asked, however long ago it started.
    if probed is None:
        return record, None
    if record.was_ready:
        if probed.failures >= probe.failures and record.ready_since is not None:
            record = msgspec.structs.replace(record, ready_since=None)
        if probed.silences < probe.failures:
            return record, None
        return record, _silence("NotAnswering", failures=probed.silences)
    if is_late(desired, container, probed) and not _makes_headway(observed, probed, probe.start_deadline):
        return record, _silence("StartTooSlow", seconds=probe.start_deadline)
    return record, None


def _makes_headway(observed: Observed, probed: Probed, deadline: float) -> bool:
    """Say whether a start that is late may go on: it still burns processor time, and there is an end to it."""
    return observed.trend is not None and observed.trend.is_busy and probed.waited < deadline * HARD_END


def _forgive(record: Record, now: datetime, timings: Timings) -> Record:
    since = record.ready_since
    has_past = record.failures or record.repaired
    if since is None or not has_past or now < since + timedelta(seconds=timings.good_spell):
        return record
    return msgspec.structs.replace(record, failures=(), not_before=None, repaired=False)


def _silence(reason: str, **params: float) -> Happening:
    return Happening(kind="health", reason=reason, severity=Severity.WARNING, params=params)
