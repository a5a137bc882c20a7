"""What is changed behind the platform's back is found and mended, and what is not ours is never touched."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from agentpod_core import ContainerState, Volume, Workload
from agentpod_core.ports import RESYNC, pod_key
from agentpod_core.values.actions import CreateContainer, StartContainer, UpdateLimits
from agentpod_core.values.names import network_name, owner_labels
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import ConditionType, Phase
from agentpod_core.values.world import Limits


@pytest.mark.parametrize("state", [ContainerState.PAUSED, ContainerState.CREATED, ContainerState.DEAD])
async def test_whatever_state_it_is_found_in_it_runs_again(rig: Any, state: ContainerState) -> None:
    """A container that is paused, was never started or is past use runs again, with its data."""
    async with rig.running() as controller:
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        container = rig.container(pod_id)
        rig.engine.write_as_agent(container.name, "/data/memory", b"learned")
        container.state = state
        controller.nudge(pod_key(pod_id))
        await rig.until(lambda: rig.container(pod_id) and rig.container(pod_id).state is ContainerState.RUNNING)
        await rig.phase(pod_id, Phase.RUNNING)
        assert rig.engine.look(rig.container(pod_id), "/data/memory").content == b"learned"
        assert (await rig.store.pod(pod_id)).record.failures == ()


async def test_a_creation_that_was_cut_short_in_the_midst_is_made_whole(rig: Any) -> None:
    """A container that is there and was never started is made again in all its parts: any of them may be lacking."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
    rig.container(pod_id).state = ContainerState.CREATED
    rig.engine.applied.clear()
    async with rig.running("two"):
        await rig.until(lambda: rig.container(pod_id).state is ContainerState.RUNNING)
    assert [type(one) for one in rig.engine.applied if isinstance(one, CreateContainer | StartContainer)] == [
        CreateContainer,
        StartContainer,
    ]
    assert len(rig.engine.containers) == 1


async def test_a_volume_removed_by_hand_is_told_of_and_made_anew(rig: Any) -> None:
    """What was in it is lost: an event and an alert say so, once, and the agent goes on with an empty one."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        [volume] = rig.engine.volumes
        rig.engine.volumes.clear()
        rig.engine.remove_by_hand(rig.name(pod_id))
        await rig.until(lambda: rig.container(pod_id) and rig.container(pod_id).state is ContainerState.RUNNING)
        await rig.phase(pod_id, Phase.RUNNING)
        assert list(rig.engine.volumes) == [volume]
        lost = [one.happening for one in await rig.store.events() if one.happening.reason == "VolumeLost"]
        assert [one.params for one in lost] == [{"volumes": volume}]
        alerts = await rig.store.kept_alerts()
        assert [(one.reason, one.params) for one in alerts] == [("VolumeLost", {"volumes": volume})]


async def test_a_container_removed_by_hand_loses_no_volume(rig: Any) -> None:
    """Where the data is still there, nothing is said of any loss; a volume that the spec adds is no lost one."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        rig.engine.remove_by_hand(rig.name(pod_id))
        await rig.until(lambda: rig.container(pod_id))
        await rig.phase(pod_id, Phase.RUNNING)
        more = replace(rig.workload, volumes=(*rig.workload.volumes, Volume(name="more", path="/more")))
        await rig.store.change_pod(pod_id, workload=more)
        await rig.until(lambda: len(rig.engine.volumes) == 2)
        await rig.phase(pod_id, Phase.RUNNING)
        assert await rig.told("VolumeLost") == 0


async def test_a_network_removed_under_a_running_container_comes_back(rig: Any) -> None:
    """A container that was forced out of its network, which is gone too, gets both again at the next look."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        own = rig.container(pod_id)
        del rig.engine.networks[own.network]
        own.address = None
        await rig.until(lambda: rig.container(pod_id) and rig.container(pod_id).address)
        await rig.phase(pod_id, Phase.RUNNING)
        assert list(rig.engine.networks) == [own.network]


async def test_a_network_that_outlived_its_tenant_goes_when_the_engine_is_back(rig: Any) -> None:
    """An engine may hold on to a network that its tenant left behind; once it starts again it is asked once more."""
    async with rig.running() as controller:
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        kept = network_name(rig.runtime.instance, 99)
        rig.engine.add_foreign_network(kept, "10.9.9.0/26", owner_labels(rig.runtime.instance, tenant="left"))
        rig.engine.add_foreign_network("theirs", "10.9.8.0/26", owner_labels(rig.runtime.instance, tenant="left"))
        controller.nudge(RESYNC)
        await rig.until(lambda: kept not in rig.engine.networks)
        assert set(rig.engine.networks) == {rig.container(pod_id).network, "theirs"}


async def test_an_image_removed_while_stopped_is_said_and_waited_for(rig: Any) -> None:
    """A pod that has to be made anew without its image says which one is missing, and starts when it is back."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        await rig.store.want_pod(pod_id, Wanted.STOPPED)
        await rig.phase(pod_id, Phase.STOPPED)
        rig.engine.images.clear()
        rig.engine.remove_by_hand(rig.name(pod_id))
        await rig.store.want_pod(pod_id, Wanted.RUNNING)
        await rig.phase(pod_id, Phase.BLOCKED)
        status = await rig.status(pod_id)
        assert (status.reason, status.params) == ("ImageNotFound", {"image": "fake:1"})
        rig.engine.images.add("fake:1")
        await rig.phase(pod_id, Phase.RUNNING)


