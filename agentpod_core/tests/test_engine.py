"""The engine over a world in memory: it makes, mends and removes, and survives being stopped anywhere."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from agentpod_core import ContainerState, File, OnChange, PermanentError, Workload
from agentpod_core.ports import pod_key
from agentpod_core.values.actions import StartContainer
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import ConditionType, Phase


async def test_makes_a_pod_that_answers_at_its_route(rig: Any) -> None:
    """A new pod gets network, volume, files, container and route, and is ready once it answers."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        container = rig.container(pod_id)
        assert container.network in rig.engine.networks
        assert rig.engine.look(container, "/data/config.json").content == b"1"
        await rig.until(lambda: rig.router.history and rig.router.history[-1])
        assert rig.router.history[-1][0].target.host == container.address
    assert [action for action in rig.engine.applied if isinstance(action, StartContainer)].__len__() == 1


async def test_once_right_nothing_is_touched(rig: Any) -> None:
    """A pod that is right is left alone by every further look, and nothing is written."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        await rig.until(lambda: rig.engine.protection.active)
        await asyncio.sleep(0.3)
        applied, saved = len(rig.engine.applied), rig.store.saved
        await asyncio.sleep(0.6)
        assert (len(rig.engine.applied), rig.store.saved) == (applied, saved)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("nth", range(1, 10))
async def test_a_crash_between_any_two_steps_is_mended(rig: Any, nth: int, after: bool) -> None:
    """However far a platform came before it died, its next life ends with one container and all its data."""
    first = rig.controller()
    task = asyncio.create_task(first.run())
    rig.engine.cut_apply(nth, after=after, error=asyncio.CancelledError())
    pod_id = await rig.add()
    await asyncio.sleep(0.15)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    async with rig.running("two"):
        await rig.phase(pod_id, Phase.RUNNING)
        assert [one.name for one in rig.engine.containers.values()] == [rig.name(pod_id)]
        assert rig.engine.look(rig.container(pod_id), "/data/config.json").content == b"1"
        assert len(rig.engine.networks) == 1
        assert len(rig.engine.volumes) == 1


async def test_an_engine_that_fails_in_between_is_tried_again(rig: Any) -> None:
    """A passing error is shown with its reason while it lasts, and then the pod is made."""
    rig.engine.cut_apply(3)
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)


async def test_a_missing_image_blocks_with_its_reason(rig: Any) -> None:
    """An image that is nowhere to be had is said in the status, and a new spec is tried at once."""
    async with rig.running():
        pod_id = await rig.add(workload=Workload(image="nowhere:1"))
        await rig.phase(pod_id, Phase.BLOCKED)
        status = await rig.status(pod_id)
        assert (status.reason, status.condition(ConditionType.APPLIED).status) == ("ImageNotFound", False)
        await rig.store.change_pod(pod_id, workload=Workload(image="fake:1"))
        await rig.phase(pod_id, Phase.RUNNING)


async def test_what_dies_or_goes_missing_comes_back_with_its_data(rig: Any) -> None:
    """A killed agent runs again; a removed container is made again on the same volume and address."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        before = rig.container(pod_id)
        rig.engine.write_as_agent(before.name, "/data/memory", b"learned")
        rig.engine.kill(before.name)
        await rig.until(lambda: rig.container(pod_id).state is ContainerState.RUNNING)
        rig.engine.remove_by_hand(before.name)
        await rig.until(lambda: rig.container(pod_id) and rig.container(pod_id).state is ContainerState.RUNNING)
        after = rig.container(pod_id)
        assert after.id != before.id
        assert after.address == before.address
        assert rig.engine.look(after, "/data/memory").content == b"learned"


async def test_a_container_on_its_way_out_is_no_ill_agent(rig: Any) -> None:
    """While the engine removes a container its pod is starting anew; nobody says that the agent is not ready."""
    async with rig.running() as controller:
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        rig.container(pod_id).state = ContainerState.REMOVING
        controller.nudge(pod_key(pod_id))
        await rig.phase(pod_id, Phase.STARTING)
        del rig.engine.containers[rig.name(pod_id)]
        await rig.phase(pod_id, Phase.RUNNING)
        assert await rig.told("NotReady") == 0


