"""What counts as a change of a container or a file, and what does not."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec.structs import replace
from pod_life import INSTANCE, POD

from agentpod_core import File, OnChange, Probe, Volume, Workload
from agentpod_core.desired import Desired, desire, workload_problems


class LaterVolume(Volume, frozen=True, kw_only=True):
    """A volume of a later version, with one field more."""

    cold: bool = False


class LaterFile(File, frozen=True, kw_only=True):
    """A file of a later version, with one field more."""

    comment: str = ""


WORKLOAD = Workload(
    image="a:1", volumes=(Volume(name="data", path="/data"),), files=(File(path="/data/a", parts=("x",)),)
)


def _desired(**changes: Any) -> Desired:
    return desire(INSTANCE, replace(POD, workload=replace(WORKLOAD, **changes)))


def test_a_field_that_a_later_version_adds_is_no_change() -> None:
    """An upgrade of the platform that knows more about volumes or files makes no container anew, and restarts none."""
    later = _desired(
        volumes=(LaterVolume(name="data", path="/data"),), files=(LaterFile(path="/data/a", parts=("x",)),)
    )
    assert (later.spec_hash, later.files, later.labels) == (
        _desired().spec_hash,
        _desired().files,
        _desired().labels,
    )


def test_what_is_said_is_a_change() -> None:
    """A value other than the default counts, in the container's part and in a file's."""
    assert _desired(volumes=(LaterVolume(name="data", path="/data", cold=True),)).spec_hash != _desired().spec_hash
    assert _desired(env={"A": "1"}).spec_hash != _desired().spec_hash
    live = File(path="/data/a", parts=("x",), on_change=OnChange.LIVE)
    other = File(path="/data/a", parts=("y",))
    assert len({_desired(files=(file,)).files["/data/a"] for file in (*WORKLOAD.files, live, other)}) == 3


def test_every_nonsense_of_a_probe_is_told_at_once() -> None:
    """How an agent is to be asked has to make sense; all that does not is named with its path."""
    probe = Probe(probe="any", interval=-1.0, start_interval=0.0, timeout=math.nan, failures=0, start_deadline=math.inf)
    problems = workload_problems(Workload(image="x", probe=probe))
    assert [(one.path, one.reason) for one in problems] == [
        ("$.probe.interval", "NotAccepted"),
        ("$.probe.start_interval", "NotAccepted"),
        ("$.probe.timeout", "NotAccepted"),
        ("$.probe.failures", "NotAccepted"),
        ("$.probe.start_deadline", "NotAccepted"),
    ]


@pytest.mark.parametrize("much", [1e6, 1e12, 1e308])
def test_a_probe_has_upper_bounds_too(much: float) -> None:
    """What no calendar can reckon with is refused where it is given, all of it at once, with what is accepted."""
    probe = Probe(probe="any", interval=much, start_interval=much, timeout=much, failures=int(1e6), start_deadline=much)
    problems = workload_problems(Workload(image="x", probe=probe))
    assert [one.path.removeprefix("$.probe.") for one in problems] == [
        "interval",
        "start_interval",
        "timeout",
        "failures",
        "start_deadline",
    ]
    assert problems[3].message == "must be from 1 to 1000, not 1000000"


def test_the_bounds_of_a_probe_are_accepted() -> None:
    """A day and a thousand failures are within them."""
    probe = Probe(
        probe="any", interval=86400.0, start_interval=86400.0, timeout=86400.0, failures=1000, start_deadline=86400.0
    )
    assert workload_problems(Workload(image="x", probe=probe)) == []


def test_no_question_outlasts_the_next() -> None:
    """A timeout that is longer than the interval is refused; as long as it is fine."""
    found = [
        [one.path for one in workload_problems(Workload(image="x", probe=Probe(probe="any", interval=5.0, timeout=t)))]
        for t in (5.0, 5.1)
    ]
    assert found == [[], ["$.probe.timeout"]]


def test_a_memory_restart_is_no_change_of_the_container() -> None:
    """Whether a pod may be restarted before it is full says nothing about what its container is made of."""
    assert _desired(restart_when_full=True).spec_hash == _desired().spec_hash