@pytest.mark.parametrize(
    "by_hand",
    [
        Limits(memory=1),
        Limits(memory=None, cpus=100),
        Limits(pids=7),
        Limits(restart=False),
        Limits(restart=None),
    ],
)
async def test_limits_changed_by_hand_are_set_back_in_place(rig: Any, by_hand: Limits) -> None:
    """Memory, processors, processes and the restart policy are as the spec has them, without a new container."""
    async with rig.running() as controller:
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        container, wanted = rig.container(pod_id), rig.container(pod_id).limits
        container.limits = by_hand if by_hand != wanted else replace(by_hand, memory=1)
        controller.nudge(pod_key(pod_id))
        await rig.until(lambda: rig.container(pod_id).limits == wanted)
        assert rig.container(pod_id).id == container.id
        changes = 1 if by_hand.restart or by_hand.memory == by_hand.cpus == wanted.pids else 2
        assert len([one for one in rig.engine.applied if isinstance(one, UpdateLimits)]) == changes


async def test_of_two_running_containers_ours_stays(rig: Any) -> None:
    """A second one that runs with a pod's id goes as soon as the engine tells of it, not at the next regular look."""
    async with rig.running(resync=60.0):
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        own = rig.container(pod_id).id
        copy = rig.engine.add_foreign_container("copy", dict(rig.container(pod_id).labels))
        rig.engine.happened("start", copy)
        await rig.until(lambda: list(rig.engine.containers) == [rig.name(pod_id)])
        assert rig.container(pod_id).id == own


async def test_a_foreign_container_with_our_name_is_left_alone(rig: Any) -> None:
    """Its holder is named, the pod is tried again, and mended when the name is free."""
    async with rig.running():
        tenant = await rig.store.add_tenant("acme")
        pod_id = await rig.store.add_pod(tenant, "main", workload=rig.workload, wanted=Wanted.STOPPED)
        theirs = rig.engine.add_foreign_container(rig.name(pod_id))
        await rig.store.want_pod(pod_id, Wanted.RUNNING)
        await rig.phase(pod_id, Phase.BLOCKED)
        status = await rig.status(pod_id)
        assert (status.reason, status.params["name"]) == ("NameTaken", theirs.name)
        assert rig.engine.containers == {theirs.name: theirs}
        del rig.engine.containers[theirs.name]
        await rig.phase(pod_id, Phase.RUNNING)


async def test_a_foreign_container_with_our_address_is_named(rig: Any) -> None:
    """The pod says who has its address, and starts when that one is gone; the other is never touched."""
    async with rig.running():
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        await rig.store.want_pod(pod_id, Wanted.STOPPED)
        await rig.phase(pod_id, Phase.STOPPED)
        theirs = rig.engine.add_foreign_container("squatter")
        theirs.address = rig.container(pod_id).address
        await rig.store.want_pod(pod_id, Wanted.RUNNING)
        await rig.phase(pod_id, Phase.BLOCKED)
        status = await rig.status(pod_id)
        assert (status.reason, status.params["holder"]) == ("AddressTaken", "squatter")
        assert theirs.state is ContainerState.RUNNING
        del rig.engine.containers["squatter"]
        await rig.phase(pod_id, Phase.RUNNING)


async def test_a_foreign_network_on_our_subnet_is_named(rig: Any) -> None:
    """The pod says which network lies over its tenant's subnet, and starts when that one is gone."""
    tenant = await rig.store.add_tenant("acme")
    lease = (await rig.store.tenant(tenant)).lease
    rig.engine.add_foreign_network("theirs", lease.subnet)
    async with rig.running():
        pod_id = await rig.store.add_pod(tenant, "main", workload=rig.workload)
        await rig.phase(pod_id, Phase.BLOCKED)
        status = await rig.status(pod_id)
        assert (status.reason, status.params["holder"]) == ("SubnetTaken", "theirs")
        del rig.engine.networks["theirs"]
        await rig.phase(pod_id, Phase.RUNNING)


