"""The failure policy over a world in memory: loops, blocks, repairs, and what an agent is told when it is well."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from agentpod_core import ContainerState, Repair, TemporaryError
from agentpod_core.ports import pod_key
from agentpod_core.values.actions import RunOnce
from agentpod_core.values.status import ConditionType, Phase


def _permanent(rig: Any) -> Any:
    return replace(rig.workload, permanent_exits=(78,))


def _end(rig: Any, pod_id: str, code: int) -> None:
    """End the agent; the engine leaves it so."""
    rig.container(pod_id).limits = replace(rig.container(pod_id).limits, restart=False)
    rig.engine.kill(rig.name(pod_id), code=code)


async def _loop(rig: Any, pod_id: str) -> None:
    """Let the agent end with 3 as often as it is started, until that is called a loop and it is down."""

    async def is_looping() -> bool:
        container, status = rig.container(pod_id), await rig.status(pod_id)
        if container.state is not ContainerState.RUNNING:
            return status.phase is Phase.CRASH_LOOP
        _end(rig, pod_id, 3)
        return False

    await rig.phase(pod_id, Phase.RUNNING)
    rig.health.ill.add(pod_id)
    await rig.until(is_looping)


async def test_a_loop_is_stopped_between_its_tries(rig: Any) -> None:
    """An agent that ends again and again is a crash loop: it is down between the tries, and the engine leaves it so."""
    async with rig.running():
        pod_id = await rig.add()
        await _loop(rig, pod_id)
        status = await rig.status(pod_id)
        assert (status.reason, status.params["exit_code"]) == ("CrashLoop", 3)
        assert rig.container(pod_id).limits.restart is False


async def test_its_record_outlives_the_server(rig: Any) -> None:
    """What was counted counts for the next leader: a pod in a pause is not started sooner by a new one."""
    async with rig.running():
        pod_id = await rig.add()
        await _loop(rig, pod_id)
    before = (await rig.store.pod(pod_id)).record
    async with rig.running("two") as controller:
        rig.health.ill.clear()
        controller.nudge(pod_key(pod_id))
        await rig.until(lambda: rig.container(pod_id).state is ContainerState.RUNNING)
        assert rig.container(pod_id).started_at >= before.not_before


async def test_a_repair_mends_a_refused_start(rig: Any) -> None:
    """The adapter's command runs once, alone, with the pod's volume; then the agent starts and is told."""
    rig.repairs[78] = Repair(reason="Refused", command=("touch", "/data/repaired"))
    async with rig.running():
        pod_id = await rig.add(workload=_permanent(rig))
        await rig.phase(pod_id, Phase.RUNNING)
        _end(rig, pod_id, 78)
        await rig.until(lambda: rig.engine.look(rig.container(pod_id), "/data/repaired"))
        await rig.until(lambda: rig.container(pod_id).state is ContainerState.RUNNING)
        await rig.phase(pod_id, Phase.RUNNING)
        assert len([one for one in rig.engine.applied if isinstance(one, RunOnce)]) == 1
        assert list(rig.engine.containers) == [rig.name(pod_id)]
        await rig.until(lambda: rig.healed)


async def test_repairs_take_turns(rig: Any) -> None:
    """A change that all agents refuse has all of them repaired: as many at once as may start, and all in the end."""
    rig.repairs[78] = Repair(reason="Refused", command=("touch", "/data/repaired"))
    real, running, most = rig.runtime.apply, set[str](), set[int]()

    async def apply(action: Any, material: Any) -> None:
        if isinstance(action, RunOnce):
            running.add(action.name)
            most.add(len(running))
            await asyncio.sleep(0.1)
            running.discard(action.name)
        await real(action, material)

    rig.runtime.apply = apply
    async with rig.running(slots=1):
        heavy = replace(_permanent(rig), boot_cost=20.0)
        pods = [await rig.add(tenant, workload=heavy) for tenant in ("one", "two", "three")]
        for pod_id in pods:
            await rig.phase(pod_id, Phase.RUNNING)
        for pod_id in pods:
            _end(rig, pod_id, 78)
        for pod_id in pods:
            await rig.until(lambda pod_id=pod_id: rig.engine.look(rig.container(pod_id), "/data/repaired"))
            await rig.phase(pod_id, Phase.RUNNING)
    assert most == {1}


async def test_a_repair_that_does_not_help_leaves_the_pod_blocked(rig: Any) -> None:
    """The second time there is none, and the status says what it is in the adapter's words."""
    rig.repairs[78] = Repair(reason="Refused", command=("touch", "/data/repaired"))
    async with rig.running():
        pod_id = await rig.add(workload=_permanent(rig))
        await rig.phase(pod_id, Phase.RUNNING)
        for _ in range(2):
            await rig.until(lambda: rig.container(pod_id).state is ContainerState.RUNNING)
            _end(rig, pod_id, 78)
        await rig.phase(pod_id, Phase.BLOCKED)
        assert (await rig.status(pod_id)).reason == "Refused"
        assert rig.container(pod_id).state is ContainerState.EXITED
        repairs = [one for one in rig.engine.applied if isinstance(one, RunOnce)]
        assert len(repairs) == 1


