"""The engine in trouble: what is healthy is left alone, nobody starves, and nothing is said twice or unsaid."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from agentpod_core import ContainerState, Probe, ProbeResult, Workload
from agentpod_core.values.actions import CreateContainer, ProtectHost, UpdateLimits
from agentpod_core.values.status import ConditionType, Phase

SHORT = Probe(probe="any", timeout=1, start_deadline=0.2)


async def test_a_platform_that_was_away_restarts_no_agent_it_has_not_asked(rig: Any) -> None:
    """An agent that started long ago, by the engine's own hand, gets its time from the first question on."""
    workload = replace(rig.workload, probe=SHORT)
    async with rig.running():
        pod_id = await rig.add(workload=workload)
        await rig.phase(pod_id, Phase.RUNNING)
    rig.engine.reboot()
    await asyncio.sleep(0.4)
    started = rig.container(pod_id).started_at
    async with rig.running("two") as controller:
        await rig.until(lambda: controller.probed(pod_id))
        await rig.phase(pod_id, Phase.RUNNING)
        assert rig.container(pod_id).started_at == started
        assert not await rig.told("StartTooSlow")


async def test_a_start_that_never_answers_is_tried_again(rig: Any) -> None:
    """An agent that stays silent from its start on is restarted when its time is over."""
    async with rig.running():
        rig.health.ill.add(await rig.add(workload=replace(rig.workload, probe=SHORT)))
        await rig.until(lambda: rig.told("StartTooSlow"))


async def is_unasked(rig: Any, pod_id: str, reason: str) -> bool:
    """Say whether a pod runs, and nobody knows whether it is ready, for that reason."""
    status = await rig.status(pod_id)
    ready = status.condition(ConditionType.READY)
    return (status.phase, ready.status, ready.reason) == (Phase.RUNNING, None, reason)


async def test_a_probe_that_fails_itself_restarts_nobody(rig: Any) -> None:
    """A probe that raises says nothing about the agent: it goes on running, and nobody is alarmed."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        started = rig.container(pod_id).started_at
        rig.health.broken.add(pod_id)
        await rig.until(lambda: is_unasked(rig, pod_id, "ProbeFailed"))
        await asyncio.sleep(0.5)
        record = (await rig.store.pod(pod_id)).record
        assert (rig.container(pod_id).started_at, record.failures, record.alerting) == (started, (), ())
        rig.health.broken.clear()

        async def is_ready() -> bool:
            return (await rig.status(pod_id)).ready

        await rig.until(is_ready)


async def test_a_sealed_vault_restarts_nobody(rig: Any) -> None:
    """A platform that comes back and can read no secret leaves its agents as they are, and says what it lacks."""
    async with rig.running():
        tenant = await rig.store.add_tenant("acme")
        pods = [await rig.store.add_pod(tenant, f"p{number}", workload=rig.workload) for number in range(3)]
        for pod_id in pods:
            await rig.phase(pod_id, Phase.RUNNING)
    started = [rig.container(pod_id).started_at for pod_id in pods]
    unread = ProbeResult(
        alive=False, ready=False, reason="SecretNotRead", params={"secret": "token", "cause": "VaultSealed"}
    )
    rig.health.says = dict.fromkeys(pods, unread)
    async with rig.running("two"):
        for pod_id in pods:
            await rig.until(lambda pod_id=pod_id: is_unasked(rig, pod_id, "SecretNotRead"))
        await asyncio.sleep(0.5)
        assert [rig.container(pod_id).started_at for pod_id in pods] == started
        assert rig.store.alerts == []


async def test_starts_that_cannot_be_asked_hold_nobody_up(rig: Any) -> None:
    """A probe that fails for two agents which boot gives their places to others once their time is over."""
    workload = replace(rig.workload, boot_cost=30.0, probe=replace(rig.workload.probe, start_deadline=0.3))
    async with rig.running(slots=2):
        tenant = await rig.store.add_tenant("acme")
        bad = [await rig.store.add_pod(tenant, f"bad{number}", workload=workload) for number in range(2)]
        rig.health.broken.update(bad)
        await rig.until(lambda: all(rig.container(pod_id) for pod_id in bad))
        good = await rig.store.add_pod(tenant, "good", workload=workload)
        await rig.phase(good, Phase.RUNNING)
        for pod_id in bad:
            await rig.until(lambda pod_id=pod_id: is_unasked(rig, pod_id, "ProbeFailed"))
        assert not await rig.told("StartTooSlow")


async def test_one_silence_after_a_long_illness_is_no_hang(rig: Any) -> None:
    """Answers that say "not ready" count for nothing when the agent once does not answer at all."""
    async with rig.running() as controller:
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        started = rig.container(pod_id).started_at
        rig.health.says[pod_id] = ProbeResult(alive=True, ready=False, reason="NotReady")
        await rig.until(lambda: controller.probed(pod_id).failures > 5)
        rig.health.ill.add(pod_id)
        await rig.until(lambda: not controller.probed(pod_id).result.alive)
        rig.health.ill.clear()
        rig.health.says.clear()
        await rig.phase(pod_id, Phase.RUNNING)
        assert rig.container(pod_id).started_at == started


async def test_a_new_leader_takes_back_no_word(rig: Any) -> None:
    """A platform that starts again says nothing worse of a running pod than it said before."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        await rig.until(lambda: rig.engine.protection.active)

        async def is_routed() -> bool:
            return (await rig.status(pod_id)).condition(ConditionType.ROUTED).status is True

        await rig.until(is_routed)
        await asyncio.sleep(0.3)
    saved = rig.store.saved
    since = (await rig.status(pod_id)).condition(ConditionType.ROUTED).since
    async with rig.running("two"):
        await asyncio.sleep(0.5)
        assert (await rig.status(pod_id)).condition(ConditionType.ROUTED).since == since
        assert rig.store.saved == saved


