"""The failure policy, moment by moment: what counts, what it costs, and what forgets it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from pod_life import POD, START, Life

from agentpod_core import ConflictError, PermanentError, catalogue
from agentpod_core.observed import Trend
from agentpod_core.plan import Timings, applied_badly
from agentpod_core.values import actions as do
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Phase


def test_an_exit_is_a_failure_and_the_first_is_answered_at_once():
    """The first exit is started again without a pause; the engine's own policy stays on."""
    life = Life().answer().exit(5)
    assert (life.failures, life.status.phase) == (1, Phase.STARTING)
    assert life.planned(do.StartContainer)
    assert life.planned(do.UpdateLimits) is None


def test_the_second_exit_takes_the_policy_from_the_engine():
    """From the second on the engine starts nothing by itself, and the next try comes after ten seconds."""
    life = Life().answer().exit(5).start(1).exit(5)
    assert life.failures == 2
    assert life.planned(do.UpdateLimits).limits.restart is False
    assert life.planned(do.StartContainer) is None
    assert life.found.wake_at == life.now + timedelta(seconds=10)
    assert life.look(9.9).planned(do.StartContainer) is None
    assert life.look(0.1).planned(do.StartContainer)


def test_the_pauses_double_up_to_five_minutes():
    """10 s, 20 s, 40 s … and never more than 300 s."""
    life = Life().answer()
    pauses = []
    for _ in range(9):
        life.exit(1)
        pauses.append((life.record.not_before - life.now).total_seconds())
        life.start(pauses[-1])
    assert pauses == [0, 10, 20, 40, 80, 160, 300, 300, 300]


def test_three_in_a_row_are_degraded_and_one_more_is_a_loop():
    """The phase follows the number of failures, and stays a loop while the next try is under way."""
    life = Life().answer()
    phases = []
    for _ in range(5):
        phases.append(life.exit(1).status.phase)
        life.start(400)
    assert phases == [Phase.STARTING, Phase.STARTING, Phase.DEGRADED, Phase.CRASH_LOOP, Phase.CRASH_LOOP]
    assert life.status.phase is Phase.CRASH_LOOP
    assert (life.status.params["failures"], life.status.params["exit_code"]) == (5, 1)
    assert life.answer(1).status.phase is Phase.RUNNING


def test_restarts_by_the_engine_count_each():
    """What the engine restarted by itself while nobody looked are as many failures."""
    life = Life().answer().look(5, restarts=2, started_at=START + timedelta(seconds=4))
    assert life.failures == 2
    assert "RestartedByEngine" in life.told


def test_an_end_that_the_engine_answered_shows_no_code():
    """Nobody saw with which code it ended: neither a question mark is shown nor the code of an older end."""
    life = Life().answer().exit(5, code=3).start(1)
    assert catalogue.text(life.status.reason, life.status.params).startswith(
        "The agent failed. It ended with exit code 3. It is on its way up"
    )
    life.answer().look(5, restarts=1, started_at=life.now + timedelta(seconds=4))

    assert catalogue.text(life.status.reason, life.status.params) == (
        "The agent failed. It ended, and the container engine started it again. It is on its way up again."
    )


def test_ten_good_minutes_forget_everything():
    """Then the failures are gone and the engine has its policy back; not a second sooner."""
    life = Life().answer().exit(5).start(1).exit(5).start(10).answer(1)
    off = replace(life.container.limits, restart=False)
    assert life.look(599, limits=off).failures == 2
    assert life.found.wake_at == life.now + timedelta(seconds=1)
    life.look(1)
    assert life.failures == 0
    assert life.planned(do.UpdateLimits).limits.restart is True


def test_a_bad_answer_starts_the_good_minutes_anew():
    """Ten minutes are without a break."""
    life = Life().answer().exit(5).start(1).answer(1)
    life.answer(500, ready=False, misses=3).answer(1)
    assert life.look(400).failures == 1
    assert life.look(200).failures == 0


def test_a_silent_agent_is_a_failure_and_restarted():
    """Three checks without any answer, and it is stopped and started."""
    life = Life().answer().answer(10, ready=False, alive=False, misses=2)
    assert life.failures == 0
    life.answer(10, ready=False, alive=False, misses=3)
    assert (life.failures, "NotAnswering" in life.told) == (1, True)
    assert [type(one) for one in life.actions] == [do.StopContainer, do.StartContainer]


def test_an_agent_that_says_it_is_not_ready_is_not_restarted():
    """It lives, and is shown as degraded."""
    life = Life().answer().answer(100, ready=False, alive=True, misses=50)
    assert (life.failures, life.actions, life.status.phase) == (0, (), Phase.DEGRADED)


def test_a_start_that_is_too_slow_is_a_failure():
    """The readiness window ends with its deadline."""
    life = Life().answer(59, ready=False, misses=50)
    assert life.failures == 0
    life.answer(1, ready=False, misses=51)
    assert (life.failures, life.told[-1]) == (1, "StartTooSlow")


