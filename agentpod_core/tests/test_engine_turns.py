"""Who hangs is not left hanging while others boot, and who works is not ended for what cannot be finished."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from agentpod_core import ContainerState, File, OnChange, Probe, SecretRef, TemporaryError
from agentpod_core.values.actions import StartContainer, StopContainer, UpdateLimits
from agentpod_core.values.status import ConditionType, Phase
from agentpod_core.values.workload import SECRETS_PATH

SLOTS = 2


async def _crowded(rig: Any, pods: int) -> list[str]:
    """Give so many pods that answer, while others boot without an end and have all slots."""
    heavy = replace(rig.workload, boot_cost=20.0, probe=Probe(probe="any", timeout=5, start_deadline=1000))
    tenant = await rig.store.add_tenant("acme")
    made = [await rig.store.add_pod(tenant, f"p{number}", workload=heavy) for number in range(SLOTS + pods)]
    for pod_id in made:
        await rig.phase(pod_id, Phase.RUNNING)
    rig.health.ill.update(made[:SLOTS])
    for pod_id in made[:SLOTS]:
        rig.engine.remove_by_hand(rig.name(pod_id))
        await rig.phase(pod_id, Phase.STARTING)
    return made[SLOTS:]


def test_an_agent_that_hangs_is_ended_while_others_boot(live: Any) -> None:
    """It is stopped and told of within its probe's time, waits in line, and is started in its turn."""

    async def history(rig: Any) -> None:
        async with rig.running(slots=SLOTS):
            [hung] = await _crowded(rig, 1)
            rig.health.ill.add(hung)
            begun = rig.clock.monotonic()
            await rig.until(lambda: rig.container(hung).state is ContainerState.EXITED)
            assert rig.clock.monotonic() - begun < 3 * 10 + 5 + 2
            assert await rig.told("NotAnswering") == 1
            assert (await rig.status(hung)).reason == "WaitingToStart"
            rig.health.ill.clear()
            await rig.phase(hung, Phase.RUNNING)
            assert len((await rig.store.pod(hung)).record.failures) == 1

    live(history)


def test_whose_restart_waits_works_on(live: Any) -> None:
    """A restart that was asked for begins when a slot is free; the agent answers until then."""

    async def history(rig: Any) -> None:
        async with rig.running(slots=SLOTS):
            [asked] = await _crowded(rig, 1)
            started, applied = rig.container(asked).started_at, len(rig.engine.applied)
            await rig.store.change_spec(asked, restarts=1)
            await rig.clock.sleep(100)
            status = await rig.status(asked)
            assert (status.phase, status.ready, rig.container(asked).started_at) == (Phase.RUNNING, True, started)
            assert rig.engine.applied[applied:] == []
            rig.health.ill.clear()
            await rig.until(lambda: rig.container(asked).started_at != started)

    live(history)


@pytest.mark.parametrize("change", ["image", "restart"])
def test_what_waits_for_a_slot_is_not_said_to_be_done(live: Any, change: str) -> None:
    """A change of an agent that answers is applied when it is applied: until then its status is that of the old one."""

    async def history(rig: Any) -> None:
        async with rig.running(slots=SLOTS):
            [waiting] = await _crowded(rig, 1)
            if change == "image":
                rig.engine.images.add("new:1")
                workload = (await rig.store.pod(waiting)).workload
                await rig.store.change_pod(waiting, workload=replace(workload, image="new:1"))
            else:
                await rig.store.change_spec(waiting, restarts=1)
            await asyncio.sleep(60)
            status = await rig.status(waiting)
            applied = status.condition(ConditionType.APPLIED)
            assert (status.phase, status.ready, status.observed_generation) == (Phase.RUNNING, True, 1)
            assert (applied.status, applied.reason, applied.generation) == (False, "WaitingToStart", 2)
            rig.engine.pause(rig.name(waiting))
            await rig.until(lambda: rig.container(waiting).state is ContainerState.RUNNING)
            rig.health.ill.clear()

            async def is_done() -> bool:
                status = await rig.status(waiting)
                return status.observed_generation == 2 and status.condition(ConditionType.APPLIED).status is True

            await rig.until(is_done)
            assert rig.container(waiting).workload.image == ("new:1" if change == "image" else "fake:1")

    live(history)


def test_a_start_that_is_refused_for_ever_is_told_while_others_wait(live: Any) -> None:
    """To stand in line between its tries makes it no better: its pause grows, and a person hears."""

    async def history(rig: Any) -> None:
        heavy = replace(rig.workload, boot_cost=30.0, probe=Probe(probe="any", timeout=1, start_deadline=60))
        real, tries = rig.runtime.apply, []
        async with rig.running(slots=1):
            tenant = await rig.store.add_tenant("acme")
            pods = [await rig.store.add_pod(tenant, f"p{number}", workload=heavy) for number in range(4)]
            for pod_id in pods:
                await rig.phase(pod_id, Phase.RUNNING)

            async def apply(action: Any, material: Any) -> None:
                if isinstance(action, StartContainer) and action.container == rig.name(pods[0]):
                    tries.append(action)
                    raise TemporaryError("EngineRefused", message="cgroup")
                await real(action, material)

            rig.runtime.apply = apply
            rig.engine.remove_by_hand(rig.name(pods[0]))
            rig.health.ill.update(pods[1:])
            await asyncio.sleep(2 * 3600)
            status = await rig.status(pods[0])
            assert (status.phase, status.reason) == (Phase.DEGRADED, "EngineRefused")
            assert [one.reason for one in await rig.store.kept_alerts() if one.pod == "p0"] == ["Degraded"]
            assert len(tries) < 40

    live(history)


