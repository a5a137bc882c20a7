"""What no restart mends is kept down, after one try of its repair; who comes back from an unclean end is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from pod_life import INSTANCE, POD, Life

from agentpod_core import PermanentError, Repair, TemporaryError
from agentpod_core.desired import desire
from agentpod_core.plan import Timings, applied_badly
from agentpod_core.values import actions as do
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import ConditionType, Phase
from agentpod_core.values.world import ContainerState


def test_a_permanent_exit_is_not_retried():
    """It is blocked with the code, the engine's policy is off, and nothing starts it."""
    life = Life().answer().exit(5, code=78)
    assert (life.status.phase, life.status.reason) == (Phase.BLOCKED, "PermanentExit")
    assert life.status.params == {"exit_code": 78}
    assert life.planned(do.UpdateLimits).limits.restart is False
    assert life.look(3600).planned(do.StartContainer) is None


def test_a_permanent_exit_in_the_engines_loop_is_ended():
    """While the engine waits to restart it, the container is stopped."""
    life = Life().answer().look(5, state=ContainerState.RESTARTING, exit_code=78, restarts=1)
    assert life.status.phase is Phase.BLOCKED
    assert life.planned(do.StopContainer)
    assert life.exit(1, code=78).status.phase is Phase.BLOCKED
    assert life.failures == 1


def test_a_blocked_pod_without_a_container_stays_so():
    """Somebody removed it: to make it anew would only fail again."""
    life = Life().answer().exit(5, code=78)
    life.container = None
    assert (life.look(1).actions, life.status.phase) == ((), Phase.BLOCKED)


def test_a_block_speaks_in_the_adapters_words():
    """Where the adapter knows what the code means, that is the verdict."""
    life = Life().answer()
    life.seen["repair"] = Repair(reason="OpenClawConfigRefused")
    assert life.exit(5, code=78).status.reason == "OpenClawConfigRefused"
    assert life.status.params == {"exit_code": 78}
    assert life.planned(do.RunOnce) is None


def test_a_repair_is_tried_once():
    """The adapter's command runs with the pod's volumes while it is down; then it starts again, and once only."""
    life = Life().answer()
    life.seen["repair"] = Repair(reason="OpenClawConfigRefused", command=("doctor", "--fix"))
    life.exit(5, code=78)
    run = life.planned(do.RunOnce)
    assert (run.command, run.volumes) == (("doctor", "--fix"), desire(INSTANCE, POD).volumes)
    assert run.name != life.container.name
    # By the name of its host an agent knows what it has locked itself.
    assert run.hostname == desire(INSTANCE, POD).hostname
    assert life.status.reason == "Repairing"
    assert life.look().planned(do.StartContainer)
    life.start(1).exit(5, code=78)
    assert life.planned(do.RunOnce) is None
    assert (life.status.phase, life.status.reason) == (Phase.BLOCKED, "OpenClawConfigRefused")
    assert life.told.count("Repairing") == 1


def test_a_repair_while_it_starts_is_told_of():
    """An agent that refuses its very start is as much starting as it was; that it is repaired is news, and once."""
    life = Life().look()
    assert life.status.phase is Phase.STARTING
    life.seen["repair"] = Repair(reason="OpenClawConfigRefused", command=("doctor", "--fix"))
    life.exit(5, code=78)
    assert (life.status.phase, life.told.count("Repairing")) == (Phase.STARTING, 1)
    # Whoever led died in the midst of it.
    life.record = life.found.assessed
    assert life.look(1).planned(do.RunOnce)
    assert life.told.count("Repairing") == 1


def test_a_repair_that_fails_is_not_repeated():
    """It is told of, and the pod stays blocked."""
    life = Life().answer()
    life.seen["repair"] = Repair(reason="OpenClawConfigRefused", command=("doctor",))
    life.exit(5, code=78)
    error = PermanentError("CommandFailed", command="doctor", exit_code=1, output="no")
    failed = applied_badly(life.found, error, life.now, Timings(), before=life.status)
    assert [one.reason for one in failed.happenings][-1] == "CommandFailed"
    assert failed.status.phase is Phase.BLOCKED
    assert failed.wake_at == life.now + timedelta(seconds=Timings().settle)
    life.record = failed.record
    assert life.look(1).planned(do.RunOnce) is None
    assert life.status.reason == "OpenClawConfigRefused"


