"""Images are got beside the passes: nobody's turn, slot or agent waits for a registry."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from registry import NOWHERE, PULL, refused, slow

from agentpod_core import ContainerState, PermanentError, Probe
from agentpod_core.ports import RESYNC
from agentpod_core.reconcile.images import OF_A_TENANT
from agentpod_core.values.actions import ObtainImage
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Phase


def test_however_many_wait_for_an_image_a_new_pod_is_served_at_once(live: Any) -> None:
    """A change of the image of more pods than there are workers leaves every worker to the others."""

    async def history(rig: Any) -> None:
        slow(rig, "typo:1", "slow:1")
        async with rig.running(slots=100, workers=2):
            tenant = await rig.store.add_tenant("acme")
            pods = [await rig.store.add_pod(tenant, f"p{number}", workload=rig.workload) for number in range(50)]
            for pod_id in pods:
                await rig.phase(pod_id, Phase.RUNNING)
            for pod_id in pods:
                await rig.store.change_pod(pod_id, workload=replace(rig.workload, image="slow:1"))
            await asyncio.sleep(1)
            begun = rig.clock.monotonic()
            quick = await rig.store.add_pod(tenant, "quick", workload=rig.workload)
            await rig.until(lambda: rig.container(quick) and rig.container(quick).state is ContainerState.RUNNING)
            assert rig.clock.monotonic() - begun < 5

    live(history)


def test_a_corrected_image_is_served_at_once(live: Any) -> None:
    """Who waits for an image that nobody wants any more is heard as soon as another one is wanted."""

    async def history(rig: Any) -> None:
        slow(rig, "typo:1")
        rig.engine.images.add("good:1")
        async with rig.running():
            pod_id = await rig.add()
            await rig.phase(pod_id, Phase.RUNNING)
            await rig.store.change_pod(pod_id, workload=replace(rig.workload, image="typo:1"))
            await asyncio.sleep(10)
            begun = rig.clock.monotonic()
            await rig.store.change_pod(pod_id, workload=replace(rig.workload, image="good:1"))
            await rig.until(lambda: rig.container(pod_id) and rig.container(pod_id).workload.image == "good:1")
            await rig.phase(pod_id, Phase.RUNNING)
            assert rig.clock.monotonic() - begun < 5
            assert await rig.told("ImageNotFound") == 0

    live(history)


def test_a_pod_is_stopped_or_deleted_while_it_waits_for_an_image(live: Any) -> None:
    """Nothing is made first that is not to run then, whether the pod's life changes or its tenant's."""

    async def history(rig: Any) -> None:
        slow(rig, "typo:1")
        async with rig.running():
            pod_id = await rig.add(workload=replace(rig.workload, image="typo:1"))
            await asyncio.sleep(10)
            begun = rig.clock.monotonic()
            tenant_id = (await rig.store.pod(pod_id)).tenant_id
            await rig.store.want_tenant(tenant_id, Wanted.STOPPED)
            await rig.phase(pod_id, Phase.STOPPED)
            await rig.store.want_tenant(tenant_id, Wanted.RUNNING)
            await rig.phase(pod_id, Phase.CREATING)
            await rig.store.want_pod(pod_id, Wanted.DELETED)

            async def is_gone() -> bool:
                return await rig.store.pod(pod_id) is None

            await rig.until(is_gone)
            assert rig.clock.monotonic() - begun < 5
            assert not rig.engine.containers

    live(history)


def test_what_happens_in_the_world_interrupts_no_pull(live: Any) -> None:
    """A pull that began anew with each event of the engine would never end: only who wants something else ends it."""

    async def history(rig: Any) -> None:
        slow(rig, "typo:1", "slow:1")
        begun: list[float] = []
        real = rig.runtime.apply

        async def apply(action: Any, material: Any) -> None:
            if isinstance(action, ObtainImage) and action.image == "slow:1":
                begun.append(rig.clock.monotonic())
            await real(action, material)

        rig.runtime.apply = apply
        async with rig.running() as controller:
            pod_id = await rig.add(workload=replace(rig.workload, image="slow:1"))
            for _ in range(60):
                await asyncio.sleep(PULL / 100)
                controller.nudge(f"pod:{pod_id}")
            assert len(begun) == 1
            await rig.phase(pod_id, Phase.RUNNING)

    live(history)


def test_who_waits_for_an_image_takes_no_boot_slot(live: Any) -> None:
    """Pods of a slow registry keep no agent of anybody from being started."""

    async def history(rig: Any) -> None:
        slow(rig, "-", "big:1")
        heavy = replace(rig.workload, boot_cost=30, probe=Probe(probe="any", timeout=1, start_deadline=60))
        async with rig.running(slots=2):
            tenant, other = await rig.store.add_tenant("acme"), await rig.store.add_tenant("other")
            well = await rig.store.add_pod(tenant, "well", workload=heavy)
            await rig.phase(well, Phase.RUNNING)
            waiting = [
                await rig.store.add_pod(other, f"n{number}", workload=replace(heavy, image="big:1"))
                for number in range(3)
            ]
            await asyncio.sleep(5)
            begun = rig.clock.monotonic()
            rig.engine.remove_by_hand(rig.name(well))
            await rig.until(lambda: rig.container(well) and rig.container(well).state is ContainerState.RUNNING)
            assert rig.clock.monotonic() - begun < 2
            status = await rig.status(waiting[0])
            assert (status.phase, status.reason, status.params) == (
                Phase.CREATING,
                "WaitingForImage",
                {"image": "big:1"},
            )
            for pod_id in waiting:
                await rig.phase(pod_id, Phase.RUNNING)

    live(history)


def test_an_image_is_fetched_once_for_all(live: Any) -> None:
    """Pods that want the same image wait for one try; a tenant has so many at once, and others need not wait for it."""

    async def history(rig: Any) -> None:
        images = [f"big:{number}" for number in range(9)]
        slow(rig, "-", *images)
        apply, under_way, most = rig.runtime.apply, [], [0]

        async def counted(action: Any, material: Any) -> None:
            if not isinstance(action, ObtainImage):
                await apply(action, material)
                return
            under_way.append(action.image)
            most[0] = max(most[0], len(under_way))
            assert len(set(under_way)) == len(under_way)
            await apply(action, material)
            under_way.remove(action.image)

        rig.runtime.apply = counted
        async with rig.running():
            tenant, other = await rig.store.add_tenant("acme"), await rig.store.add_tenant("other")
            pods = [
                await rig.store.add_pod(tenant, f"p{number}", workload=replace(rig.workload, image=images[number // 2]))
                for number in range(16)
            ]
            await asyncio.sleep(5)
            assert most == [OF_A_TENANT]
            begun = rig.clock.monotonic()
            theirs = await rig.store.add_pod(other, "main", workload=replace(rig.workload, image=images[8]))
            await rig.phase(theirs, Phase.RUNNING)
            assert rig.clock.monotonic() - begun < PULL + 5
            for pod_id in pods:
                await rig.phase(pod_id, Phase.RUNNING)
            assert most == [OF_A_TENANT + 1]

    live(history)


def test_a_new_wish_is_served_at_once(live: Any) -> None:
    """A person who asks anew for what was refused has it tried now, and is not told of the old refusal meanwhile."""

    async def history(rig: Any) -> None:
        tries = refused(rig, NOWHERE)
        async with rig.running() as controller:
            pod_id = await rig.add(workload=replace(rig.workload, image="typo:1"))
            await rig.phase(pod_id, Phase.BLOCKED)
            await asyncio.sleep(100)
            await rig.store.change_spec(pod_id, restarts=1)
            await asyncio.sleep(1)
            assert (len(tries), (await rig.status(pod_id)).phase) == (2, Phase.BLOCKED)
            controller.nudge(RESYNC)
            await asyncio.sleep(1)
            assert (len(tries), (await rig.status(pod_id)).phase) == (3, Phase.BLOCKED)
            phases = []
            save = rig.store.save

            async def noting(*args: Any, status: Any, **given: Any) -> None:
                phases.append((status.phase, status.observed_generation))
                await save(*args, status=status, **given)

            rig.store.save = noting
            rig.engine.images.add("typo:1")
            await rig.store.change_spec(pod_id, restarts=2)
            await rig.phase(pod_id, Phase.RUNNING)
            assert (Phase.BLOCKED, 3) not in phases

    live(history)


@pytest.mark.parametrize("error", [ZeroDivisionError(), asyncio.CancelledError()])
def test_a_mistake_while_an_image_is_fetched_is_survived(live: Any, error: BaseException) -> None:
    """Whatever a plugin does there: it is tried again, with pauses, and the pod comes up in the end."""

    async def history(rig: Any) -> None:
        tries = refused(rig, error)
        real = type(rig.runtime).apply
        async with rig.running():
            pod_id = await rig.add(workload=replace(rig.workload, image="typo:1"))
            await asyncio.sleep(1800)
            assert 4 < len(tries) < 20
            rig.engine.pullable.add("typo:1")
            rig.runtime.apply = lambda action, material: real(rig.runtime, action, material)
            await rig.phase(pod_id, Phase.RUNNING)

    live(history)


def test_what_the_engine_loses_at_once_is_not_fetched_without_end(live: Any) -> None:
    """An image that was got and is not there is got again with a growing pause."""

    async def history(rig: Any) -> None:
        tries = refused(rig, NOWHERE)
        apply = rig.runtime.apply

        async def lost(action: Any, material: Any) -> None:
            try:
                await apply(action, material)
            except PermanentError:
                return

        rig.runtime.apply = lost
        async with rig.running():
            await rig.add(workload=replace(rig.workload, image="typo:1"))
            await asyncio.sleep(3600)
            assert 5 < len(tries) < 30

    live(history)
