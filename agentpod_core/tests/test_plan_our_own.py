"""What we did ourselves is held against no agent and counted once; what we cannot do is told when it lasts."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from msgspec.structs import replace
from pod_life import POD, Life

from agentpod_core import AgentPodError, ContainerState, PermanentError, Resources, TemporaryError
from agentpod_core.plan import Timings, applied_badly
from agentpod_core.values import actions as do
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import ConditionType, Phase

REFUSED = TemporaryError("EngineRefused", message="no space left on device")
RESTARTED = replace(POD, spec=replace(POD.spec, restarts=1))
STOPPED = replace(POD, spec=replace(POD.spec, wanted=Wanted.STOPPED), generation=2)


def _fail(life: Life, error: AgentPodError) -> list[str]:
    """Look, have what is planned fail, and wait until it is tried again; gives the alerts that are raised."""
    before = life.status
    life.look()
    failed = applied_badly(life.found, error, life.now, Timings(), before=before)
    life.record, life.status, life.now = failed.record, failed.status, failed.wake_at
    return [one.reason for one in failed.alerts]


def test_one_silence_is_one_failure():
    """However often its stop fails, an agent that hangs has hung once; each look tries, and only one reports."""
    life = Life().answer().answer(10, ready=False, alive=False, misses=3)
    for _ in range(10):
        failed = applied_badly(life.found, REFUSED, life.now, Timings(), before=life.status)
        life.record, life.status = failed.record, failed.status
        assert life.answer(60, ready=False, alive=False, misses=9).planned(do.StopContainer)
    assert (life.failures, life.told.count("NotAnswering")) == (1, 1)
    life.answer(1).answer(30, ready=False, alive=False, misses=3)
    assert (life.failures, life.told.count("NotAnswering")) == (2, 2)


def test_an_agent_that_hangs_is_stopped_before_its_limits_change():
    """A limit below what it uses is refused for as long as it lives; a container that has ended takes any."""
    life = Life().answer()
    life.container = replace(life.container, limits=replace(life.container.limits, memory=2**30))
    life.pod = replace(POD, workload=replace(POD.workload, resources=Resources(memory=64 * 2**20)), generation=2)
    life.answer(10, ready=False, alive=False, misses=3)
    assert [type(one) for one in life.actions] == [do.StopContainer, do.UpdateLimits, do.StartContainer]


def test_an_end_of_ours_is_no_failure():
    """A restart that was cut off, or failed, between stop and start leaves nothing to count and nothing to report."""
    life = Life().answer()
    life.pod = RESTARTED
    life.look(1)
    life.record, life.told = life.found.assessed, []
    life.exit(1, code=137)
    assert (life.failures, "ContainerExited" in life.told) == (0, False)
    assert life.planned(do.StartContainer)


def test_an_end_that_did_not_come_is_awaited_no_more():
    """An agent that answers on after a stop which failed may end by itself later: that is its own doing."""
    life = Life().answer()
    life.pod = RESTARTED
    life.look(1)
    life.record, life.pod = life.found.assessed, POD
    assert life.answer(100).exit(100).failures == 1


@pytest.mark.parametrize(("code", "failures"), [(137, 0), (143, 0), (255, 0), (1, 1)])
def test_an_end_that_nobody_could_see_is_no_failure(code, failures):
    """A machine that goes down with the platform ends what it runs; an end of the agent's own counts all the same."""
    life = Life().answer()
    life.seen["watched_since"] = life.now + timedelta(seconds=60)
    assert life.exit(30, code=code).failures == failures
    assert life.planned(do.StartContainer)
    assert life.start(60).exit(1, code=code).failures == failures + 1


def test_what_fails_without_end_is_told():
    """A pod that cannot be made for five minutes, for whatever reasons in turn, is degraded, and a person hears once.

    A new spec is given as much time.
    """
    life, phases, raised = Life(), [], []
    life.container = None
    for reason in itertools.islice(itertools.cycle(["EngineRefused", "NetworkMissing"]), 12):
        begun = life.now
        raised += _fail(life, TemporaryError(reason, message="no space left on device"))
        phases.append((life.status.phase, begun))
    began = phases[0][1]
    assert all(
        (phase is Phase.DEGRADED) == (at - began >= timedelta(seconds=300))
        and phase in {Phase.CREATING, Phase.DEGRADED}
        for phase, at in phases
    )
    assert (phases[-1][0], raised) == (Phase.DEGRADED, ["Degraded"])
    life.pod = replace(POD, generation=2)
    _fail(life, REFUSED)
    assert life.status.phase is Phase.CREATING


def test_to_wait_is_no_try():
    """What was refused stands while its next try waits for a slot: since when, how bad, and whether a person knows."""
    life = Life(replace(POD, workload=replace(POD.workload, boot_cost=30.0)))
    life.container = None
    for _ in range(12):
        _fail(life, REFUSED)
    applied = life.status.condition(ConditionType.APPLIED)
    life.seen["has_boot_slot"], life.told = False, []
    life.look(30)
    assert (life.found.waits_for, life.actions, life.told) == ("WaitingToStart", (), [])
    assert (life.status.phase, life.status.condition(ConditionType.APPLIED)) == (Phase.DEGRADED, applied)
    life.seen["has_boot_slot"], waiting = True, life.status
    life.look(30)
    failed = applied_badly(life.found, REFUSED, life.now, Timings(), before=waiting)
    assert failed.status.phase is Phase.DEGRADED
    life.pod = replace(life.pod, generation=2)
    life.seen["has_boot_slot"] = False
    assert life.look(1).status.reason == "WaitingToStart"


def test_an_outage_is_no_refusal():
    """What failed because the engine was away counts from when it was back; what was refused counts as before."""
    away, back = TemporaryError("EngineUnreachable"), timedelta(seconds=1000)
    for error, phase in ((away, Phase.CREATING), (REFUSED, Phase.DEGRADED)):
        life = Life()
        life.container = None
        _fail(life, error)
        before, at = life.status, life.now + back
        life.look(1001)
        failed = applied_badly(life.found, REFUSED, life.now, Timings(), before=before, back_at=at)
        assert failed.status.phase is phase


def test_who_cannot_be_stopped_is_told_to_nobody():
    """A pod that is to go is nobody's concern any more: its stop is tried on, and no alert comes and goes."""
    life, raised = Life().answer(), []
    life.pod = STOPPED
    for error in (PermanentError("EngineRefused", message="?"), *[REFUSED] * 9):
        raised += _fail(life, error)
    assert (life.status.phase, raised) == (Phase.STOPPING, [])


def test_a_container_that_the_engine_does_not_let_go_of_is_told():
    """One that is being removed for five minutes is stuck: it is looked at ever more rarely, and a person hears."""
    life, raised = Life().answer(), []
    life.look(1, state=ContainerState.REMOVING)
    begun = life.now
    for _ in range(15):
        if life.status.phase is Phase.DEGRADED:
            break
        life.look((life.found.wake_at - life.now).total_seconds())
        raised += [one.reason for one in life.found.alerts]
    assert (life.status.reason, raised) == ("WaitingForEngine", ["Degraded"])
    assert timedelta(seconds=300) <= life.now - begun <= timedelta(seconds=600)