async def test_a_hung_agent_is_restarted(rig: Any) -> None:
    """An agent that runs and no longer answers is stopped and started."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        started = rig.container(pod_id).started_at
        rig.health.ill.add(pod_id)
        await rig.until(lambda: rig.container(pod_id).started_at != started)
        rig.health.ill.clear()
        await rig.phase(pod_id, Phase.RUNNING)
        assert "NotAnswering" in {told.happening.reason for told in await rig.store.events()}


async def test_stop_and_start(rig: Any) -> None:
    """A stopped pod keeps its container and volume and loses its route; started, it is the same again."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        container = rig.container(pod_id).id
        await rig.store.want_pod(pod_id, Wanted.STOPPED)
        await rig.phase(pod_id, Phase.STOPPED)
        await rig.until(lambda: rig.router.history[-1] == ())
        await rig.store.want_pod(pod_id, Wanted.RUNNING)
        await rig.phase(pod_id, Phase.RUNNING)
        assert rig.container(pod_id).id == container
        assert not (await rig.store.pod(pod_id)).record.failures


async def test_delete_leaves_nothing_and_touches_nothing_foreign(rig: Any) -> None:
    """Of a deleted tenant nothing of ours is left; what is not ours stays, whatever it is called."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        rig.engine.add_foreign_container("somebody-elses")
        rig.engine.add_foreign_volume("their-data")
        rig.engine.add_foreign_network("their-net", "10.99.0.0/24")
        pod = await rig.store.pod(pod_id)
        await rig.store.want_pod(pod_id, Wanted.DELETED)
        await rig.store.want_tenant(pod.tenant_id, Wanted.DELETED)

        async def gone() -> bool:
            return await rig.store.tenant(pod.tenant_id) is None

        await rig.until(gone)
        assert list(rig.engine.containers) == ["somebody-elses"]
        assert list(rig.engine.volumes) == ["their-data"]
        assert list(rig.engine.networks) == ["their-net"]
        await rig.until(lambda: rig.router.history[-1] == ())


async def test_files_change_live_or_by_restart(rig: Any) -> None:
    """A live file is written in place; one that needs a restart gets one; a changed image makes a new container."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        first = rig.container(pod_id)
        started = first.started_at
        live, config = rig.workload.files

        def workload(**changes: Any) -> Workload:
            from msgspec.structs import replace  # noqa: PLC0415

            return replace(rig.workload, **changes)

        changed = File(path=live.path, parts=("2",), on_change=OnChange.LIVE)
        await rig.store.change_pod(pod_id, workload=workload(files=(changed, config)))
        await rig.until(lambda: rig.engine.look(rig.container(pod_id), live.path).content == b"2")
        await rig.phase(pod_id, Phase.RUNNING)
        assert rig.container(pod_id).started_at == started
        restarted = File(path=config.path, parts=("2",), on_change=OnChange.RESTART)
        await rig.store.change_pod(pod_id, workload=workload(files=(changed, restarted)))
        await rig.until(lambda: rig.container(pod_id).started_at != started)
        assert rig.container(pod_id).id == first.id
        rig.engine.images.add("fake:2")
        await rig.store.change_pod(pod_id, workload=workload(image="fake:2", files=(changed, restarted)))
        await rig.until(lambda: rig.container(pod_id) and rig.container(pod_id).id != first.id)
        await rig.phase(pod_id, Phase.RUNNING)


async def test_a_merged_file_goes_through_the_adapter(rig: Any) -> None:
    """A file that the agent rewrote is merged by its adapter, without a restart."""
    merged = File(path="/data/own.json", parts=("ours",), on_change=OnChange.MERGED)
    async with rig.running():
        pod_id = await rig.add(workload=Workload(image="fake:1", files=(merged,), volumes=rig.workload.volumes))
        await rig.phase(pod_id, Phase.RUNNING)
        name, started = rig.container(pod_id).name, rig.container(pod_id).started_at
        rig.engine.write_as_agent(name, "/data/own.json", b"theirs+")
        again = File(path="/data/own.json", parts=("new",), on_change=OnChange.MERGED)
        await rig.store.change_pod(
            pod_id, workload=Workload(image="fake:1", files=(again,), volumes=rig.workload.volumes)
        )
        await rig.until(lambda: rig.engine.look(rig.container(pod_id), "/data/own.json").content == b"theirs+new")
        assert rig.merged == [(b"theirs+", b"new")]
        assert rig.container(pod_id).started_at == started


