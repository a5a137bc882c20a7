"""The simulated kit has teeth: for whatever it looks at there is an engine that does it wrongly, and it is noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from simulated import broken
from simulated.chance import FROZEN_IN_THE_MIDST
from simulated.history import live, live_until_cut
from simulated.steps import Change, Delete, Foreign, Hand, Lose, Second, Step, Wait, Want
from simulated.troubles import Doom, Freeze, Outage, Registry

from agentpod_core.values.pods import Wanted

TROUBLE = (
    Doom(0, 1, 0.0, 5),
    Hand(0, "kill"),
    Hand(1, "oom"),
    Hand(2, "hang"),
    Wait(40.0),
    Outage("engine", 40.0),
    Wait(45.0),
)
"""Somebody is to be told of each of these."""


def test_a_place_that_is_never_reached_is_said_to_be_none() -> None:
    """A scenario that is over before the server died at that boundary is not one in which it died."""
    hangs = (Hand(0, "hang"),)
    assert [live_until_cut(hangs, nth, "death") for nth in (1, 25, 1000)] == [True, True, False]


def test_everybody_is_told_of_everything_once() -> None:
    """Each trouble has one alert, which is over in the end; who was ill for a while is told that it was healed."""
    world = live(TROUBLE)

    assert Counter((one.tenant, one.pod, one.reason, one.is_open) for one in world.store.alerts) == {
        ("acme", "main", "CrashLoop", False): 1,
        ("acme", "other", "OutOfMemory", False): 1,
        ("bolt", "main", "Hung", False): 1,
        ("", "", "EngineUnreachable", False): 1,
    }
    assert set(world.ledger.healed) == {pod.id for pod in world.pods.values()}


def test_a_platform_that_tells_nobody_is_noticed_by_its_events(monkeypatch) -> None:
    """An agent that hung and no alert: that is wrong at once, and not only in the end."""
    broken.stripped(monkeypatch)
    with pytest.raises(AssertionError, match="NotAnswering was told of"):
        live((Hand(0, "hang"), Wait(40.0)))


FETCHED = (Lose(0, "images"), Registry(has_all=True, seconds=15.0), Change(0, "image", 1), Wait(5.0))
KILLED = (Hand(0, "kill"), Wait(12.0))
MADE_ANEW = (Change(0, "image", 1), Wait(5.0))
DELETED_BUT_NOT_ITS_DATA = (Delete(0, keeps_data=True),)

NOTICED: list[tuple[Callable[[pytest.MonkeyPatch], None], tuple[Step, ...], str]] = [
    (broken.loses_what_is_in_its_way, (Foreign(0, "name"), Wait(12.0)), "the foreign container .* was touched"),
    (broken.loses_what_is_in_its_way, (Foreign(0, "address"), Wait(12.0)), "the foreign container .* was touched"),
    (broken.loses_what_is_in_its_way, (Lose(0, "subnet"), Wait(12.0)), "the foreign network .* was touched"),
    (broken.takes_a_name_for_its_own, (Foreign(0, "name"), Wait(12.0)), "the foreign container .* was touched"),
    (broken.empties_volumes, MADE_ANEW, r"\d lost what it knew"),
    (broken.empties_volumes, (Hand(0, "remove"), Wait(5.0)), r"\d lost what it knew"),
    (broken.takes_volumes_along, MADE_ANEW, r"\d lost what it knew"),
    (broken.takes_volumes_along, DELETED_BUT_NOT_ITS_DATA, "was deleted with its data, which was to be kept"),
    (
        broken.takes_volumes_along,
        (Want(0, Wanted.STOPPED), Hand(0, "dead"), Want(0, Wanted.RUNNING)),
        r"\d lost what it knew",
    ),
    (broken.cleans_up, MADE_ANEW, "the volume .* of a pod that lives was removed"),
    (broken.moves_house, MADE_ANEW, "started at 10"),
    (broken.changes_tokens, MADE_ANEW, "started with .* token"),
    (broken.starts_the_next_beside_it, MADE_ANEW, "two containers of .* run"),
    (broken.leaves_the_second, (Second(0, runs=True),), "there are other containers of it"),
    (broken.sees_one_only, (Second(0, runs=True), *DELETED_BUT_NOT_ITS_DATA), "is gone, and its container is there"),
    (broken.acts_in_peace, (), "all was well, and still it did"),
    (broken.writes_in_peace, (), "all was well, and still it wrote"),
    (broken.stripped, TROUBLE, "the alerts that are open are set"),
    (broken.doubled, TROUBLE, "was said a second time"),
    (broken.has_no_fence, FROZEN_IN_THE_MIDST, "does .* while server-2 leads"),
    (
        broken.leads_for_ever,
        (Freeze(0, 12.0, is_cut=True), Wait(11.0), Hand(0, "remove"), Wait(9.0)),
        "while server-2 leads",
    ),
    (broken.has_no_patience, (Doom(0, 1, 0.0, 1000), Hand(0, "kill"), Wait(60.0)), "starts of .* tries"),
    (broken.heals_nobody, KILLED, "was healed, and its agent was not told"),
    (broken.promises_too_much, FETCHED, "is said to be as it is wanted, and runs as it was"),
    (broken.looks_never, (Outage("events", 15.0), Hand(0, "tighten"), Wait(15.0)), "its limits are"),
]


@pytest.mark.parametrize(("engine", "steps", "said"), NOTICED)
def test_what_is_broken_is_noticed(engine, steps, said, monkeypatch) -> None:
    """Each of these engines does well for a while, and then something that it must never do."""
    is_about_leaders = engine in {broken.has_no_fence, broken.leads_for_ever}
    engine(monkeypatch)
    with pytest.raises(AssertionError, match=said):
        live(steps, standby=is_about_leaders, slowness=3.0 if is_about_leaders else 0.0)
