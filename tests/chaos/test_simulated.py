"""Thousands of histories on a simulated world: whatever happened, in peace everything becomes as it must be.

``AGENTPOD_CHAOS_HISTORIES=20000`` lives more of them, and others each time; a failing one is printed as short as it
could be made.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from simulated.chance import histories
from simulated.history import cut_everywhere, live
from simulated.steps import (
    Change,
    Create,
    Delete,
    Foreign,
    Hand,
    Lose,
    MakeWay,
    Restart,
    Second,
    Step,
    Wait,
    Want,
    WantTenant,
)
from simulated.troubles import Doom, Outage, Registry, Unshown
from simulated.world import REFUSED

from agentpod_core.values.pods import Wanted

HISTORIES = os.environ.get("AGENTPOD_CHAOS_HISTORIES")

RENEWED = ("a pod is made", "an agent hangs")

LOST = Lose(0, "images")

SCENARIOS: dict[str, tuple[Step, ...]] = {
    "a pod is made": (Create(3),),
    "a pod gets another image": (Change(0, "image", 1),),
    "a pod gets another limit and other files": (
        Change(0, "memory", 9),
        Change(0, "live", 9),
        Change(0, "merged", 9),
        Change(0, "restart", 9),
    ),
    "a pod is stopped and started": (Want(0, Wanted.STOPPED), Wait(0.3), Want(0, Wanted.RUNNING)),
    "a pod is restarted": (Restart(0),),
    "a pod is deleted": (Delete(0, keeps_data=False),),
    "a pod is deleted without its data": (Delete(0, keeps_data=True),),
    "a tenant is deleted": (WantTenant("acme", Wanted.DELETED),),
    "an agent is killed": (Hand(0, "kill"),),
    "an agent runs out of memory": (Hand(0, "oom"),),
    "an agent hangs": (Hand(0, "hang"),),
    "an agent ends again and again": (Doom(0, 1, 0.0, 5), Restart(0)),
    "an agent refuses its config": (Doom(0, REFUSED, 0.5, 1), Restart(0)),
    "an agent refuses its config in vain": (Doom(0, REFUSED, 0.5, 2), Restart(0), Wait(6.0), Restart(0)),
    "a container is removed": (Hand(0, "remove"),),
    "a container is paused": (Hand(0, "pause"),),
    "a container is dead": (Hand(0, "dead"),),
    "a container gets other limits": (Hand(0, "tighten"),),
    "a container is renamed": (Hand(0, "rename"),),
    "a second container comes up": (Second(0, runs=True),),
    "a name is taken": (Foreign(0, "name"), Wait(3.0), MakeWay()),
    "an address is taken": (Foreign(0, "address"), Wait(3.0), MakeWay()),
    "a network is removed": (Lose(0, "network"),),
    "a network is removed and its addresses are taken": (Lose(0, "subnet"), Wait(3.0), MakeWay()),
    "a volume is removed": (Lose(0, "volumes"),),
    "a network and a volume are removed": (Lose(0, "network"), Lose(0, "volumes")),
    "a container and its image are removed": (Lose(0, "images"), Hand(0, "remove"), Wait(3.0), MakeWay()),
    "a pod gets an image that is fetched": (LOST, Registry(has_all=True, seconds=15.0), Change(0, "image", 1)),
    "an agent ends while its next image is fetched": (
        LOST,
        Registry(has_all=True, seconds=15.0),
        Change(0, "image", 1),
        Hand(0, "kill"),
        Wait(1.0),
        Hand(0, "stop"),
    ),
    "an agent hangs beside an image that is nowhere": (
        LOST,
        Change(0, "image", 1),
        Hand(0, "hang"),
        Wait(15.0),
        MakeWay(),
    ),
    "an agent hangs while its next image is fetched without end": (
        LOST,
        Registry(has_all=True, seconds=1000.0),
        Change(0, "image", 1),
        Hand(0, "hang"),
        Wait(15.0),
        MakeWay(),
    ),
    "a container is not shown, and its agent hangs": (Unshown(0, "refuses", 15.0), Hand(0, "hang"), Wait(20.0)),
    "the engine is started again": (Outage("daemon", 0.5),),
}


LIVED: Counter[tuple[str, str]] = Counter()
"""How many histories were lived, by what they tell of and how they were cut short."""


@pytest.mark.timeout(1200)
@settings(
    max_examples=int(HISTORIES or 1000),
    deadline=None,
    derandomize=HISTORIES is None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(histories)
def test_every_history_ends_well(steps) -> None:
    """Exactly one container for each wanted pod, none for others, no data lost, nothing foreign touched, then quiet."""
    live(steps)
    LIVED["anything", "at random"] += 1


@pytest.mark.parametrize("how", ["death", "power"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_boundary_may_be_the_last(name, how) -> None:
    """Whatever the platform is doing, it can be killed between any two of its steps, and the next one finishes it."""
    LIVED[name, how] = cut_everywhere(SCENARIOS[name], how)
    assert LIVED[name, how] > 1


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_write_may_be_unsure(name) -> None:
    """Of any write the answer may be lost, and it may be made twice."""
    LIVED[name, "write"] = cut_everywhere(SCENARIOS[name], "write")
    assert LIVED[name, "write"] > 0


@pytest.mark.parametrize("name", RENEWED)
def test_every_renewal_may_be_unsure(name) -> None:
    """The lease is kept or lost in order, whichever of the answers about it is lost."""
    LIVED[name, "upkeep"] = cut_everywhere(SCENARIOS[name], "upkeep")
    assert LIVED[name, "upkeep"] > 0


def test_they_were_thousands(record_property) -> None:
    """So many histories as is said of them, of which most are a scenario that was cut short at another place."""
    told = Counter[str]()
    for (_, how), many in LIVED.items():
        told[how] += many
    record_property("histories", dict(told))
    print("histories:", dict(told), "together", told.total())  # noqa: T201 - to be read with -rP
    if len(LIVED) < 1 + 3 * len(SCENARIOS) + len(RENEWED):
        pytest.skip("only some of them were asked for")
    assert told["at random"] >= int(HISTORIES or 1000)
    assert told.total() - told["at random"] >= 2000
