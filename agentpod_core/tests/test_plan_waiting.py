"""What is done at once and what waits its turn while other agents boot, or until an image is there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from pod_life import POD, START, Life

from agentpod_core import ContainerState, File, OnChange, Resources
from agentpod_core.observed import Refusal
from agentpod_core.values import actions as do
from agentpod_core.values.alerts import Raise
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import ConditionType, Phase
from agentpod_core.values.world import Limits

FILES = (File(path="/data/config.json", parts=("1",), on_change=OnChange.RESTART),)
HEAVY = replace(POD, workload=replace(POD.workload, boot_cost=30.0, files=FILES))


def _busy() -> Life:
    """Give the life of a pod that answers while all boot slots are taken."""
    life = Life(HEAVY).look().answer()
    life.seen["has_boot_slot"] = False
    return life


def _changed() -> Life:
    """Give the life of a pod that answers while the image that it is to have next is not there."""
    life = Life().answer()
    life.pod = replace(POD, workload=replace(POD.workload, image="a:2"), generation=2)
    life.seen["has_image"] = False
    return life.look(1)


def _applied(life: Life) -> tuple[bool | None, str]:
    applied = life.status.condition(ConditionType.APPLIED)
    return applied.status, applied.reason


def _kinds(life: Life) -> list[type[Any]]:
    return [type(action) for action in life.actions]


def test_an_agent_that_hangs_is_stopped_without_waiting():
    """Only its start waits: it is stopped and told of at once, and is then in line."""
    life = _busy().answer(10, ready=False, alive=False, misses=3)
    assert (_kinds(life), "NotAnswering" in life.told) == ([do.StopContainer], True)
    life.exit(1, code=137)
    assert (life.actions, life.found.waits_for, life.status.reason) == ((), "WaitingToStart", "WaitingToStart")
    assert life.failures == 1
    life.seen["has_boot_slot"] = True
    assert _kinds(life.look(1)) == [do.StartContainer]


@pytest.mark.parametrize("why", ["restart", "file"])
def test_an_agent_that_works_is_left_alone_until_its_turn(why):
    """A restart that somebody wants of an agent that answers begins when it can be finished."""
    life = _busy()
    changed = replace(HEAVY.workload, files=(replace(FILES[0], parts=("2",)),))
    life.pod = {
        "restart": replace(HEAVY, spec=replace(HEAVY.spec, restarts=1)),
        "file": replace(HEAVY, workload=changed, generation=2),
    }[why]
    life.look(1)
    assert (life.actions, life.found.waits_for) == ((), "WaitingToStart")
    assert (life.status.phase, life.status.ready) == (Phase.RUNNING, True)
    life.seen["has_boot_slot"] = True
    kinds = _kinds(life.look(1))
    assert (kinds[0], kinds[-1]) == (do.StopContainer, do.StartContainer)


def test_what_was_paused_goes_on_without_waiting():
    """To let it go on boots nobody."""
    assert _kinds(_busy().look(1, state=ContainerState.PAUSED)) == [do.StartContainer]


def test_who_failed_too_often_is_no_better_while_it_waits():
    """That others boot right now is no reason to call a pod that ended again and again anything but that."""
    life = _busy()
    for _ in range(4):
        life.exit(1).start(400)
    life.exit(1).look(400)
    assert (life.found.waits_for, life.status.phase) == ("WaitingToStart", Phase.CRASH_LOOP)


def test_an_agent_goes_on_until_its_next_image_is_there():
    """Nothing else is done before, and the pod is as ready as it was."""
    life = _changed()
    assert (life.actions, life.found.waits_for, life.found.lacks_image) == ((), "WaitingForImage", True)
    assert (life.status.phase, life.status.condition(ConditionType.READY).status) == (Phase.RUNNING, True)
    assert (life.status.observed_generation, _applied(life)) == (1, (False, "WaitingForImage"))
    life.seen["has_image"] = True
    assert do.RemoveContainer in _kinds(life.look(1))


@pytest.mark.parametrize(
    ("container", "kinds"),
    [
        ({"state": ContainerState.PAUSED}, [do.StartContainer]),
        ({"state": ContainerState.EXITED, "exit_code": 1, "finished_at": START}, [do.StartContainer]),
        ({"limits": Limits(memory=5, restart=False)}, [do.UpdateLimits]),
        ({"limits": Limits(memory=5, restart=True)}, []),
        ({"state": ContainerState.RESTARTING}, []),
        ({"state": ContainerState.CREATED}, []),
        ({"state": ContainerState.DEAD}, []),
        ({"address": None}, []),
    ],
)
def test_what_is_there_is_kept_going_until_its_next_image_is_there(container, kinds):
    """By the usual rules, and without anything of what it is to become: no file, and no limit but the policy."""
    files = replace(POD.workload, image="a:2", files=FILES, resources=Resources(memory=7))
    life = _changed()
    life.pod = replace(life.pod, workload=files)
    life.look(1, **container)
    assert (_kinds(life), life.found.lacks_image, life.status.observed_generation) == (kinds, True, 1)


def test_what_is_there_is_kept_going_until_it_is_its_turn():
    """To wait for a slot is no other matter than to wait for an image."""
    life = _busy()
    life.pod = replace(HEAVY, workload=replace(HEAVY.workload, image="a:2"), generation=2)
    life.look(1)
    assert (life.actions, life.found.waits_for, _applied(life)) == ((), "WaitingToStart", (False, "WaitingToStart"))
    assert _kinds(life.look(1, state=ContainerState.PAUSED)) == [do.StartContainer]
    life.look(1, state=ContainerState.RUNNING)
    assert _kinds(life.answer(10, ready=False, alive=False, misses=3)) == [do.StopContainer]


def test_a_pod_without_a_container_says_that_it_waits_for_its_image():
    """It is being made, by a try that is under way, and of the first generation something is said at once."""
    life = Life()
    life.container, life.seen["has_image"] = None, False
    life.look()
    assert (life.status.phase, life.status.reason, life.status.params) == (
        Phase.CREATING,
        "WaitingForImage",
        {"image": "a:1"},
    )
    assert (life.status.observed_generation, life.found.happenings[-1].reason) == (1, "WaitingForImage")


@pytest.mark.parametrize(("can_mend", "phase"), [(False, Phase.BLOCKED), (True, Phase.RUNNING)])
def test_a_refused_image_is_said_and_told_whatever_the_agent_does(can_mend, phase):
    """Its refusal stands while it is tried again, also by a leader that does not know of it, and while it is mended."""
    life = _changed()
    refusal = Refusal(reason="ImageNotFound", params={"image": "a:2"}, can_mend=can_mend, next_at=life.now)
    life.seen["refused_image"] = replace(refusal, next_at=life.now + timedelta(seconds=50))
    life.look(10)
    since = life.status.condition(ConditionType.APPLIED).since
    assert (life.status.phase, life.status.reason, life.status.ready) == (phase, "ImageNotFound", True)
    assert [type(one) for one in life.found.alerts] == ([] if can_mend else [Raise])
    assert (life.told[-1], life.found.wake_at) == ("ImageNotFound", life.now + timedelta(seconds=40))
    del life.seen["refused_image"]
    life.told.clear()
    life.look(60)
    assert life.status.condition(ConditionType.APPLIED).since == since
    assert (life.status.phase, life.status.reason, life.told) == (phase, "ImageNotFound", [])
    life.seen["refused_image"] = refusal
    life.look(1, state=ContainerState.PAUSED)
    assert (_kinds(life), life.status.reason) == ([do.StartContainer], "ImageNotFound")
    life.look(300, state=ContainerState.RUNNING)
    assert life.status.phase is (Phase.DEGRADED if can_mend else Phase.BLOCKED)
    assert len(life.record.alerting) == 1


def test_an_agent_that_hangs_is_mended_as_it_is_until_its_next_image_is_there():
    """It is restarted, without anything of what it is to become."""
    assert _kinds(_changed().answer(10, ready=False, alive=False, misses=3)) == [do.StopContainer, do.StartContainer]


def test_what_was_started_by_hand_before_it_was_filled_gets_its_files():
    """A container that runs and that no pass has seen running is filled, without another start."""
    life = Life(HEAVY)
    assert _kinds(life.look()) == [do.WriteFiles]
    assert life.look(1).actions == ()


def test_what_a_person_stopped_comes_up_only_as_it_is_wanted_now():
    """Of what it was before they had enough; once somebody starts it by hand, it is looked after like any other."""
    life = Life().answer()
    life.pod = replace(POD, spec=replace(POD.spec, wanted=Wanted.STOPPED))
    assert _kinds(life.look(1)) == [do.StopContainer]
    life.exit(1, code=0)
    life.pod = replace(POD, workload=replace(POD.workload, image="a:2"), generation=2)
    life.seen["has_image"] = False
    life.look(1)
    assert (life.actions, life.found.lacks_image, life.status.reason) == ((), True, "WaitingForImage")
    life.seen["has_image"], life.seen["has_boot_slot"] = True, False
    life.pod = replace(life.pod, workload=replace(life.pod.workload, boot_cost=30.0))
    assert (_kinds(life.look(1)), life.found.waits_for) == ([], "WaitingToStart")
    assert _kinds(life.start(1)) == []
    life.seen |= {"has_boot_slot": True, "has_image": False}
    assert _kinds(life.exit(1)) == [do.StartContainer]


def test_a_stop_that_was_taken_back_in_time_puts_nobody_down():
    """An agent that goes on to answer comes back as ever when it ends later."""
    life = Life().answer()
    life.pod = replace(POD, spec=replace(POD.spec, wanted=Wanted.STOPPED))
    life.look(1)
    life.pod = replace(POD, workload=replace(POD.workload, image="a:2"), generation=2)
    life.seen["has_image"] = False
    life.look(1)
    assert _kinds(life.exit(1)) == [do.StartContainer]


def test_a_blocked_agent_comes_up_only_as_it_is_wanted_now():
    """No restart mends it, so it is not started for the time until its next image is there."""
    life = Life().answer()
    life.exit(10, code=78)
    assert life.status.phase is Phase.BLOCKED
    life.pod = replace(POD, workload=replace(POD.workload, image="a:2"), generation=2)
    life.seen["has_image"] = False
    life.look(1)
    assert (life.actions, life.found.lacks_image, life.record.blocked) == ((), True, None)
    life.seen["has_image"] = True
    assert _kinds(life.look(1))[-1] is do.StartContainer


def test_an_agent_is_measured_by_what_it_was_asked_with():
    """How patient the next one's probe is, and how long it may take to start, says nothing of the one that is there."""
    asked = POD.workload.probe
    life = _changed()
    life.pod = replace(
        life.pod, workload=replace(life.pod.workload, probe=replace(asked, failures=1, start_deadline=10))
    )
    life.start(10)
    assert life.answer(asked.start_deadline - 1, ready=False, probe=asked).actions == ()
    life.answer(10, probe=asked)
    life.answer(10, ready=False, alive=False, misses=asked.failures - 1, probe=asked)
    assert (life.actions, life.status.ready) == ((), True)
    life.answer(10, ready=False, alive=False, misses=asked.failures, probe=asked)
    assert (_kinds(life), life.status.ready) == ([do.StopContainer, do.StartContainer], False)


def test_a_container_as_it_is_wanted_is_measured_as_it_is_wanted():
    """More time to start is given to one that is starting, whatever its probe was told when it was asked."""
    life = Life().answer(50, ready=False, probe=POD.workload.probe)
    life.pod = replace(
        POD, workload=replace(POD.workload, probe=replace(POD.workload.probe, start_deadline=600)), generation=2
    )
    assert life.answer(50, ready=False, probe=POD.workload.probe).actions == ()
