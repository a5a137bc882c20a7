"""When a person is told of a pod: once for each incident, and of its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentpod_core.errors import PermanentError, TemporaryError
from agentpod_core.plan import Plan, applied_badly
from agentpod_core.plan.alerting import LEVELS, OF_HAPPENING, end, follow
from agentpod_core.plan.timings import Timings
from agentpod_core.values.alerts import REASONS, Clear, Raise
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Happening, Phase, PodStatus, Record, Severity

START = datetime(2026, 1, 1, tzinfo=UTC)
TIMINGS = Timings()
PHASES = {"Degraded": Phase.DEGRADED, "CrashLoop": Phase.CRASH_LOOP, "Blocked": Phase.BLOCKED}
replace = msgspec.structs.replace


class Incident:
    """A pod that is looked at pass after pass, with all that was said of it."""

    def __init__(self):
        self.now = START
        self.record = Record(generation=1)
        self.generation, self.restarts, self.wanted = 1, 0, Wanted.RUNNING
        self.said = []
        self.changes = []

    def look(self, phase, *, after=0.0, happened=(), ready=None):
        """Make a pass, so many seconds after the last one."""
        self.now += timedelta(seconds=after)
        is_ready = phase is Phase.RUNNING if ready is None else ready
        since = (self.record.ready_since or self.now) if is_ready else None
        record = replace(self.record, ready_since=since, generation=self.generation)
        status = PodStatus(phase=phase, ready=is_ready, reason="Because", params={"of": 1})
        happenings = [Happening(kind="health", reason=reason) for reason in happened]
        self.record, changes = follow(self, self.record, record, status, happenings, self.now, TIMINGS)
        self.changes += changes
        self.said += [_short(one) for one in changes]
        return self

    def restarted(self):
        """Have somebody ask for a restart, which is done by the next pass."""
        self.restarts += 1
        return self


def _short(change):
    if isinstance(change, Raise):
        return "+".join([change.reason, *change.replaces])
    return f"{'silent ' if change.is_stopped else ''}end of {change.reason}"


@pytest.fixture
def incident():
    """A pod of which nothing was said yet."""
    return Incident()


@pytest.mark.parametrize("reason", LEVELS)
def test_each_ill_phase_is_told(incident, reason):
    """A phase that asks for somebody raises its alert, with what the verdict says."""
    incident.look(PHASES[reason])

    assert incident.changes == [
        Raise(reason=reason, severity=Severity.ERROR, params={"cause": "Because", "cause_params": {"of": 1}})
    ]
    assert incident.record.alerting == (reason,)


@pytest.mark.parametrize("phase", sorted(set(Phase) - set(PHASES.values())))
def test_a_well_phase_says_nothing(incident, phase):
    """Whoever starts, stops or runs is no news, and leaves the record as it is."""
    before = incident.record

    incident.look(phase, ready=False)

    assert incident.said == []
    assert incident.record == replace(before, ready_since=None)


@pytest.mark.parametrize("happened", OF_HAPPENING)
def test_what_happens_is_told_while_it_runs_on(incident, happened):
    """What a person should know of a running pod is told, though its phase is well; once until it is over."""
    for _ in range(3):
        incident.look(Phase.RUNNING, after=1, happened=[happened, "RestartedByEngine"])

    assert incident.said == [OF_HAPPENING[happened][0]]


def test_a_worse_phase_takes_over(incident):
    """It goes from bad to worse in one alert, and not back again."""
    for phase in (Phase.DEGRADED, Phase.CRASH_LOOP, Phase.BLOCKED, Phase.CRASH_LOOP, Phase.DEGRADED, Phase.STARTING):
        incident.look(phase, after=1)

    assert incident.said == ["Degraded", "CrashLoop+Degraded", "Blocked+CrashLoop"]
    assert incident.record.alerting == ("Blocked",)


def test_it_is_over_after_a_good_spell(incident):
    """An incident ends when the pod has been ready for a good spell, and not before."""
    incident.look(Phase.CRASH_LOOP).look(Phase.RUNNING, after=30).look(Phase.RUNNING, after=TIMINGS.good_spell - 1)
    assert incident.said == ["CrashLoop"]
    assert end(incident.record, TIMINGS) == incident.now + timedelta(seconds=1)

    incident.look(Phase.RUNNING, after=1).look(Phase.RUNNING, after=1)

    assert incident.said == ["CrashLoop", "end of CrashLoop"]
    assert (incident.record.alerting, incident.record.alarmed_at) == ((), None)


def test_flapping_is_one_incident(incident):
    """Somebody who is down every few minutes is told of once."""
    for _ in range(20):
        incident.look(Phase.DEGRADED, after=60).look(Phase.STARTING, after=5, ready=False).look(Phase.RUNNING, after=5)
        incident.look(Phase.RUNNING, after=300)

    assert incident.said == ["Degraded"]


def test_a_cause_that_comes_again_is_the_same_incident(incident):
    """While processes of a pod that answers all the time are killed every few minutes, it is not over."""
    for _ in range(10):
        incident.look(Phase.RUNNING, after=TIMINGS.good_spell - 1, happened=["OutOfMemory"])
    incident.look(Phase.RUNNING, after=TIMINGS.good_spell - 1)
    assert incident.said == ["OutOfMemory"]

    incident.look(Phase.RUNNING, after=1)

    assert incident.said == ["OutOfMemory", "end of OutOfMemory"]


@pytest.mark.parametrize("by", ["restart", "spec"])
def test_who_was_seen_to_proves_itself_sooner(incident, by):
    """After a restart or a new spec by somebody, it is over once the pod was ready for a calm."""
    incident.look(Phase.CRASH_LOOP)
    if by == "restart":
        incident.restarted().look(Phase.STARTING, after=1, ready=False)
        incident.record = replace(incident.record, restarts_done=1)
    else:
        incident.generation += 1
        incident.look(Phase.CREATING, after=1, ready=False)

    incident.look(Phase.RUNNING, after=5).look(Phase.RUNNING, after=TIMINGS.calm - 1)
    assert incident.said == ["CrashLoop"]
    incident.look(Phase.RUNNING, after=1)

    assert incident.said == ["CrashLoop", "end of CrashLoop"]


def test_memory_that_grows_is_not_over(incident):
    """A start that was reported for its memory stays so for as long as it grows."""
    incident.record = replace(incident.record, is_filling=True)
    incident.look(Phase.RUNNING, happened=["MemoryGrowing"]).look(Phase.RUNNING, after=10 * TIMINGS.good_spell)
    assert end(incident.record, TIMINGS) is None
    incident.record = replace(incident.record, is_filling=False)

    incident.look(Phase.RUNNING, after=1)

    assert incident.said == ["MemoryGrowing", "end of MemoryGrowing"]


def test_all_of_an_incident_end_together(incident):
    """Several alerts of one incident are over in one change, of which whoever was told of any hears once."""
    incident.look(Phase.STARTING, happened=["OutOfMemory"], ready=False).look(Phase.CRASH_LOOP, after=1)
    incident.look(Phase.RUNNING, after=1).look(Phase.RUNNING, after=TIMINGS.good_spell)

    assert incident.said == ["OutOfMemory", "CrashLoop", "end of OutOfMemory", "end of CrashLoop"]


@pytest.mark.parametrize("wanted", [Wanted.STOPPED, Wanted.DELETED])
def test_what_is_to_end_is_no_trouble(incident, wanted):
    """Who stops or deletes a pod is not told that it is well again."""
    incident.look(Phase.CRASH_LOOP, happened=["OutOfMemory"])
    incident.wanted = wanted
    incident.look(Phase.STOPPING, after=1).look(Phase.STOPPED, after=1)

    assert incident.said[2:] == ["silent end of OutOfMemory", "silent end of CrashLoop"]


def _refused(error, record=None):
    record = record or Record()
    found = Plan(actions=(), status=PodStatus(phase=Phase.CREATING), assessed=record, record=record)
    return applied_badly(found, error, START, TIMINGS)


def test_what_cannot_be_done_is_told():
    """An action that was refused for good blocks the pod, and that is told with the reason."""
    failed = _refused(PermanentError("ImageNotFound", image="a:1"))

    assert failed.alerts == (
        Raise(
            reason="Blocked",
            severity=Severity.ERROR,
            params={"cause": "ImageNotFound", "cause_params": {"image": "a:1"}},
        ),
    )
    assert failed.record.alerting == ("Blocked",)
    assert _refused(PermanentError("ImageNotFound", image="a:1"), failed.record).alerts == ()


def test_what_may_pass_is_not_told():
    """An engine that does not answer is no trouble of a pod's: fifty pods are not fifty alerts."""
    assert _refused(TemporaryError("EngineUnreachable")).alerts == ()


