"""What is read from a pod's samples: growth that goes on, and no other."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agentpod_core import Workload
from agentpod_core.desired import Desired, desire
from agentpod_core.observed import Observed, Trend
from agentpod_core.plan import Timings, plan
from agentpod_core.plan.memory import Point, fills_up, may_restart, trend, watch
from agentpod_core.ports import PodInput
from agentpod_core.values.actions import StartContainer, StopContainer
from agentpod_core.values.pods import Lease, PodSpec
from agentpod_core.values.status import Record
from agentpod_core.values.world import Container, ContainerState

MIB = 1024 * 1024
LIMIT = 1000 * MIB
TIMINGS = Timings()
NOW = datetime(2030, 1, 1, tzinfo=UTC)
FILLING = Trend(memory=800 * MIB, limit=LIMIT, growth=MIB, full_in=200.0, is_quiet=True, is_busy=False)


def seen(memory: Callable[[int], float], *, minutes: int = 30, cpu: int = 5, limit: int | None = LIMIT) -> Trend:
    """Give the trend of a pod with that memory in MiB at each of so many minutes."""
    points = [Point(at=60.0 * n, cpu=cpu, memory=round(memory(n) * MIB), limit=limit) for n in range(minutes)]
    return trend(points, points[-1])


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (lambda n: 700 + 5 * n, True),
        (lambda n: 700 + 5 * n + random.Random(n).uniform(-20, 20), True),
        (lambda n: 700 + 5 * n + (40 if n % 7 else 0), True),
        (lambda n: 100 + 5 * n, False),
        (lambda n: 800, False),
        (lambda n: 950 + random.Random(n).uniform(-20, 20), False),
        (lambda n: 600 + 60 * (n % 6), False),
        (lambda n: 600 + 25 * (n % 14), False),
        (lambda n: 900 if n > 20 else 500, False),
        (lambda n: 990 - 5 * n, False),
        (lambda n: 750 + 0.05 * n, False),
        (lambda n: 950 if n % 2 else 700, False),
    ],
    ids=[
        "steady",
        "steady with noise",
        "steady with collections",
        "steady and far from full",
        "still",
        "still and nearly full",
        "collected every six minutes",
        "collected every fourteen minutes",
        "one step",
        "falling",
        "hardly rising",
        "up and down",
    ],
)
def test_only_growth_that_fills_up_is_told(memory: Callable[[int], float], expected: bool) -> None:
    """What grows steadily and will be full within the hour is told; noise, steps and collected garbage are not."""
    assert fills_up(seen(memory), TIMINGS) is expected


def test_when_it_will_be_full_is_reckoned() -> None:
    """Rate and time follow from the samples."""
    found = seen(lambda n: 700 + 6 * n)
    assert found.full_in is not None
    assert (round(found.growth / (6 * MIB / 60), 3), round(found.full_in / 60)) == (1.0, 21)


@pytest.mark.parametrize("minutes", [1, 9])
def test_few_samples_say_nothing_of_growth(minutes: int) -> None:
    """Under ten of them nobody can tell."""
    found = seen(lambda n: 700 + 20 * n, minutes=minutes)
    assert (found.growth, found.full_in) == (0.0, None)


def test_without_a_limit_nothing_fills_up() -> None:
    """A pod without a limit has nothing to reach."""
    assert not fills_up(seen(lambda n: 700 + 5 * n, limit=None), TIMINGS)


@pytest.mark.parametrize(("cpu", "is_quiet", "is_busy"), [(0, True, False), (30, True, True), (400, False, True)])
def test_quiet_and_busy_follow_the_processor(cpu: int, is_quiet: bool, is_busy: bool) -> None:
    """Quiet is who had nothing to do for minutes; busy is who has something to do now, however little it gets."""
    found = seen(lambda n: 10, cpu=cpu)
    assert (found.is_quiet, found.is_busy) == (is_quiet, is_busy)


def test_one_quiet_look_is_no_quiet_moment() -> None:
    """It takes some minutes of quiet, and the last of them counts."""
    quiet = [Point(at=60.0 * n, cpu=cpu, memory=MIB, limit=LIMIT) for n, cpu in enumerate((0, 0, 0))]
    worked = [*quiet[:2], replace(quiet[2], cpu=900)]
    assert [trend(points, points[-1]).is_quiet for points in (quiet, quiet[:2], worked)] == [True, False, False]


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=30), st.one_of(st.none(), st.integers(1, 10**12)))
def test_whatever_is_measured_gives_a_trend(memory: list[int], limit: int | None) -> None:
    """Growth is never negative, and who is to be full some time grows."""
    points = [Point(at=60.0 * n, cpu=0, memory=one, limit=limit) for n, one in enumerate(memory)]
    found = trend(points, points[-1])
    assert found.growth >= 0
    assert found.full_in is None or (found.full_in >= 0 and found.growth > 0)


def desired(**changes: Any) -> Desired:
    """Give what is wanted of a pod."""
    pod = PodInput(
        id="p",
        name="main",
        tenant_id="t",
        tenant="acme",
        generation=1,
        spec=PodSpec(adapter="echo"),
        workload=replace(Workload(image="a:1"), **changes),
        lease=Lease(number=1, subnet="10.0.0.0/26", gateway="10.0.0.1"),
        address="10.0.0.4",
        hosts=(),
    )
    return desire("testabcd", pod)


def test_it_is_reported_once_for_each_start() -> None:
    """The first pass that sees it reports it; the next ones know."""
    record, told = watch(Observed(trend=FILLING), Record(), TIMINGS)
    again, silence = watch(Observed(trend=FILLING), record, TIMINGS)
    assert ([one.reason for one in told], told[0].params) == (
        ["MemoryGrowing"],
        {"memory": 800 * MIB, "limit": LIMIT, "minutes": 3},
    )
    assert (again, silence) == (record, ())


@pytest.mark.parametrize(
    ("allowed", "record", "found", "expected"),
    [
        (True, Record(ready_since=NOW), FILLING, True),
        (False, Record(ready_since=NOW), FILLING, False),
        (True, Record(), FILLING, False),
        (True, Record(ready_since=NOW), replace(FILLING, is_quiet=False), False),
        (True, Record(ready_since=NOW), replace(FILLING, full_in=None), False),
        (True, Record(ready_since=NOW), None, False),
    ],
    ids=["quiet", "not allowed", "not ready", "at work", "not filling", "unknown"],
)
def test_a_restart_takes_a_quiet_moment_and_leave(
    allowed: bool, record: Record, found: Trend | None, expected: bool
) -> None:
    """Only where the adapter allows it, and the agent is ready, has nothing to do and fills up."""
    assert may_restart(desired(restart_when_full=allowed), Observed(trend=found), record, TIMINGS) is expected


@pytest.mark.parametrize("allowed", [False, True])
def test_the_plan_restarts_it_and_says_why(allowed: bool) -> None:
    """A pod that fills up is reported, and stopped and started again where that is allowed; that is no failure."""
    wanted = desired(restart_when_full=allowed)
    container = Container(
        id="c",
        name=wanted.container,
        state=ContainerState.RUNNING,
        labels=wanted.labels,
        address="10.0.0.4",
        deep=True,
        started_at=NOW,
        limits=wanted.limits,
    )
    known = Record(
        generation=1,
        container_id="c",
        started_at=NOW,
        ready_since=NOW,
        was_ready=True,
        files=wanted.files,
    )
    found = plan(wanted, Observed(containers=(container,), trend=FILLING), known, NOW, timings=TIMINGS)
    told = [one.reason for one in found.happenings if one.kind == "health"]
    steps = [(type(one), one.reason) for one in found.actions]
    restart = [(StopContainer, "MemoryNearlyFull"), (StartContainer, "MemoryNearlyFull")]
    assert (told, steps, found.record.failures) == (
        ["MemoryGrowing", "RestartedBeforeFull"] if allowed else ["MemoryGrowing"],
        restart if allowed else [],
        (),
    )