async def test_a_repair_that_fails_itself_is_told_of(rig: Any) -> None:
    """A command that ends badly mends nothing: an event has its exit code, and it is not run again."""
    rig.repairs[78] = Repair(reason="Refused", command=("no-such-program",))
    async with rig.running(resync=0.05):
        pod_id = await rig.add(workload=_permanent(rig))
        await rig.phase(pod_id, Phase.RUNNING)
        _end(rig, pod_id, 78)

        async def is_settled() -> bool:
            return (await rig.status(pod_id)).reason == "Refused" and await rig.told("CommandFailed") == 1

        await rig.until(is_settled)
        assert rig.container(pod_id).state is ContainerState.EXITED


async def test_what_a_repair_left_behind_goes(rig: Any) -> None:
    """A leader that died in the midst of a repair leaves a container; the next one removes it."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        own = rig.container(pod_id)
        labels = {key: value for key, value in own.labels.items() if key != "agentpod.spec-hash"}
        rig.engine.add_foreign_container(f"{own.name}-once", labels)
        await rig.until(lambda: list(rig.engine.containers) == [own.name])
        assert rig.container(pod_id) is own


async def test_an_agent_that_was_killed_is_told_when_it_is_well(rig: Any) -> None:
    """Its adapter gets the agent's own endpoint, once, after it answers again."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        assert rig.healed == []
        rig.engine.kill(rig.name(pod_id))
        await rig.until(lambda: rig.healed)
        [(told, endpoint)] = rig.healed
        assert (told, endpoint.host, endpoint.port) == (pod_id, rig.container(pod_id).address, 8080)


async def test_an_agent_that_cannot_be_told_stays_ready(rig: Any) -> None:
    """It is tried a few times and then reported; the pod runs all the while."""
    rig.heal_error = TemporaryError("Unreachable")
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        rig.engine.kill(rig.name(pod_id))
        await rig.until(lambda: len(rig.healed) == 5)

        async def is_told() -> bool:
            return await rig.told("AfterHealFailed") == 1

        await rig.until(is_told)
        status = await rig.status(pod_id)
        assert (status.phase, status.ready) == (Phase.RUNNING, True)
        assert status.condition(ConditionType.APPLIED).status is True


async def test_a_killed_child_is_told_of_once(rig: Any) -> None:
    """The engine's word that a process of a running container was killed for memory becomes one event, no failure."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        rig.engine.oom(rig.name(pod_id))

        async def is_told() -> bool:
            return await rig.told("OutOfMemory") == 1

        await rig.until(is_told)
        [happening] = [one.happening for one in await rig.store.events() if one.happening.reason == "OutOfMemory"]
        assert happening.params == {"child": True}
        assert (await rig.store.pod(pod_id)).record.failures == ()


async def test_an_agent_killed_for_memory_is_no_child(rig: Any) -> None:
    """The agent's own end is told of once, whether or not the engine has started it again by then."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        started = rig.container(pod_id).started_at
        rig.engine.kill(rig.name(pod_id), oom=True)
        await rig.until(lambda: rig.container(pod_id).started_at != started)
        await rig.until(lambda: rig.healed)
        told = [one.happening for one in await rig.store.events() if one.happening.reason == "OutOfMemory"]
        assert len(told) == 1
        assert "child" not in told[0].params


async def test_light_starts_go_side_by_side(rig: Any) -> None:
    """A start that burns a tenth of what a core is for leaves room for nine others; one that burns none asks nobody."""
    light = replace(rig.workload, boot_cost=1.0)
    async with rig.running(slots=1):
        tenant = await rig.store.add_tenant("acme")
        pods = [await rig.store.add_pod(tenant, f"p{n}", workload=light) for n in range(12)]
        free = await rig.store.add_pod(tenant, "free", workload=rig.workload)
        rig.health.ill.update(pods)
        await rig.phase(free, Phase.RUNNING)

        def running() -> int:
            found = [rig.container(one) for one in pods]
            return sum(one is not None and one.state is ContainerState.RUNNING for one in found)

        await rig.until(lambda: running() == 10)
        rig.health.ill.clear()
        for pod_id in pods:
            await rig.phase(pod_id, Phase.RUNNING)
