"""Beside a change that waits or is refused, nothing is lost of what is there, and nobody is forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from registry import PULL, ending, hiding, refused, slow, well, with_image

from agentpod_core import ContainerState, PermanentError, SecretRef, TemporaryError
from agentpod_core.controller import Controller
from agentpod_core.plan import Timings
from agentpod_core.values.actions import CreateContainer, ObtainImage, StartContainer, StopContainer
from agentpod_core.values.alerts import Raise
from agentpod_core.values.status import ConditionType, Phase

BROKEN = TemporaryError("EngineRefused", message="layer does not exist")


def _unsure(rig: Any, image: str, error: Exception) -> None:
    """Let the engine not say whether it has that image."""
    has_image = rig.runtime.has_image

    async def unsure(asked: str) -> bool:
        if asked == image:
            raise error
        return bool(await has_image(asked))

    rig.runtime.has_image = unsure


@pytest.mark.parametrize("is_blocked", [True, False])
def test_the_image_that_mends_an_agent_comes(live: Any, is_blocked: bool) -> None:
    """Its predecessor may end for good before or while it is fetched: that blocks neither the new one nor its pull."""

    async def history(rig: Any) -> None:
        rig.workload = replace(rig.workload, permanent_exits=(78,))
        dies: list[bool] = []
        ending(rig, 78, dies)
        slow(rig, "-", "fixed:2")
        rig.engine.holds_restarts = True
        async with rig.running():
            pod_id = await rig.add(workload=rig.workload)
            await rig.phase(pod_id, Phase.RUNNING)
            dies.append(True)
            if is_blocked:
                rig.engine.kill(rig.name(pod_id), 78)
                await rig.phase(pod_id, Phase.BLOCKED)
            await with_image(rig, pod_id, "fixed:2")
            await asyncio.sleep(30)
            if not is_blocked:
                rig.engine.kill(rig.name(pod_id), 78)
            await asyncio.sleep(PULL)
            assert rig.container(pod_id).workload.image == "fixed:2"
            await rig.phase(pod_id, Phase.RUNNING)

    live(history)


def test_the_repair_of_an_end_is_asked_for_what_is_wanted_only(live: Any) -> None:
    """The advice for the exit of an earlier agent is no advice for the next one."""

    async def history(rig: Any) -> None:
        rig.workload = replace(rig.workload, permanent_exits=(78,))
        slow(rig, "-", "fixed:2")
        rig.engine.holds_restarts = True
        async with rig.running() as controller:
            pod_id = await rig.add(workload=rig.workload)
            await rig.phase(pod_id, Phase.RUNNING)
            await with_image(rig, pod_id, "fixed:2")
            await asyncio.sleep(30)
            asked: list[int] = []

            class Advice(dict[int, Any]):
                def get(self, code: int, default: Any = None) -> Any:
                    asked.append(code)
                    return default

            rig.repairs = Advice()
            rig.engine.kill(rig.name(pod_id), 78)
            controller.nudge(f"pod:{pod_id}")
            await asyncio.sleep(60)
            assert asked == []

    live(history)


@pytest.mark.parametrize("way", ["exit", "hang"])
def test_an_agent_beside_a_refused_change_is_not_removed(live: Any, way: str) -> None:
    """Whatever is refused, it waits out its pause and is started again: what is down is removed for no change."""

    async def history(rig: Any) -> None:
        async with rig.running():
            pod_id = await well(rig)
            secret = {"TOKEN": SecretRef(key="nope")}
            await rig.store.change_pod(pod_id, workload=replace(rig.workload, env=secret))
            await rig.phase(pod_id, Phase.BLOCKED)
            made, save, applied = rig.container(pod_id).id, rig.store.save, []

            async def noting(*args: Any, status: Any, **given: Any) -> None:
                applied.append(status.condition(ConditionType.APPLIED).status)
                await save(*args, status=status, **given)

            rig.store.save = noting
            for _ in range(3):
                if way == "exit":
                    rig.engine.kill(rig.name(pod_id))
                else:
                    rig.health.ill.add(pod_id)
                    await asyncio.sleep(45)
                    rig.health.ill.clear()
                await asyncio.sleep(5)
                assert (await rig.status(pod_id)).reason == "SecretMissing"
                await asyncio.sleep(55)
                assert rig.container(pod_id).state is ContainerState.RUNNING
            await asyncio.sleep(3600)
            assert (rig.container(pod_id).id, rig.container(pod_id).state) == (made, ContainerState.RUNNING)
            status = await rig.status(pod_id)
            assert (status.reason, status.ready) == ("SecretMissing", True)
            assert set(applied) == {False}

    live(history)


def test_the_slow_images_of_one_tenant_hold_back_no_other(live: Any) -> None:
    """What a tenant with no room has asked for first is got at once for another that wants it too."""

    async def history(rig: Any) -> None:
        images = ["s:1", "s:2", "s:3", "s:4"]
        slow(rig, "-", *images)
        rig.engine.pullable.add("common:1")
        async with rig.running(slots=8):
            tenant, other = await rig.store.add_tenant("acme"), await rig.store.add_tenant("other")
            await asyncio.sleep(5)
            for number, image in enumerate([*images, "common:1"]):
                await rig.store.add_pod(tenant, f"p{number}", workload=replace(rig.workload, image=image))
            await asyncio.sleep(1)
            begun = rig.clock.monotonic()
            theirs = await rig.store.add_pod(other, "main", workload=replace(rig.workload, image="common:1"))
            await rig.phase(theirs, Phase.RUNNING)
            assert rig.clock.monotonic() - begun < 5

    live(history)


def test_a_change_is_not_said_to_be_applied_by_the_earlier_agent(live: Any) -> None:
    """Also where it was begun by a leader that ended in the midst of it, and the next one has to wait."""

    async def history(rig: Any) -> None:
        heavy = replace(rig.workload, boot_cost=30, probe=replace(rig.workload.probe, start_deadline=300))
        real, inspect, hides = rig.runtime.apply, rig.runtime.inspect, []

        async def apply(action: Any, material: Any) -> None:
            if isinstance(action, StopContainer):
                await asyncio.sleep(PULL)
            await real(action, material)

        async def late(name: str) -> Any:
            if name in hides:
                raise TemporaryError("EngineUnreachable", detail="busy")
            return await inspect(name)

        async with rig.running():
            tenant = await rig.store.add_tenant("acme")
            other = await rig.store.add_pod(tenant, "other", workload=heavy)
            await rig.phase(other, Phase.RUNNING)
            pod_id = await rig.store.add_pod(tenant, "main", workload=heavy)
            await rig.phase(pod_id, Phase.RUNNING)
            rig.health.ill.add(pod_id)
            rig.engine.kill(rig.name(pod_id))
            await asyncio.sleep(5)
            rig.runtime.apply = apply
            await rig.store.change_pod(pod_id, workload=replace(heavy, env={"A": "B"}))
            await asyncio.sleep(5)
        rig.runtime.apply, rig.runtime.inspect = real, late
        rig.engine.remove_by_hand(rig.name(other))
        rig.health.ill.add(other)
        hides.append(rig.name(pod_id))
        async with rig.running("two"):
            await asyncio.sleep(2)
            hides.clear()
            await asyncio.sleep(28)
            rig.health.ill.discard(pod_id)
            await asyncio.sleep(10)
            status = await rig.status(pod_id)
            assert rig.container(pod_id).workload.env == {}
            assert (status.ready, status.observed_generation) == (True, 1)

    live(history)


def test_what_the_earlier_agent_did_is_not_held_against_the_next(live: Any) -> None:
    """One that crashed again and again while its mended image was fetched leaves no failures to it."""

    async def history(rig: Any) -> None:
        dies: list[bool] = []
        ending(rig, 1, dies)
        slow(rig, "-", "fixed:2")
        async with rig.running():
            pod_id = await well(rig)
            dies.append(True)
            rig.health.ill.add(pod_id)
            rig.engine.kill(rig.name(pod_id), 1)
            await rig.phase(pod_id, Phase.CRASH_LOOP)
            await with_image(rig, pod_id, "fixed:2")
            await rig.until(lambda: rig.container(pod_id) and rig.container(pod_id).workload.image == "fixed:2")
            await asyncio.sleep(2)
            status, record = await rig.status(pod_id), (await rig.store.pod(pod_id)).record
            assert (status.phase, record.failures, record.not_before) == (Phase.STARTING, (), None)

    live(history)


def test_an_image_that_is_got_and_not_there_is_told(live: Any) -> None:
    """The engine loses it, or lists it under another name: whoever waits for it, with an agent or without, is told."""

    async def history(rig: Any) -> None:
        real, changes = rig.runtime.apply, rig.changes_of_alerts()

        async def apply(action: Any, material: Any) -> None:
            if not (isinstance(action, ObtainImage) and action.image == "lost:1"):
                await real(action, material)

        rig.runtime.apply = apply
        async with rig.running():
            pod_id = await well(rig)
            await with_image(rig, pod_id, "lost:1")
            new = await rig.add("other", workload=replace(rig.workload, image="lost:1"))
            await asyncio.sleep(1800)
            for one in (pod_id, new):
                status = await rig.status(one)
                assert (status.phase, status.reason) == (Phase.DEGRADED, "ImageNotFound")
                assert status.params == {"image": "lost:1"}
            assert (await rig.status(pod_id)).ready
            assert changes == [(Raise, "Degraded")] * 2
            rig.engine.images.add("lost:1")
            await rig.phase(pod_id, Phase.RUNNING)
            await rig.phase(new, Phase.RUNNING)

    live(history)


def test_an_image_that_comes_after_refusals_is_not_told_to_be_lost(live: Any) -> None:
    """One try that worked is no proof that it is in vain, whatever those before it came to."""

    async def history(rig: Any) -> None:
        tries, real = refused(rig, BROKEN, "big:1"), type(rig.runtime).apply
        async with rig.running():
            pod_id = await rig.add(workload=replace(rig.workload, image="big:1"))
            await asyncio.sleep(300)
            assert len(tries) > 2
            rig.engine.pullable.add("big:1")
            rig.runtime.apply = lambda action, material: real(rig.runtime, action, material)
            await rig.phase(pod_id, Phase.RUNNING)
            assert await rig.told("ImageNotFound") == 0

    live(history)


def test_an_agent_is_not_ended_for_an_image_that_may_not_be_there(live: Any) -> None:
    """That a pull worked is no proof where the engine does not say what it has: the one that runs goes on."""

    async def history(rig: Any) -> None:
        _unsure(rig, "broken:1", BROKEN)
        real = rig.runtime.apply

        async def apply(action: Any, material: Any) -> None:
            if isinstance(action, CreateContainer) and action.workload.image == "broken:1":
                raise BROKEN
            if not (isinstance(action, ObtainImage) and action.image == "broken:1"):
                await real(action, material)

        rig.runtime.apply = apply
        async with rig.running():
            pod_id = await well(rig)
            started = rig.container(pod_id).started_at
            await with_image(rig, pod_id, "broken:1")
            await asyncio.sleep(3600)
            assert (rig.container(pod_id).workload.image, rig.container(pod_id).started_at) == ("fake:1", started)
            status = await rig.status(pod_id)
            assert (status.phase, status.reason, status.ready) == (Phase.DEGRADED, "ImageNotFound", True)

    live(history)


def test_a_container_that_was_never_started_is_given_its_image_again(live: Any) -> None:
    """Somebody may have removed it between a start that was refused and the next one."""

    async def history(rig: Any) -> None:
        real, is_full = rig.runtime.apply, [True]

        async def apply(action: Any, material: Any) -> None:
            if is_full and isinstance(action, StartContainer):
                raise TemporaryError("EngineRefused", message="no space left on device")
            if isinstance(action, CreateContainer) and action.workload.image not in rig.engine.images:
                raise PermanentError("ImageNotFound", image=action.workload.image)
            await real(action, material)

        rig.runtime.apply = apply
        async with rig.running():
            pod_id = await rig.add()
            await asyncio.sleep(60)
            assert rig.container(pod_id).state is ContainerState.CREATED
            rig.engine.images.discard("fake:1")
            rig.engine.pullable.add("fake:1")
            is_full.clear()
            await asyncio.sleep(300)
            await rig.phase(pod_id, Phase.RUNNING)

    live(history)


def test_a_pod_that_cannot_be_seen_is_told_though_the_list_fails_now_and_then(live: Any) -> None:
    """A single look at everything that fails says nothing of a pod that was not shown before and after it."""

    async def history(rig: Any) -> None:
        inspect, observe, hidden, looks = rig.runtime.inspect, rig.runtime.observe, [], [0]

        async def hiding(name: str) -> Any:
            if name in hidden:
                raise TemporaryError("EngineUnreachable", detail="it does not answer")
            return await inspect(name)

        async def now_and_then() -> Any:
            looks[0] += 1
            if hidden and looks[0] % 3 == 0:
                raise TemporaryError("EngineUnreachable", detail="slow")
            return await observe()

        rig.runtime.inspect, rig.runtime.observe = hiding, now_and_then
        changes = rig.changes_of_alerts()
        async with rig.running():
            pod_id = await well(rig)
            hidden.append(rig.name(pod_id))
            rig.health.ill.add(pod_id)
            await asyncio.sleep(1800)
            status = await rig.status(pod_id)
            assert (status.phase, status.reason, status.ready) == (Phase.DEGRADED, "CannotBeSeen", False)
            assert changes == [(Raise, "Degraded")]

    live(history)


def test_an_engine_that_was_away_has_hidden_no_pod(live: Any) -> None:
    """Once it is back, for how long a pod alone is not shown is counted anew."""

    async def history(rig: Any) -> None:
        hidden, is_away = hiding(rig)
        async with rig.running() as controller:
            pod_id = await well(rig)
            hidden.append(rig.name(pod_id))
            is_away.append(True)
            controller.nudge(f"pod:{pod_id}")
            await asyncio.sleep(600)
            is_away.clear()
            begun = rig.clock.monotonic()
            assert await rig.told("CannotBeSeen") == 0
            await rig.until(lambda: rig.told("CannotBeSeen"))
            assert rig.clock.monotonic() - begun > Timings().absence

    live(history)


def test_whether_an_image_is_there_is_no_matter_once_it_is_not_wanted(live: Any) -> None:
    """A spec that is changed back has the pod looked at as any other."""

    async def history(rig: Any) -> None:
        _unsure(rig, "Typo:1", BROKEN)
        refused(rig, BROKEN, "Typo:1")
        async with rig.running() as controller:
            pod_id = await well(rig)
            await with_image(rig, pod_id, "Typo:1")
            await asyncio.sleep(60)
            assert _is_slow(controller, pod_id)
            await with_image(rig, pod_id, "fake:1")
            await rig.phase(pod_id, Phase.RUNNING)
            await asyncio.sleep(5)
            assert not _is_slow(controller, pod_id)

    live(history)


def _is_slow(controller: Controller, pod_id: str) -> bool:
    return controller._reconciler.sight.is_slow(pod_id)


def test_an_agent_that_boots_beside_a_refused_change_keeps_its_slot(live: Any) -> None:
    """Nothing was done to it: it goes on booting, and nobody boots in its place."""

    async def history(rig: Any) -> None:
        heavy = replace(rig.workload, boot_cost=30, probe=replace(rig.workload.probe, start_deadline=300))
        async with rig.running():
            tenant = await rig.store.add_tenant("acme")
            first = await rig.store.add_pod(tenant, "first", workload=heavy)
            rig.health.ill.add(first)
            await rig.until(lambda: rig.container(first))
            second = await rig.store.add_pod(tenant, "second", workload=heavy)
            await rig.store.change_pod(first, workload=replace(heavy, env={"TOKEN": SecretRef(key="nope")}))
            await asyncio.sleep(30)
            assert (await rig.status(first)).reason == "SecretMissing"
            assert rig.container(first).state is ContainerState.RUNNING
            assert rig.container(second) is None
            rig.health.ill.clear()
            await rig.phase(second, Phase.RUNNING)

    live(history)