async def test_starts_are_rationed(rig: Any) -> None:
    """Agents that burn processor time while booting start one after another."""
    heavy = Workload(
        image="fake:1", ports=rig.workload.ports, volumes=rig.workload.volumes, probe=rig.workload.probe, boot_cost=30
    )
    async with rig.running(slots=1):
        tenant = await rig.store.add_tenant("acme")
        pods = [await rig.store.add_pod(tenant, f"p{number}", workload=heavy) for number in range(3)]
        rig.health.ill.update(pods)
        await rig.until(lambda: any(rig.container(pod) for pod in pods))
        await asyncio.sleep(0.1)
        running = [pod for pod in pods if (one := rig.container(pod)) and one.state is ContainerState.RUNNING]
        assert len(running) == 1
        rig.health.ill.clear()
        for pod in pods:
            await rig.phase(pod, Phase.RUNNING)


async def test_only_one_leads_and_another_takes_over(rig: Any) -> None:
    """Of two controllers one acts; when it stops, the other goes on, and nothing is made twice."""
    async with rig.running("two") as standby, rig.running("one") as other:
        await rig.until(lambda: (standby.epoch is None) != (other.epoch is None))
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
    async with rig.running("three"):
        rig.engine.remove_by_hand(rig.name(pod_id))
        await rig.until(lambda: rig.container(pod_id))
        await rig.phase(pod_id, Phase.RUNNING)
    assert len(rig.engine.containers) == 1


async def test_an_outage_of_the_store_is_survived(rig: Any) -> None:
    """While the store is away nothing is concluded; what happened meanwhile is mended afterwards."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        async with rig.store.outage():
            rig.engine.remove_by_hand(rig.name(pod_id))
            await asyncio.sleep(0.2)
        await rig.until(lambda: rig.container(pod_id))
        await rig.phase(pod_id, Phase.RUNNING)


async def test_a_dry_run_changes_nothing(rig: Any) -> None:
    """The plan that is shown is the one that would be applied, with reasons, and showing it does nothing."""
    pod_id = await rig.add()
    plan = await rig.controller().plan(pod_id)
    assert [type(action).__name__ for action in plan.actions] == [
        "CreateVolume",
        "CreateContainer",
        "WriteFiles",
        "StartContainer",
    ]
    assert all(action.reason for action in plan.actions)
    assert rig.engine.applied == []


async def test_an_orphan_is_reported_once_and_left_alone(rig: Any) -> None:
    """A container of ours that the database does not know is told of, not removed."""
    labels = {"agentpod.managed": "true", "agentpod.instance": rig.runtime.instance, "agentpod.pod-id": "nobody"}
    rig.engine.add_foreign_container("orphan", labels)
    async with rig.running():

        async def told() -> int:
            return sum(told.happening.reason == "OrphanContainer" for told in await rig.store.events())

        await rig.until(told)
        await asyncio.sleep(0.5)
        assert await told() == 1
    assert "orphan" in rig.engine.containers


async def test_a_permanent_exit_is_not_retried(rig: Any) -> None:
    """An exit code that no restart mends blocks the pod; a restart by the operator tries again."""
    async with rig.running():
        pod_id = await rig.add(workload=Workload(image="fake:1", permanent_exits=(78,)))
        await rig.phase(pod_id, Phase.RUNNING)
        rig.engine.holds_restarts = True
        rig.engine.kill(rig.name(pod_id), 78)
        await rig.phase(pod_id, Phase.BLOCKED)
        rig.engine.holds_restarts = False
        await rig.store.change_spec(pod_id, restarts=1)
        await rig.phase(pod_id, Phase.RUNNING)


async def test_a_deleted_pod_whose_engine_refuses_stays_visible(rig: Any) -> None:
    """What cannot be removed is not forgotten: the pod stays, deleting, with the reason."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        for nth in range(1, 40):
            rig.engine.cut_apply(nth, error=PermanentError("EngineRefused", message="no"))
        await rig.store.want_pod(pod_id, Wanted.DELETED)

        async def refused() -> bool:
            status = await rig.status(pod_id)
            return (status.phase, status.reason) == (Phase.DELETING, "EngineRefused")

        await rig.until(refused)


async def test_who_stands_by_sees_the_same_plan(rig: Any) -> None:
    """A controller that asks no agent itself plans by what the leader concluded: for a pod that is well, nothing."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        standby = rig.controller("two")
        plan = await standby.plan(pod_id)
        assert (plan.actions, plan.status.ready) == ((), True)
        rig.engine.remove_by_hand(rig.name(pod_id))
        plan = await standby.plan(pod_id)
        assert "CreateContainer" in [type(action).__name__ for action in plan.actions]