def test_every_alert_of_a_pod_is_a_known_reason():
    """Rules raise nothing that nobody can filter for."""
    assert {*LEVELS, *(reason for reason, _ in OF_HAPPENING.values())} < REASONS


steps = st.lists(
    st.tuples(
        st.sampled_from([Phase.RUNNING, Phase.STARTING, Phase.DEGRADED, Phase.CRASH_LOOP, Phase.BLOCKED]),
        st.sampled_from([0.0, 1.0, 61.0, 599.0, 601.0]),
        st.lists(st.sampled_from([*OF_HAPPENING, "ContainerExited"]), max_size=2),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(history=steps)
def test_open_alerts_are_what_the_record_says(history):
    """Whatever happens: nothing is raised twice, nothing ends that is not open, and the record knows what is."""
    incident, opened = Incident(), []
    for phase, after, happened, is_seen_to in history:
        if is_seen_to:
            incident.generation += 1
        before = len(incident.changes)
        incident.look(phase, after=after, happened=happened)
        for change in incident.changes[before:]:
            if isinstance(change, Clear):
                opened.remove(change.reason)
            else:
                assert change.reason not in opened
                assert set(change.replaces) <= set(opened)
                opened = [*(one for one in opened if one not in change.replaces), change.reason]
        assert sorted(opened) == sorted(incident.record.alerting)
        assert len([one for one in opened if one in LEVELS]) <= 1


@settings(max_examples=100, deadline=None)
@given(history=steps)
def test_every_incident_ends(history):
    """Who stays well is well in the end, and then all that was open ends in one change, and a person hears of it."""
    incident = Incident()
    for phase, after, happened, _ in history:
        incident.look(phase, after=after, happened=happened)
    open_before, before = incident.record.alerting, len(incident.changes)

    ends = []
    for _ in range(4):
        incident.look(Phase.RUNNING, after=TIMINGS.good_spell)
        if incident.changes[before:]:
            ends.append(incident.changes[before:])
        before = len(incident.changes)

    assert incident.record.alerting == ()
    assert ends == ([[Clear(reason=reason) for reason in open_before]] if open_before else [])
