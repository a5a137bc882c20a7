"""What is shown is what is done: the plan that anybody is given is the one that the next pass follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from agentpod_core import File, OnChange, Port, Probe, Repair, Volume, Workload
from agentpod_core.ports import pod_key
from agentpod_core.testing.fake_engine import FakeContainer
from agentpod_core.values.actions import WriteFiles
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Phase
from agentpod_core.values.world import ContainerState, Limits

CREATION = ["CreateVolume", "CreateContainer", "WriteFiles", "StartContainer"]
LIVE = File(path="/data/live.json", parts=("1",), on_change=OnChange.LIVE)
CONFIG = File(path="/data/config.json", parts=("1",), on_change=OnChange.RESTART)
WORKLOAD = Workload(
    image="fake:1",
    files=(LIVE, CONFIG),
    ports=(Port(name="http", number=8080),),
    volumes=(Volume(name="data", path="/data"),),
    probe=Probe(probe="any"),
    permanent_exits=(78,),
)


async def _is_stopped_by_hand(rig: Any, pod_id: str) -> None:
    container = rig.container(pod_id)
    container.end_wanted = True
    rig.engine.end(container, 143)


async def _is_paused(rig: Any, pod_id: str) -> None:
    rig.engine.pause(rig.name(pod_id))


async def _is_dead(rig: Any, pod_id: str) -> None:
    rig.container(pod_id).state = ContainerState.DEAD


async def _is_removed(rig: Any, pod_id: str) -> None:
    rig.engine.remove_by_hand(rig.name(pod_id))


async def _gets_another_limit(rig: Any, pod_id: str) -> None:
    rig.container(pod_id).limits = Limits(memory=8 * 1024 * 1024, restart=True)


async def _gets_a_second_container(rig: Any, pod_id: str) -> None:
    kept = {name: value for name, value in vars(rig.container(pod_id)).items() if name not in {"id", "name", "address"}}
    second = FakeContainer(id=rig.engine.next_id(), name="second", address="", **kept)
    rig.engine.containers[second.name] = second
    rig.engine.happened("start", second)
    await asyncio.sleep(1)


async def _gets_another_image(rig: Any, pod_id: str) -> None:
    rig.engine.images.add("fake:2")
    await rig.store.change_pod(pod_id, workload=replace(WORKLOAD, image="fake:2"))


async def _gets_another_file(rig: Any, pod_id: str) -> None:
    await rig.store.change_pod(pod_id, workload=replace(WORKLOAD, files=(replace(LIVE, parts=("2",)), CONFIG)))


async def _gets_another_config(rig: Any, pod_id: str) -> None:
    await rig.store.change_pod(pod_id, workload=replace(WORKLOAD, files=(LIVE, replace(CONFIG, parts=("2",)))))


async def _is_to_be_started_again(rig: Any, pod_id: str) -> None:
    await rig.store.change_spec(pod_id, restarts=1)


async def _is_to_stop(rig: Any, pod_id: str) -> None:
    await rig.store.want_pod(pod_id, Wanted.STOPPED)


async def _is_to_be_gone(rig: Any, pod_id: str) -> None:
    await rig.store.want_pod(pod_id, Wanted.DELETED)


async def _hangs(rig: Any, pod_id: str) -> None:
    rig.health.ill.add(pod_id)
    await asyncio.sleep(60)
    rig.health.ill.clear()


async def _refuses_its_config(rig: Any, pod_id: str) -> None:
    rig.repairs[78] = Repair(reason="Refused", command=("touch", "/data/repaired"))
    rig.engine.holds_restarts = True
    rig.engine.kill(rig.name(pod_id), 78)


Happen = Callable[[Any, str], Awaitable[None]]

SITUATIONS: list[tuple[Happen, list[str], list[str]]] = [
    (_is_stopped_by_hand, ["StartContainer"], []),
    (_is_paused, ["StartContainer"], []),
    (_is_dead, ["RemoveContainer", *CREATION], []),
    (_is_removed, CREATION, []),
    (_gets_another_limit, ["UpdateLimits"], []),
    (_gets_a_second_container, ["RemoveContainer"], []),
    (_gets_another_image, ["StopContainer", "RemoveContainer", *CREATION], []),
    (_gets_another_file, ["WriteFiles"], []),
    (_gets_another_config, ["StopContainer", "WriteFiles", "StartContainer"], []),
    (_is_to_be_started_again, ["StopContainer", "StartContainer"], []),
    (_is_to_stop, ["StopContainer"], []),
    (_is_to_be_gone, ["StopContainer", "RemoveContainer", "RemoveVolume"], []),
    (_hangs, ["StopContainer", "StartContainer"], []),
    # What follows a repair is for another plan to say, which knows how it ended.
    (_refuses_its_config, ["StopContainer", "UpdateLimits", "RunOnce"], ["StartContainer"]),
]
"""What happens to a pod that is well, what is to be shown then, and what the same pass does once that is done."""


@asynccontextmanager
async def no_passes(controller: Any) -> AsyncIterator[None]:
    """Have no pass begin while the block runs: there is one turn for all of them."""
    turns = controller._reconciler._turns
    await turns.take()
    try:
        yield
    finally:
        turns.give()


@asynccontextmanager
async def _leading(rig: Any) -> AsyncIterator[tuple[Any, str]]:
    """Give the controller that leads, with one turn for all passes, and a pod that is as it should be."""
    async with rig.running(workers=1) as controller:
        pod_id = await rig.add(workload=WORKLOAD)
        await rig.phase(pod_id, Phase.RUNNING)
        await asyncio.sleep(60)
        assert (await controller.plan(pod_id)).actions == ()
        yield controller, pod_id


def _kinds(actions: Any) -> list[str]:
    return [type(action).__name__ for action in actions]


@pytest.mark.parametrize(("happen", "kinds", "then"), SITUATIONS)
def test_what_is_shown_is_what_is_applied(live: Any, happen: Happen, kinds: list[str], then: list[str]) -> None:
    """The same actions in the same order, with their reasons and all that is in them; to show them does nothing."""

    async def history(rig: Any) -> None:
        async with _leading(rig) as (controller, pod_id):
            before = len(rig.engine.applied)
            async with no_passes(controller):
                await happen(rig, pod_id)
                shown = await controller.plan(pod_id)
                assert rig.engine.applied[before:] == []
            await controller.look(pod_key(pod_id))
            done = rig.engine.applied[before:]
        assert _kinds(shown.actions) == kinds
        assert all(action.reason for action in shown.actions)
        # What may fail is tried before anything is taken away for it: the same change, a step ahead.
        rehearsed = len(done) - len(kinds) - len(then)
        assert all(isinstance(one, WriteFiles) and one in shown.actions for one in done[:rehearsed])
        assert tuple(done[rehearsed : rehearsed + len(kinds)]) == shown.actions
        assert _kinds(done[rehearsed + len(kinds) :]) == then

    live(history)


def test_what_is_shown_of_a_new_pod_is_how_it_is_made(live: Any) -> None:
    """In the network of its tenant, which is nobody's plan but the tenant's own."""

    async def history(rig: Any) -> None:
        async with _leading(rig) as (controller, first):
            tenant = (await rig.store.pod(first)).tenant_id
            before = len(rig.engine.applied)
            async with no_passes(controller):
                pod_id = await rig.store.add_pod(tenant, "second", workload=WORKLOAD)
                shown = await controller.plan(pod_id)
            await controller.look(pod_key(pod_id))
            done = rig.engine.applied[before:]
        assert _kinds(shown.actions) == CREATION
        assert tuple(done) == shown.actions

    live(history)


@pytest.mark.parametrize("happen", [one for one, *_ in SITUATIONS if one is not _hangs])
def test_who_stands_by_shows_the_same(live: Any, happen: Happen) -> None:
    """Whichever server is asked, it shows what the leader will do; that an agent fell silent only the leader knows."""

    async def history(rig: Any) -> None:
        async with _leading(rig) as (controller, pod_id):
            standby = rig.controller("two")
            async with no_passes(controller):
                await happen(rig, pod_id)
                shown, beside = await controller.plan(pod_id), await standby.plan(pod_id)
        assert shown.actions
        assert beside.actions == shown.actions

    live(history)