@pytest.mark.parametrize(("seconds", "failures"), [(60, 0), (299, 0), (300, 1)])
def test_a_start_that_burns_processor_time_may_take_five_times_as_long(seconds, failures):
    """While it makes headway it is let be, looked at again, and not for ever."""
    life = Life()
    life.seen["trend"] = Trend(memory=1, limit=None, growth=0.0, full_in=None, is_quiet=False, is_busy=True)
    life.answer(seconds, ready=False, misses=9)
    assert life.failures == failures
    assert failures or life.found.wake_at == life.now + timedelta(seconds=10)


@pytest.mark.parametrize("code", [1, 78])
def test_a_restart_clears_it_all(code):
    """Failures, pauses and blocks are gone, and the pod is started at once."""
    life = Life().answer()
    for _ in range(4):
        life.exit(1, code=code).start(400)
    life.exit(1, code=code)
    life.pod = replace(POD, spec=replace(POD.spec, restarts=1))
    life.look(1)
    assert (life.failures, life.record.blocked, life.record.not_before) == (0, None, None)
    assert life.planned(do.StartContainer)
    assert life.record.restarts_done == 1


def test_an_end_that_was_wanted_is_no_failure():
    """A stopped pod ends, and is started without any record of it."""
    life = Life().answer()
    life.pod = replace(POD, spec=replace(POD.spec, wanted=Wanted.STOPPED), generation=2)
    assert life.look(1).planned(do.StopContainer)
    life.exit(1, code=143)
    life.pod = replace(POD, generation=3)
    assert (life.look(1).failures, life.status.phase) == (0, Phase.STARTING)


def test_a_kill_for_memory_is_named_so():
    """The agent's own end for want of memory is no mere exit."""
    life = Life().answer().exit(5, code=137, oom_killed=True)
    assert "OutOfMemory" in life.told
    assert "ContainerExited" not in life.told


def test_a_kill_for_memory_that_the_engine_answered_is_named_so():
    """The engine restarted it before anybody looked: that it was for memory is known from its event."""
    life = Life().answer(1)
    life.seen["oom_at"] = life.now + timedelta(seconds=1)
    life.look(2, restarts=1, started_at=life.now + timedelta(seconds=1.5))
    assert "OutOfMemory" in life.told
    assert "RestartedByEngine" not in life.told
    assert life.look(10).told.count("OutOfMemory") == 1


def test_a_kill_of_a_child_is_told_once_and_no_failure():
    """The agent lives on; that one of its processes was killed is said when it is sure."""
    life = Life().answer(10)
    life.seen["oom_at"] = life.now
    assert "OutOfMemory" not in life.look(0.1).told
    assert life.found.wake_at == life.seen["oom_at"] + timedelta(seconds=0.5)
    life.look(0.4)
    assert life.found.happenings[0].params == {"child": True}
    life.look(60)
    assert (life.told.count("OutOfMemory"), life.failures, life.actions) == (1, 0, ())


def test_an_end_together_with_the_engine_is_no_failure():
    """When the engine went, everything in it went: that speaks of no agent. Once it was back, an end counts."""
    life = Life().answer(100)
    life.seen["away"] = (life.now + timedelta(seconds=1), life.now + timedelta(seconds=20))
    life.exit(2, code=137)
    assert (life.failures, "EndedWithEngine" in life.told) == (0, True)
    assert life.planned(do.StartContainer)
    assert life.start(30).exit(1).failures == 1


@pytest.mark.parametrize("jump", [-86400.0, -1.0, 86400.0])
def test_a_clock_that_jumps_locks_nobody_out(jump):
    """However far the clock is set, a pod in a pause is tried again within five minutes."""
    life = Life().answer()
    for _ in range(6):
        life.exit(1).start(400)
    life.exit(1)
    life.look(jump)
    assert life.record.not_before <= life.now + timedelta(seconds=300)
    assert life.found.wake_at is None or life.found.wake_at > life.now
    life.look(300)
    assert life.planned(do.StartContainer)


def test_good_minutes_that_began_tomorrow_begin_now():
    """A clock that was set back makes nobody wait for a day until ten minutes have passed."""
    life = Life().answer().exit(5).start(1).answer(1)
    life.look(-86400)
    assert life.look(599).failures == 1
    assert life.look(1).failures == 0


def test_what_stands_in_the_way_is_tried_ever_more_rarely():
    """A conflict or a passing error is tried again after as long as it has lasted; what is permanent waits longest."""
    life = Life()
    life.container = None
    waits = []
    for _ in range(7):
        before = life.status
        life.look()
        failed = applied_badly(life.found, ConflictError("NameTaken", name="x"), life.now, Timings(), before=before)
        waits.append((failed.wake_at - life.now).total_seconds())
        life.now, life.status = failed.wake_at, failed.status
    assert waits == [10, 10, 20, 40, 80, 160, 300]
    permanent = applied_badly(life.found, PermanentError("ImageNotFound", image="a:1"), life.now, Timings())
    assert permanent.wake_at == life.now + timedelta(seconds=300)