async def test_a_tenant_without_a_network_holds_up_nobody_else(rig: Any) -> None:
    """Where one tenant's network cannot be had, the regular look still mends every other tenant's pods."""
    rig.engine.add_foreign_network("theirs", "10.0.0.0/8")
    async with rig.running():
        await rig.store.add_tenant("aaa")
        del rig.engine.networks["theirs"]
        first = await rig.store.add_tenant("blocked")
        lease = (await rig.store.tenant(first)).lease
        rig.engine.add_foreign_network("theirs", lease.subnet)
        pod_id = await rig.add("zzz")
        await rig.phase(pod_id, Phase.RUNNING)
        # Nothing tells of this end, so only the regular look can find it.
        rig.container(pod_id).state = ContainerState.EXITED
        rig.container(pod_id).finished_at = rig.engine.now()
        await rig.until(lambda: rig.container(pod_id).state is ContainerState.RUNNING)


async def test_what_stays_refused_is_told_once(rig: Any) -> None:
    """A pod that cannot be made is told of once and tried again at its own pace, not at every look."""
    async with rig.running(resync=0.05):
        pod_id = await rig.add(workload=Workload(image="nowhere:1"))
        await rig.phase(pod_id, Phase.BLOCKED)
        await asyncio.sleep(0.5)
        assert (await rig.told("WaitingForImage"), await rig.told("ImageNotFound")) == (1, 1)


async def test_an_unknown_mistake_of_a_runtime_is_shown(rig: Any) -> None:
    """An exception that is none of ours is shown at the pod and tried again, and stops no regular look."""
    left = 3
    real = type(rig.runtime).apply

    async def apply(action: Any, material: Any) -> None:
        nonlocal left
        if isinstance(action, ProtectHost) or (isinstance(action, CreateContainer) and left):
            left -= isinstance(action, CreateContainer)
            raise OSError(28, "No space left on device")
        await real(rig.runtime, action, material)

    rig.runtime.apply = apply
    async with rig.running():
        pod_id = await rig.add()

        async def shown() -> bool:
            status = await rig.status(pod_id)
            return (status.reason, status.params.get("error")) == ("PluginFailed", "OSError: No space left on device")

        await rig.until(shown)
        await rig.phase(pod_id, Phase.RUNNING)
        rig.engine.add_foreign_container("orphan", {**rig.container(pod_id).labels, "agentpod.pod-id": "nobody"})
        await rig.until(lambda: rig.told("OrphanContainer"))