async def test_a_container_of_an_unknown_pod_is_reported_once_and_left(rig: Any) -> None:
    """What carries our label and is in no database is an alert while it is there, and neither stopped nor removed."""
    async with rig.running(resync=0.05):
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        labels = {**rig.container(pod_id).labels, "agentpod.pod-id": "nobody"}
        orphan = rig.engine.add_foreign_container("orphan", labels)
        await rig.until(lambda: rig.told("OrphanContainer"))
        await asyncio.sleep(0.3)
        assert await rig.told("OrphanContainer") == 1
        assert orphan.state is ContainerState.RUNNING
        assert "orphan" in rig.engine.containers
        assert [one.params for one in await rig.store.platform_alerts()] == [{"names": ["orphan"], "count": 1}]
        rig.engine.remove_by_hand("orphan")

        async def is_over() -> bool:
            return not await rig.store.platform_alerts()

        await rig.until(is_over)


async def test_a_container_that_goes_in_the_midst_of_a_pass_is_no_refusal(rig: Any) -> None:
    """What was removed between the look and the change is looked at again at once, and blocks nobody."""
    async with rig.running() as controller:
        pod_id = await rig.add()
        await rig.phase(pod_id, Phase.RUNNING)
        real = type(rig.runtime).apply

        async def apply(action: Any, material: Any) -> None:
            if isinstance(action, StartContainer) and rig.container(pod_id).state is ContainerState.EXITED:
                rig.engine.remove_by_hand(rig.name(pod_id))
                rig.runtime.apply = lambda *given: real(rig.runtime, *given)
            await real(rig.runtime, action, material)

        rig.container(pod_id).limits = replace(rig.container(pod_id).limits, restart=False)
        rig.runtime.apply = apply
        rig.engine.kill(rig.name(pod_id))
        controller.nudge(pod_key(pod_id))
        await rig.until(lambda: rig.container(pod_id) and rig.container(pod_id).state is ContainerState.RUNNING)
        await rig.phase(pod_id, Phase.RUNNING)
        phases = [one.happening.params.get("phase") for one in await rig.store.events()]
        assert "blocked" not in phases
        assert await rig.told("ContainerNotFound") == 0


async def test_an_engine_that_is_away_is_one_alert(rig: Any) -> None:
    """Of an engine that does not answer the platform speaks once, not each pod; it is taken back when it answers."""
    async with rig.running() as controller:
        pods = [await rig.add("acme")]
        pods.append(await rig.store.add_pod((await rig.store.pod(pods[0])).tenant_id, "other", workload=rig.workload))
        for pod_id in pods:
            await rig.phase(pod_id, Phase.RUNNING)
        rig.engine.reachable = False

        async def is_told() -> bool:
            return await rig.told("EngineUnreachable") == 1

        controller.nudge("resync")
        await rig.until(is_told)
        assert [(one.reason, one.pod) for one in await rig.store.kept_alerts()] == [("EngineUnreachable", "")]
        rig.engine.reachable = True

        async def is_over() -> bool:
            return not any(one.is_open for one in await rig.store.kept_alerts())

        await rig.until(is_over)
        for pod_id in pods:
            await rig.phase(pod_id, Phase.RUNNING)
            assert (await rig.store.pod(pod_id)).record.failures == ()


async def test_a_restart_of_the_engine_is_held_against_nobody(rig: Any) -> None:
    """What ended because its engine did is started again, and counted as no failure of the agent."""
    async with rig.running() as controller:
        pod_id = await rig.add(workload=Workload(image="fake:1", probe=rig.workload.probe, ports=rig.workload.ports))
        await rig.phase(pod_id, Phase.RUNNING)
        # Nothing starts it again by itself.
        rig.container(pod_id).limits = replace(rig.container(pod_id).limits, restart=False)
        rig.engine.reboot()
        controller.nudge(pod_key(pod_id))
        await rig.until(lambda: rig.container(pod_id).state is ContainerState.RUNNING)
        await rig.phase(pod_id, Phase.RUNNING)
        assert await rig.told("EndedWithEngine") == 1
        assert await rig.told("ContainerExited") == 0
        assert (await rig.store.pod(pod_id)).record.failures == ()


async def test_a_reboot_that_starts_everything_restarts_nobody_again(rig: Any) -> None:
    """Agents that the engine brought back by itself are asked, and neither failed nor started once more."""
    async with rig.running():
        tenant = await rig.store.add_tenant("acme")
        pods = [await rig.store.add_pod(tenant, f"p{n}", workload=rig.workload) for n in range(10)]
        for pod_id in pods:
            await rig.phase(pod_id, Phase.RUNNING)
        starts = sum(isinstance(one, StartContainer) for one in rig.engine.applied)
        rig.engine.reboot()
        for pod_id in pods:
            await rig.phase(pod_id, Phase.RUNNING)
            assert (await rig.store.pod(pod_id)).record.failures == ()
        assert sum(isinstance(one, StartContainer) for one in rig.engine.applied) == starts
        assert (await rig.status(pods[0])).condition(ConditionType.ALIVE).status is True
