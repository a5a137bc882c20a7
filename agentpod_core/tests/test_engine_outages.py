"""An engine that is away, stands still or refuses: it is told in time, nobody is blamed, and all goes on afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from agentpod_core import ContainerState, PermanentError, TemporaryError
from agentpod_core.controller.pace import Pace
from agentpod_core.plan import Timings
from agentpod_core.ports import RESYNC
from agentpod_core.values.actions import CreateContainer, UpdateLimits
from agentpod_core.values.alerts import Clear, Raise
from agentpod_core.values.status import ConditionType, Phase

AWAY = "EngineUnreachable"


async def _alerts(rig: Any) -> list[tuple[str, bool]]:
    return [(one.reason, not one.is_open) for one in await rig.store.kept_alerts()]


async def _knows_alive(rig: Any, pod_id: str) -> bool | None:
    return (await rig.status(pod_id)).condition(ConditionType.ALIVE).status


def _refuse(rig: Any) -> Callable[[], None]:
    async def no(*_: Any) -> Any:
        raise PermanentError("EngineRefused", message="client version 1.41 is too old")

    rig.runtime.observe = rig.runtime.inspect = rig.runtime.apply = no

    def end() -> None:
        del rig.runtime.observe, rig.runtime.inspect, rig.runtime.apply

    return end


def _hang(rig: Any) -> None:
    async def forever(*_: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    rig.runtime.observe = rig.runtime.inspect = rig.runtime.apply = forever


def _looks(rig: Any) -> list[str]:
    """Note from now on which containers are looked at deeply."""
    looks: list[str] = []
    real = rig.runtime.inspect

    async def inspect(name: str) -> Any:
        looks.append(name)
        return await real(name)

    rig.runtime.inspect = inspect
    return looks


def test_a_day_without_an_engine_ends_well(live: Any) -> None:
    """However long the engine was away, once it is back what went missing is made again."""

    async def history(rig: Any) -> None:
        async with rig.running():
            pod_id = await rig.add()
            await rig.phase(pod_id, Phase.RUNNING)
            rig.engine.reachable = False
            await asyncio.sleep(24 * 3600)
            rig.engine.reachable = True
            rig.engine.remove_by_hand(rig.name(pod_id))
            await rig.until(lambda: rig.container(pod_id))
            await rig.phase(pod_id, Phase.RUNNING)
            assert await _alerts(rig) == [(AWAY, True)]

    live(history)


def test_a_router_that_cannot_write_for_a_night_stops_nothing_else(live: Any) -> None:
    """What fails a thousand times in a row fails alone."""

    async def history(rig: Any) -> None:
        async with rig.running():
            pod_id = await rig.add()
            await rig.phase(pod_id, Phase.RUNNING)

            async def no(*_: Any) -> None:
                raise TemporaryError("RouterRefused")

            rig.router.apply = no
            await asyncio.sleep(12 * 3600)
            rig.engine.remove_by_hand(rig.name(pod_id))
            await rig.until(lambda: rig.container(pod_id))
            del rig.router.apply
            published = len(rig.router.history)
            await rig.until(lambda: len(rig.router.history) > published)

    live(history)


@pytest.mark.parametrize("wait", [70.0, 77.0, 84.0, 91.0])
def test_a_restart_of_the_engine_is_nobodys_news(live: Any, wait: float) -> None:
    """An engine that is away for half a minute at most has been restarted: nobody is told, whenever it was."""

    async def history(rig: Any) -> None:
        async with rig.running():
            pod_id = await rig.add()
            await asyncio.sleep(wait)
            rig.engine.reachable = False
            await asyncio.sleep(Timings().absence - 2)
            assert await _knows_alive(rig, pod_id) is True
            rig.engine.reachable = True
            await asyncio.sleep(120)
            assert await _alerts(rig) == []

    live(history)


@pytest.mark.parametrize("wait", [70.0, 77.0, 84.0, 91.0])
def test_an_engine_that_is_away_is_told_within_a_minute(live: Any, wait: float) -> None:
    """A regular look misses it, and half a minute later a person hears of it, once."""

    async def history(rig: Any) -> None:
        async with rig.running():
            pod_id = await rig.add()
            await asyncio.sleep(wait)
            rig.engine.reachable = False
            await asyncio.sleep(Pace().resync + Timings().absence + 1)
            assert await _alerts(rig) == [(AWAY, False)]
            assert await _knows_alive(rig, pod_id) is None

    live(history)


def test_an_engine_that_stands_still_is_told_as_one_that_is_away(live: Any) -> None:
    """An engine that takes questions and answers none is given up on at each look, and soon as a whole."""

    async def history(rig: Any) -> None:
        async with rig.running():
            tenant = await rig.store.add_tenant("acme")
            pods = [await rig.store.add_pod(tenant, f"p{number}", workload=rig.workload) for number in range(50)]
            for pod_id in pods:
                await rig.phase(pod_id, Phase.RUNNING)
            _hang(rig)
            await asyncio.sleep(Pace().resync + Timings().absence + Timings().look + 1)
            assert await _alerts(rig) == [(AWAY, False)]
            # All are asked for side by side, so that one silence is enough for them.
            await asyncio.sleep(Timings().look + 5)
            assert [await _knows_alive(rig, pod_id) for pod_id in pods] == [None] * len(pods)

    live(history)


def test_an_engine_that_refuses_to_show_anything_is_as_good_as_away(live: Any) -> None:
    """A refusal, too, means that nobody sees the pods: it is told, they are unknown, and once it ends all is mended."""

    async def history(rig: Any) -> None:
        async with rig.running():
            pod_id = await rig.add()
            await rig.phase(pod_id, Phase.RUNNING)
            end = _refuse(rig)
            rig.engine.kill(rig.name(pod_id))
            rig.container(pod_id).state = ContainerState.EXITED
            rig.health.ill.add(pod_id)
            await asyncio.sleep(120)
            status = await rig.status(pod_id)
            assert (status.ready, await _knows_alive(rig, pod_id), await _alerts(rig)) == (False, None, [(AWAY, False)])
            end()
            rig.health.ill.clear()
            await rig.until(lambda: rig.container(pod_id).state is ContainerState.RUNNING)
            await rig.phase(pod_id, Phase.RUNNING)
            await asyncio.sleep(Pace().resync)
            assert (await _knows_alive(rig, pod_id), await _alerts(rig)) == (True, [(AWAY, True)])

    live(history)


def test_a_query_that_fails_leaves_no_pod_out(live: Any) -> None:
    """The store may fail between any two words about an outage: in the end each pod says that nobody sees it."""

    async def history(rig: Any) -> None:
        async with rig.running():
            pod_id = await rig.add()
            await rig.phase(pod_id, Phase.RUNNING)
            rig.engine.reachable = False
            real, told = rig.store.pods, []

            async def pods() -> Any:
                told.append(await _alerts(rig))
                if len(told) == 1:
                    raise TemporaryError("StoreUnreachable")
                return await real()

            rig.store.pods = pods
            await asyncio.sleep(300)
            assert (told[0], await _alerts(rig)) == ([], [(AWAY, False)])
            assert await _knows_alive(rig, pod_id) is None

    live(history)


def test_the_look_at_everything_waits_for_nobody(live: Any) -> None:
    """While changes that never end keep every worker, it is found out that the engine is away."""

    async def history(rig: Any) -> None:
        async with rig.running(workers=2):
            tenant = await rig.store.add_tenant("acme")
            await asyncio.sleep(5)

            real = rig.runtime.apply

            async def apply(action: Any, material: Any) -> None:
                if isinstance(action, CreateContainer):
                    await asyncio.get_running_loop().create_future()
                await real(action, material)

            rig.runtime.apply = apply
            for number in range(4):
                await rig.store.add_pod(tenant, f"p{number}", workload=rig.workload)
            await asyncio.sleep(5)
            rig.engine.reachable = False
            await asyncio.sleep(Pace().resync + Timings().absence + 1)
            assert await _alerts(rig) == [(AWAY, False)]

    live(history)


def test_who_asks_for_a_look_has_what_was_refused_tried_again(live: Any) -> None:
    """A pod that waits out a refusal is tried at once when somebody asks for a look."""

    async def history(rig: Any) -> None:
        rig.engine.images.clear()
        async with rig.running() as controller:
            pod_id = await rig.add()
            # By then it is left alone for as long as that gets.
            await asyncio.sleep(1500)
            looks = _looks(rig)
            await rig.until(lambda: looks)
            await asyncio.sleep(5)
            rig.engine.images.add("fake:1")
            begun = rig.clock.monotonic()
            controller.nudge(RESYNC)
            await rig.until(lambda: rig.container(pod_id))
            assert rig.clock.monotonic() - begun < 2

    live(history)


def test_a_regular_look_leaves_alone_what_was_refused(live: Any) -> None:
    """What waits out a refusal is not asked for at each look."""

    async def history(rig: Any) -> None:
        rig.engine.images.clear()
        async with rig.running():
            await rig.add()
            await asyncio.sleep(1500)
            looks = _looks(rig)
            await asyncio.sleep(600)
            assert 0 < len(looks) <= 4

    live(history)


@pytest.mark.parametrize("how", ["hangs", "is refused"])
def test_a_pod_that_alone_cannot_be_seen_is_told(live: Any, how: str) -> None:
    """What is listed and not shown for half a minute is unknown, and a person hears once; then all is as before."""

    async def history(rig: Any) -> None:
        changes = rig.changes_of_alerts()
        async with rig.running(workers=2):
            tenant = await rig.store.add_tenant("acme")
            pods = [await rig.store.add_pod(tenant, f"p{number}", workload=rig.workload) for number in range(4)]
            for pod_id in pods:
                await rig.phase(pod_id, Phase.RUNNING)
            await asyncio.sleep(700)
            real, bad = rig.runtime.inspect, {rig.name(pod_id) for pod_id in pods[:3]}

            async def inspect(name: str) -> Any:
                if name not in bad:
                    return await real(name)
                if how == "hangs":
                    await asyncio.get_running_loop().create_future()
                raise PermanentError("EngineRefused", message="forbidden")

            rig.runtime.inspect = inspect
            rig.health.ill.add(pods[0])
            await asyncio.sleep(120)
            status = await rig.status(pods[0])
            ready = status.condition(ConditionType.READY)
            assert (status.phase, status.reason, status.ready) == (Phase.DEGRADED, "CannotBeSeen", False)
            assert (await _knows_alive(rig, pods[0]), ready.status) == (None, None)
            assert changes == [(Raise, "Degraded")]
            # Those of which nobody has news are looked at every five minutes.
            await asyncio.sleep(600)
            raised = [(Raise, "Degraded")] * 3
            assert changes == raised
            # Those that hang keep no worker from the rest.
            begun = rig.clock.monotonic()
            rig.engine.remove_by_hand(rig.name(pods[3]))
            await rig.until(lambda: rig.container(pods[3]))
            assert rig.clock.monotonic() - begun < 2
            await asyncio.sleep(4 * 3600)
            assert changes == raised
            bad.clear()
            rig.health.ill.clear()
            await rig.phase(pods[0], Phase.RUNNING)
            await asyncio.sleep(700)
            assert (await _knows_alive(rig, pods[0]), changes) == (True, raised + [(Clear, "Degraded")] * 3)

    live(history)


def test_a_repair_that_raises_hides_no_pod(live: Any) -> None:
    """An adapter that fails when it is asked for advice has none: the pod is blocked as without it."""

    async def history(rig: Any) -> None:
        class Broken(dict[int, Any]):
            def get(self, *_: Any) -> Any:
                raise ZeroDivisionError

        rig.repairs = Broken()
        async with rig.running():
            pod_id = await rig.add(workload=replace(rig.workload, permanent_exits=(78,)))
            await rig.phase(pod_id, Phase.RUNNING)
            rig.container(pod_id).limits = replace(rig.container(pod_id).limits, restart=False)
            rig.engine.kill(rig.name(pod_id), 78)
            await rig.phase(pod_id, Phase.BLOCKED)
            assert (await rig.status(pod_id)).reason == "PermanentExit"

    live(history)


def test_an_outage_counts_against_no_try(live: Any) -> None:
    """Who was in the midst of a change when the engine went away has its whole time again when it comes back."""

    async def history(rig: Any) -> None:
        refuses, real = [False], rig.runtime.apply

        async def apply(action: Any, material: Any) -> None:
            if isinstance(action, UpdateLimits):
                if refuses[0]:
                    raise TemporaryError("EngineRefused", message="busy")
                rig.engine.reachable = False
            await real(action, material)

        async with rig.running():
            pod_id = await rig.add()
            await rig.phase(pod_id, Phase.RUNNING)
            rig.runtime.apply = apply
            small = replace(rig.workload.resources, memory=64 * 1024 * 1024)
            await rig.store.change_pod(pod_id, workload=replace(rig.workload, resources=small))
            await asyncio.sleep(7 * 60)
            refuses[0] = True
            rig.engine.reachable = True
            await asyncio.sleep(Timings().longest_backoff - 30)
            assert (await rig.status(pod_id)).reason == "EngineRefused"
            assert await _alerts(rig) == [(AWAY, True)]
            await asyncio.sleep(Timings().longest_backoff + 60)
            assert await _alerts(rig) == [(AWAY, True), ("Degraded", False)]

    live(history)