def test_who_boots_keeps_its_slot_whatever_is_refused_of_it(live: Any) -> None:
    """A limit that is refused of an agent that boots lets no other boot beside it."""

    async def history(rig: Any) -> None:
        heavy = replace(rig.workload, boot_cost=30.0, probe=Probe(probe="any", timeout=1, start_deadline=600))
        real = rig.runtime.apply

        async def apply(action: Any, material: Any) -> None:
            if isinstance(action, UpdateLimits):
                raise TemporaryError("EngineRefused", message="in use")
            await real(action, material)

        async with rig.running(slots=1):
            tenant = await rig.store.add_tenant("acme")
            boots = await rig.store.add_pod(tenant, "boots", workload=heavy)
            rig.health.ill.add(boots)
            await rig.phase(boots, Phase.STARTING)
            rig.runtime.apply = apply
            small = replace(heavy.resources, memory=64 * 1024 * 1024)
            await rig.store.change_pod(boots, workload=replace(heavy, resources=small))
            other = await rig.store.add_pod(tenant, "other", workload=heavy)
            await asyncio.sleep(120)
            assert rig.container(other) is None
            rig.health.ill.clear()
            await rig.phase(other, Phase.RUNNING)

    live(history)


def test_what_was_paused_goes_on_while_others_boot(live: Any) -> None:
    """It needs no slot, for it boots nobody."""

    async def history(rig: Any) -> None:
        async with rig.running(slots=SLOTS):
            [paused] = await _crowded(rig, 1)
            rig.engine.pause(rig.name(paused))
            await rig.until(lambda: rig.container(paused).state is ContainerState.RUNNING)

    live(history)


def test_probes_that_fail_themselves_hold_up_no_start(live: Any) -> None:
    """Two pods that cannot be asked, for a reason of ours, give their slots back when their time is over."""

    async def history(rig: Any) -> None:
        heavy = replace(rig.workload, boot_cost=20.0, probe=Probe(probe="any", timeout=5, start_deadline=30))
        async with rig.running(slots=SLOTS):
            tenant = await rig.store.add_tenant("acme")
            broken = [await rig.store.add_pod(tenant, f"b{number}", workload=heavy) for number in range(SLOTS)]
            rig.health.broken.update(broken)
            for pod_id in broken:
                await rig.phase(pod_id, Phase.STARTING)
            good = await rig.store.add_pod(tenant, "good", workload=heavy)
            await rig.phase(good, Phase.RUNNING)
            for pod_id in broken:
                status = await rig.status(pod_id)
                ready = status.condition(ConditionType.READY)
                assert (status.phase, ready.status, ready.reason) == (Phase.RUNNING, None, "ProbeFailed")
            assert await rig.store.kept_alerts() == []

    live(history)


@pytest.mark.parametrize("missing", ["secret", "merge"])
def test_an_agent_is_not_ended_for_a_file_that_cannot_be_written(live: Any, missing: str) -> None:
    """It answers on, is as ready as it was, and a person hears when that lasts; then the change is made."""
    secret = File(path=f"{SECRETS_PATH}/x", parts=("k=", SecretRef(key="token")), on_change=OnChange.RESTART)
    own = File(path="/data/own.json", parts=("ours",), on_change=OnChange.MERGED)

    async def history(rig: Any) -> None:
        workload = replace(rig.workload, files=(*rig.workload.files, secret, own))
        tenant = await rig.store.add_tenant("acme")
        await rig.store.put_secret(tenant, "token", "one")
        async with rig.running():
            pod_id = await rig.store.add_pod(tenant, "main", workload=workload)
            await rig.phase(pod_id, Phase.RUNNING)
            started = rig.container(pod_id).started_at
            fetch, read = rig.store.secret, rig.runtime.read

            async def refuse(*_: Any, **__: Any) -> Any:
                raise TemporaryError("StoreUnreachable")

            if missing == "secret":
                rig.store.secret = refuse
            else:
                rig.runtime.read = refuse
            changed = tuple(replace(one, parts=("new", *one.parts)) for one in workload.files)
            await rig.store.change_pod(pod_id, workload=replace(workload, files=changed))
            await rig.clock.sleep(1800)
            status = await rig.status(pod_id)
            assert (status.phase, status.reason, status.ready) == (Phase.DEGRADED, "StoreUnreachable", True)
            assert [one.reason for one in await rig.store.kept_alerts()] == ["Degraded"]
            assert rig.container(pod_id).started_at == started
            assert not any(isinstance(one, StopContainer) for one in rig.engine.applied)
            rig.store.secret, rig.runtime.read = fetch, read
            await rig.phase(pod_id, Phase.RUNNING)
            assert rig.container(pod_id).started_at != started

    live(history)


def test_a_pod_that_cannot_be_started_is_told(live: Any) -> None:
    """An engine without space that refuses for an hour is tried at its pace, and a person hears once."""
    left = True

    async def history(rig: Any) -> None:
        real = rig.runtime.apply

        async def apply(action: Any, material: Any) -> None:
            if left and isinstance(action, StartContainer):
                tries.append(action)
                raise TemporaryError("EngineRefused", message="no space left on device")
            await real(action, material)

        nonlocal left
        tries: list[Any] = []
        async with rig.running():
            pod_id = await rig.add()
            rig.runtime.apply = apply
            await rig.clock.sleep(3600)
            status = await rig.status(pod_id)
            assert (status.phase, status.reason) == (Phase.DEGRADED, "EngineRefused")
            assert [one.reason for one in await rig.store.kept_alerts()] == ["Degraded"]
            assert len(tries) < 25
            assert await rig.told("EngineRefused") == 2
            left = False
            await rig.phase(pod_id, Phase.RUNNING)

    live(history)
