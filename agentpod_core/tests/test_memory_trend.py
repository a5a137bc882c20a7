"""What is read from a pod's samples: growth that goes on, and no other."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pod_life import INSTANCE, POD

from agentpod_core import Workload
from agentpod_core.desired import Desired, desire
from agentpod_core.observed import Observed, Trend
from agentpod_core.plan import Timings, plan
from agentpod_core.plan.memory import KEPT, Point, fills_up, may_restart, trend, watch
from agentpod_core.values.actions import StartContainer, StopContainer
from agentpod_core.values.status import PodStatus, Record
from agentpod_core.values.world import Container, ContainerState

MIB = 1024 * 1024
LIMIT = 1000 * MIB
TIMINGS = Timings()
NOW = datetime(2030, 1, 1, tzinfo=UTC)
FILLING = Trend(
    memory=800 * MIB,
    limit=LIMIT,
    growth=MIB,
    full_in=200.0,
    grown=400 * MIB,
    watched=3540.0,
    is_quiet=True,
    is_busy=False,
)
FLAT = replace(FILLING, growth=0.0, full_in=None)


def seen(memory: Callable[[int], float], *, minutes: int = 40, cpu: int = 5, limit: int | None = LIMIT) -> Trend:
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


def course(memory: Callable[[int], float], minutes: int) -> list[int]:
    """Give the minutes of so many at which a pod with that memory in MiB fills up, as a sampler sees it."""
    points = [Point(at=60.0 * n, cpu=5, memory=round(memory(n) * MIB), limit=LIMIT) for n in range(minutes)]
    seen_then = [points[max(n + 1 - KEPT, 0) : n + 1] for n in range(minutes)]
    return [n for n, then in enumerate(seen_then) if fills_up(trend(then, then[-1]), TIMINGS)]


@pytest.mark.parametrize("minutes", [10, 15, 20, 30, 50])
@pytest.mark.parametrize("shape", ["at one rate", "ever slower"])
def test_a_warm_up_is_no_growth(shape: str, minutes: int) -> None:
    """An agent that goes from 60 to 80 percent of its memory, and stays there, is never told of."""

    def memory(n: int) -> float:
        part = min(n / minutes, 1.0) if shape == "at one rate" else 1 - math.exp(-n / minutes)
        return 600 + 200 * part + random.Random(n).uniform(-2, 2)

    assert course(memory, 240) == []


@pytest.mark.parametrize(
    ("rate", "begins", "ahead"), [(1.0, 400, 44), (0.3, 800, 44), (5.0, 600, 34), (20.0, 300, 15), (40.0, 500, 3)]
)
def test_a_leak_is_told_while_there_is_time(rate: float, begins: float, ahead: int) -> None:
    """However fast it goes, it is told so many minutes before nothing is left, and from then on."""
    full = math.ceil((1000 - begins) / rate)
    told = course(lambda n: begins + rate * n, full)
    assert (told != [] and full - told[0] >= ahead, told) == (True, list(range(told[0], full)))


def test_when_it_will_be_full_is_reckoned() -> None:
    """Rate and time follow from the samples."""
    found = seen(lambda n: 700 + 6 * n, minutes=30)
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
    return desire(INSTANCE, replace(POD, workload=Workload(image="a:1", **changes)))


def test_it_is_reported_once() -> None:
    """The first pass that sees it reports it; the next ones know."""
    record, told = watch(Observed(trend=FILLING), Record(), NOW, TIMINGS)
    again, silence = watch(Observed(trend=FILLING), record, NOW, TIMINGS)
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
        (True, Record(ready_since=NOW), replace(FILLING, grown=200 * MIB), False),
        (True, Record(ready_since=NOW), None, False),
    ],
    ids=["quiet", "not allowed", "not ready", "at work", "not filling", "grown by little", "unknown"],
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
    container = running(wanted)
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


def running(wanted: Desired) -> Container:
    """Give the container that is wanted, running for long."""
    return Container(
        id="c",
        name=wanted.container,
        state=ContainerState.RUNNING,
        labels=wanted.labels,
        address="10.0.0.4",
        deep=True,
        started_at=NOW,
        limits=wanted.limits,
    )


def alerts_of(*seen_then: tuple[int, Trend | None]) -> list[tuple[int, str]]:
    """Give what a person is told of a running pod with these trends at these minutes, and when."""
    wanted = desired()
    record, status = Record(generation=1, container_id="c", started_at=NOW, files=wanted.files), PodStatus()
    told = []
    for minute, found in seen_then:
        now = NOW + timedelta(minutes=minute)
        observed = Observed(containers=(running(wanted),), trend=found)
        todo = plan(wanted, observed, record, now, before=status, timings=TIMINGS)
        record, status = todo.record, todo.status
        told += [(minute, type(one).__name__) for one in todo.alerts]
        told += [(minute, one.reason) for one in todo.happenings if one.kind == "health"]
    return told


def test_the_alert_is_over_once_growth_has_ended_for_long() -> None:
    """Ten minutes after the growth has ended it is over, in the same start, and growth after that is news."""
    assert alerts_of((0, FILLING), (30, FLAT), (39, FLAT), (41, FLAT), (600, FILLING)) == [
        (0, "Raise"),
        (0, "MemoryGrowing"),
        (41, "Clear"),
        (600, "Raise"),
        (600, "MemoryGrowing"),
    ]


def test_growth_that_pauses_is_the_same() -> None:
    """Who goes on growing before it was over is told of once."""
    assert alerts_of((0, FILLING), (30, FLAT), (35, FILLING), (45, FLAT), (54, FILLING), (60, FLAT), (71, FLAT)) == [
        (0, "Raise"),
        (0, "MemoryGrowing"),
        (71, "Clear"),
    ]


@pytest.mark.parametrize(
    "found",
    [
        None,
        replace(FLAT, watched=600.0),
        replace(FILLING, full_in=2 * TIMINGS.full_soon),
    ],
    ids=["not measured", "measured for ten minutes", "growing more slowly"],
)
def test_what_says_little_ends_nothing(found: Trend | None) -> None:
    """A new leader has to watch for half an hour before it says that a growth has ended."""
    assert alerts_of((0, FILLING), (30, found), (60, found), (90, found)) == [(0, "Raise"), (0, "MemoryGrowing")]