async def test_a_change_without_effect_is_not_repeated_for_ever(rig: Any) -> None:
    """An engine that takes a limit and then shows another is not asked again and again without a pause."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        real = type(rig.runtime).inspect

        async def forgetful(name: str) -> Any:
            seen = await real(rig.runtime, name)
            return seen and replace(seen, limits=replace(seen.limits, memory=1))

        rig.runtime.inspect = forgetful
        await asyncio.sleep(0.5)
        before = len(rig.engine.applied)
        await asyncio.sleep(0.5)
        repeated = [one for one in rig.engine.applied[before:] if isinstance(one, UpdateLimits)]
        assert len(repeated) < 100


async def test_a_renamed_container_makes_room_for_its_pod(rig: Any) -> None:
    """A container that somebody renamed holds the pod's address and data: it goes, and the pod is made again."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        moved = rig.engine.containers.pop(rig.name(pod_id))
        moved.name = "by-hand"
        rig.engine.containers["by-hand"] = moved
        await rig.until(lambda: list(rig.engine.containers) == [rig.name(pod_id)])
        await rig.phase(pod_id, Phase.RUNNING)


async def test_a_second_container_of_a_pod_is_removed(rig: Any) -> None:
    """Of two containers with one pod's id, the one with another name goes at the next look."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        own = rig.container(pod_id).id
        rig.engine.add_foreign_container("copy", dict(rig.container(pod_id).labels))
        await rig.until(lambda: list(rig.engine.containers) == [rig.name(pod_id)])
        assert rig.container(pod_id).id == own


async def test_a_container_that_lost_its_network_is_made_again(rig: Any) -> None:
    """An agent that was cut off by hand cannot be reached by anybody: it gets a new container."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        own = rig.container(pod_id).id
        rig.container(pod_id).address = None
        await rig.until(lambda: rig.container(pod_id) and rig.container(pod_id).id != own)
        await rig.phase(pod_id, Phase.RUNNING)


async def test_slow_work_does_not_hold_up_the_rest(rig: Any) -> None:
    """While images for many pods are being fetched, another pod is served at once."""
    rig.engine.images.add("slow:1")
    real = type(rig.runtime).apply
    release = asyncio.Event()

    async def apply(action: Any, material: Any) -> None:
        if getattr(action, "image", "") == "slow:1":
            await release.wait()
        await real(rig.runtime, action, material)

    rig.runtime.apply = apply
    async with rig.running(workers=2):
        tenant = await rig.store.add_tenant("acme")
        slow = [await rig.store.add_pod(tenant, f"s{n}", workload=Workload(image="slow:1")) for n in range(4)]
        await asyncio.sleep(0.2)
        quick = await rig.store.add_pod(tenant, "quick", workload=rig.workload)
        await rig.phase(quick, Phase.RUNNING)
        release.set()
        for pod_id in slow:
            await rig.phase(pod_id, Phase.RUNNING)


async def test_waiting_for_a_start_costs_nothing(rig: Any) -> None:
    """Pods that wait for their turn to boot are not looked at over and over, and start as soon as it comes."""
    heavy = Workload(image="fake:1", ports=rig.workload.ports, probe=rig.workload.probe, boot_cost=30)
    looks = 0
    real = type(rig.runtime).inspect

    async def inspect(name: str) -> Any:
        nonlocal looks
        looks += 1
        return await real(rig.runtime, name)

    async with rig.running(slots=1, resync=5.0):
        tenant = await rig.store.add_tenant("acme")
        pods = [await rig.store.add_pod(tenant, f"p{number}", workload=heavy) for number in range(5)]
        rig.health.ill.update(pods)
        await asyncio.sleep(0.3)
        rig.runtime.inspect = inspect
        await asyncio.sleep(0.5)
        assert looks < 60
        rig.health.ill.clear()
        for pod_id in pods:
            await rig.phase(pod_id, Phase.RUNNING)


async def test_an_engine_that_is_away_makes_nothing_up(rig: Any) -> None:
    """While the engine does not answer, whether a pod lives is unknown; afterwards it is as before."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        started = rig.container(pod_id).started_at
        rig.engine.reachable = False

        async def unknown() -> bool:
            alive = (await rig.status(pod_id)).condition(ConditionType.ALIVE)
            return (alive.status, alive.reason) == (None, "EngineUnreachable")

        await rig.until(unknown)
        assert (await rig.status(pod_id)).phase is Phase.RUNNING
        rig.engine.reachable = True

        async def known() -> bool:
            return (await rig.status(pod_id)).condition(ConditionType.ALIVE).status is True

        await rig.until(known)
        assert rig.container(pod_id).started_at == started