def test_a_repair_waits_for_its_turn():
    """It burns what a start does: while all cores are taken the pod is in line for it, down, and not blocked."""
    heavy = replace(POD, workload=replace(POD.workload, boot_cost=20.0))
    life = Life(heavy).answer()
    life.seen |= {"repair": Repair(reason="OpenClawConfigRefused", command=("doctor",)), "has_boot_slot": False}
    life.look(5, state=ContainerState.RESTARTING, exit_code=78, restarts=1)
    assert [type(action) for action in life.actions] == [do.StopContainer, do.UpdateLimits]
    life.exit(1, code=78, limits=life.planned(do.UpdateLimits).limits)
    assert (life.actions, life.found.waits_for, life.status.reason) == ((), "WaitingToStart", "WaitingToStart")
    life.seen["has_boot_slot"] = True
    assert life.look(60).planned(do.RunOnce)


def test_told_that_it_was_healed_once_it_is_ready_again():
    """After an unclean end the adapter is let in as soon as the agent answers, once."""
    life = Life().answer().exit(5, code=137).start(1)
    assert life.actions == ()
    life.answer(5)
    [action] = life.actions
    assert (type(action), action.container, action.address) == (do.TellHealed, "own", "10.0.0.4")
    assert life.status.condition(ConditionType.APPLIED).status is True
    assert life.answer(10).actions == ()


@pytest.mark.parametrize("how", ["removed by hand", "started by the engine"])
def test_other_unclean_ends_are_told_of_too(how):
    """Whoever removed the container, or restarted the machine, did not ask the agent."""
    life = Life().answer()
    if how == "removed by hand":
        made, life.container = life.container, None
        life.look(1)
        life.container = replace(made, id="new", started_at=life.now)
        life.look(1)
    else:
        life.start(100)
    assert life.answer(1).planned(do.TellHealed)
    assert life.failures == 0


def test_an_end_that_nobody_saw_is_told_of():
    """Who is restarted while it works may have had to be killed for it; no failure all the same."""
    life = Life().answer()
    life.pod = replace(POD, spec=replace(POD.spec, restarts=1))
    assert life.look(1).planned(do.StartContainer)
    assert life.start(1).answer(1).planned(do.TellHealed)
    assert life.failures == 0


@pytest.mark.parametrize(("code", "is_told"), [(0, False), (143, False), (137, True), (1, True)])
def test_who_was_stopped_in_order_left_nothing_off(code, is_told):
    """After a stop that took no force there is nothing to tell; what had to be killed is told once it is back."""
    life = Life().answer()
    life.pod = replace(POD, spec=replace(POD.spec, wanted=Wanted.STOPPED), generation=2)
    life.look(1).exit(1, code=code)
    life.pod = replace(POD, generation=3)
    told = life.look(1).start(1).answer(1).planned(do.TellHealed)
    assert (told is not None, life.failures) == (is_told, 0)


def test_what_is_owed_outlives_a_stop():
    """An agent that crashed and was stopped before it was told is told after its next start."""
    life = Life().answer().exit(5, code=137).start(1)
    life.pod = replace(POD, spec=replace(POD.spec, wanted=Wanted.STOPPED), generation=2)
    life.look(1).exit(1, code=0)
    life.pod = replace(POD, generation=3)
    assert life.look(1).start(1).answer(1).planned(do.TellHealed)


def test_who_cannot_be_told_is_told_again_a_few_times():
    """Its failure is no fault of the pod's: it stays ready, and the last try is reported."""
    life = Life().answer().exit(5, code=137).start(1).answer(5)
    error = TemporaryError("Unreachable")
    waits = []
    for _ in range(5):
        assert life.planned(do.TellHealed)
        failed = applied_badly(life.found, error, life.now, Timings(), before=life.status)
        assert (failed.status, failed.status.ready) == (life.status, True)
        life.record = failed.record
        waits.append(failed.record.heal_at and (failed.record.heal_at - life.now).total_seconds())
        life.told += [one.reason for one in failed.happenings]
        life.answer(waits[-1] or 3600)
    assert waits == [10, 20, 40, 80, None]
    assert life.actions == ()
    assert life.told.count("AfterHealFailed") == 1
