"""The simulated kit has teeth: for whatever it looks at there is an engine that does it wrongly, and it is noticed."""

from __future__ import annotations

import asyncio
import importlib
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from simulated.chance import FROZEN_IN_THE_MIDST
from simulated.engine import Engine
from simulated.history import live, live_until_cut
from simulated.steps import Change, Foreign, Hand, Lose, Step, Wait
from simulated.troubles import Doom, Freeze, Outage, Registry

from agentpod_core.controller import Controller
from agentpod_core.plan import Timings, alerting
from agentpod_core.reconcile.applying import Changes
from agentpod_core.reconcile.fence import Fence
from agentpod_core.testing import FakeStore
from agentpod_core.testing.fake_changes import Changes as FakeChanges

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
    stripped(monkeypatch)
    with pytest.raises(AssertionError, match="NotAnswering was told of"):
        live((Hand(0, "hang"), Wait(40.0)))


# Engines that do something wrong.


def loses_what_is_in_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove whatever foreign comes, a second later."""
    adds_container, adds_network = Engine.add_foreign_container, Engine.add_foreign_network

    def soon(things: dict[str, Any], name: str) -> None:
        asyncio.get_running_loop().call_later(1.0, things.pop, name, None)

    def container(self: Engine, name: str, labels: dict[str, str] | None = None) -> Any:
        soon(self.containers, name)
        return adds_container(self, name, labels)

    def network(self: Engine, name: str, subnet: str, labels: dict[str, str] | None = None) -> None:
        soon(self.networks, name)
        adds_network(self, name, subnet, labels)

    monkeypatch.setattr(Engine, "add_foreign_container", container)
    monkeypatch.setattr(Engine, "add_foreign_network", network)


def takes_a_name_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at no label: whoever has the name is ours."""
    find = FakeChanges.find
    monkeypatch.setattr(FakeChanges, "find", lambda self, name: self.engine.containers.get(name) or find(self, name))


def stripped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell nobody of anything."""
    follow = alerting.follow
    monkeypatch.setattr(alerting, "follow", lambda *given, **more: (follow(*given, **more)[0], ()))


def doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell everything twice."""
    follow = alerting.follow

    def twice(*given: Any, **more: Any) -> Any:
        record, changes = follow(*given, **more)
        return record, (*changes, *changes)

    monkeypatch.setattr(alerting, "follow", twice)


def has_no_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust a lease that ran out."""
    monkeypatch.setattr(Fence, "left", property(lambda _: 1e6))


def leads_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust a lease that ran out; and the store, which is to say no, does not."""
    has_no_fence(monkeypatch)
    monkeypatch.setattr(FakeStore, "_demand", lambda _self, _epoch: None)


def has_no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once, however often it failed."""
    monkeypatch.setattr(Timings, "backoff", lambda _self, _failures: timedelta())


def heals_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take an agent for told that was not."""

    async def nothing(*_: object) -> None:
        pass

    monkeypatch.setattr(Changes, "_tell_healed", nothing)


def looks_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the engine's events alone."""

    async def never(_: Controller) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Controller, "_resync_regularly", never)


def promises_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speak of what is wanted as soon as it is asked for."""
    module = importlib.import_module("agentpod_core.plan.conclude")
    monkeypatch.setattr(module, "earlier", lambda _before, generation: generation)


FETCHED = (Lose(0, "images"), Registry(has_all=True, seconds=15.0), Change(0, "image", 1), Wait(5.0))
KILLED = (Hand(0, "kill"), Wait(12.0))

NOTICED: list[tuple[Callable[[pytest.MonkeyPatch], None], tuple[Step, ...], str]] = [
    (loses_what_is_in_its_way, (Foreign(0, "name"), Wait(12.0)), "the foreign container .* was touched"),
    (loses_what_is_in_its_way, (Foreign(0, "address"), Wait(12.0)), "the foreign container .* was touched"),
    (loses_what_is_in_its_way, (Lose(0, "subnet"), Wait(12.0)), "the foreign network .* was touched"),
    (takes_a_name_for_its_own, (Foreign(0, "name"), Wait(12.0)), "the foreign container .* was touched"),
    (stripped, TROUBLE, "the alerts that are open are set"),
    (doubled, TROUBLE, "was said a second time"),
    (has_no_fence, FROZEN_IN_THE_MIDST, "does .* while server-2 leads"),
    (leads_for_ever, (Freeze(0, 12.0, is_cut=True), Wait(11.0), Hand(0, "remove"), Wait(9.0)), "while server-2 leads"),
    (has_no_patience, (Doom(0, 1, 0.0, 1000), Hand(0, "kill"), Wait(60.0)), "starts of .* tries"),
    (heals_nobody, KILLED, "was healed, and its agent was not told"),
    (promises_too_much, FETCHED, "is said to be as it is wanted, and runs as it was"),
    (looks_never, (Outage("events", 15.0), Hand(0, "tighten"), Wait(15.0)), "its limits are"),
]


@pytest.mark.parametrize(("broken", "steps", "said"), NOTICED)
def test_what_is_broken_is_noticed(broken, steps, said, monkeypatch) -> None:
    """Each of these engines does well in peace, and something else that it must never do."""
    is_about_leaders = broken in {has_no_fence, leads_for_ever}
    broken(monkeypatch)
    with pytest.raises(AssertionError, match=said):
        live(steps, standby=is_about_leaders, slowness=3.0 if is_about_leaders else 0.0)
