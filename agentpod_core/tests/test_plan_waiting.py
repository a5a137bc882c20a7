"""What is done at once and what waits its turn while other agents boot, or until an image is there."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from pod_life import POD, Life

from agentpod_core import ContainerState, File, OnChange
from agentpod_core.values import actions as do
from agentpod_core.values.status import ConditionType, Phase

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
    assert _kinds(life) == [do.ObtainImage]
    assert (life.status.phase, life.status.condition(ConditionType.READY).status) == (Phase.RUNNING, True)
    life.seen["has_image"] = True
    assert do.RemoveContainer in _kinds(life.look(1))


def test_an_agent_that_hangs_is_mended_as_it_is_until_its_next_image_is_there():
    """It is restarted, without anything of what it is to become."""
    assert _kinds(_changed().answer(10, ready=False, alive=False, misses=3)) == [do.StopContainer, do.StartContainer]


def test_what_was_started_by_hand_before_it_was_filled_gets_its_files():
    """A container that runs and that no pass has seen running is filled, without another start."""
    life = Life(HEAVY)
    assert _kinds(life.look()) == [do.WriteFiles]
    assert life.look(1).actions == ()
