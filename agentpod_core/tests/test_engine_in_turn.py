"""Where a change and the agent that is there stand in each other's way, they are tried in turn."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from msgspec.structs import replace
from registry import NOWHERE, ending, hiding, refused, refusing, slow, well, with_config, with_image

from agentpod_core import ContainerState, File, OnChange, Repair, SecretRef, TemporaryError
from agentpod_core.values.actions import (
    CreateContainer,
    StartContainer,
    WriteFiles,
)
from agentpod_core.values.alerts import Raise
from agentpod_core.values.status import Phase

NO_DEVICE = TemporaryError("EngineRefused", message="error mounting: no such device")
NO_SPACE = TemporaryError("EngineRefused", message="no space left on device")
BUSY = TemporaryError("EngineRefused", message="busy")


def _as_from_a_database(rig: Any) -> None:
    """Let each reading of a pod be an object of its own."""
    real = rig.store.pod

    async def pod(pod_id: str) -> Any:
        found = await real(pod_id)
        return found and copy.copy(found)

    rig.store.pod = pod


def _end(rig: Any, pod_id: str) -> None:
    """Have an agent end so that its engine leaves it there."""
    rig.container(pod_id).end_wanted = True
    rig.engine.kill(rig.name(pod_id), 1)


def test_an_image_that_is_there_is_used_where_the_old_container_starts_no_more(live: Any) -> None:
    """What became of the old one while the image was fetched is no reason to go on trying it."""

    async def history(rig: Any) -> None:
        slow(rig, "-", "big:2")
        broken = refusing(
            rig,
            lambda action: isinstance(action, StartContainer) and rig.container(pod_id).workload.image == "fake:1",
            NO_DEVICE,
        )
        async with rig.running():
            pod_id = await well(rig)
            broken.append(True)
            _end(rig, pod_id)
            await asyncio.sleep(100)
            await with_image(rig, pod_id, "big:2")
            await rig.until(lambda: rig.container(pod_id) and rig.container(pod_id).workload.image == "big:2")
            await rig.phase(pod_id, Phase.RUNNING)

    live(history)


def test_a_secret_that_comes_is_used_where_the_old_container_starts_no_more(live: Any) -> None:
    """The same where the change had been refused before the old one broke."""

    async def history(rig: Any) -> None:
        broken = refusing(
            rig, lambda action: isinstance(action, StartContainer) and not rig.container(pod_id).workload.env, NO_DEVICE
        )
        async with rig.running() as controller:
            pod_id = await well(rig)
            await rig.store.change_pod(pod_id, workload=replace(rig.workload, env={"TOKEN": SecretRef(key="late")}))
            await asyncio.sleep(20)
            broken.append(True)
            _end(rig, pod_id)
            await asyncio.sleep(60)
            await rig.store.put_secret((await rig.store.pod(pod_id)).tenant_id, "late", b"x")
            controller.nudge("resync")
            await rig.phase(pod_id, Phase.RUNNING)
            assert rig.container(pod_id).workload.env

    live(history)


def test_a_container_that_nothing_can_be_read_from_is_made_anew(live: Any) -> None:
    """The file that its agent merged is looked for there, and is no condition for the next container."""

    async def history(rig: Any) -> None:
        merged = File(path="/data/live.json", parts=("1",), on_change=OnChange.MERGED)
        rig.workload = replace(rig.workload, files=(merged,))
        rig.engine.images.add("big:2")
        lost = TemporaryError("EngineRefused", message="rw layer snapshot not found")
        read = rig.runtime.read

        def is_old() -> bool:
            container = rig.container(pod_id)
            return container is not None and container.workload.image == "fake:1"

        broken = refusing(rig, lambda action: isinstance(action, StartContainer) and is_old(), lost)

        async def reading(name: str, path: str, **limits: Any) -> Any:
            if broken and is_old():
                raise lost
            return await read(name, path, **limits)

        rig.runtime.read = reading
        async with rig.running():
            pod_id = await well(rig)
            broken.append(True)
            _end(rig, pod_id)
            await asyncio.sleep(60)
            await with_image(rig, pod_id, "big:2")
            await rig.until(lambda: rig.container(pod_id) and rig.container(pod_id).workload.image == "big:2")
            await rig.phase(pod_id, Phase.RUNNING)

    live(history)


@pytest.mark.parametrize("hangs", ["at once", "later"])
def test_who_takes_over_beside_a_refused_change_heals_a_hang(live: Any, hangs: str) -> None:
    """The agent that is there is asked as it always was: a new leader needs no answer to know how."""

    async def history(rig: Any) -> None:
        _as_from_a_database(rig)
        refused(rig, NOWHERE)
        changes = rig.changes_of_alerts()
        async with rig.running():
            pod_id = await well(rig)
            await with_image(rig, pod_id, "typo:1")
            await asyncio.sleep(100)
            started = rig.container(pod_id).started_at
        if hangs == "at once":
            rig.health.ill.add(pod_id)
        async with rig.running("two"):
            await asyncio.sleep(60)
            rig.health.ill.add(pod_id)
            await rig.until(lambda: (Raise, "Hung") in changes)
            rig.health.ill.discard(pod_id)
            await rig.until(lambda: rig.container(pod_id).started_at > started)
            await asyncio.sleep(300)
            status = await rig.status(pod_id)
            assert (status.reason, status.ready) == ("ImageNotFound", True)

    live(history)


def test_agents_beside_a_refused_change_boot_one_after_another(live: Any) -> None:
    """A reboot under another leader starts no more of them at once than there are slots, and none is told too early."""

    async def history(rig: Any) -> None:
        _as_from_a_database(rig)
        refused(rig, NOWHERE)
        heavy = replace(rig.workload, boot_cost=30, probe=replace(rig.workload.probe, start_deadline=300))
        async with rig.running():
            tenant, pods = await rig.store.add_tenant("acme"), []
            for number in range(4):
                pods.append(await rig.store.add_pod(tenant, f"p{number}", workload=heavy))
                await rig.phase(pods[-1], Phase.RUNNING)
            await asyncio.sleep(700)
            for pod_id in pods:
                await rig.store.change_pod(pod_id, workload=replace(heavy, image="typo:1"))
            await asyncio.sleep(100)
        for pod_id in pods:
            rig.health.ill.add(pod_id)
            rig.container(pod_id).limits = replace(rig.container(pod_id).limits, restart=False)
        rig.engine.reboot()
        async with rig.running("two", slots=1):
            for _ in range(6):
                await asyncio.sleep(5)
                assert sum(rig.container(pod_id).state is ContainerState.RUNNING for pod_id in pods) <= 1
            assert rig.healed == []
            rig.health.ill.clear()
            await rig.until(lambda: len(rig.healed) == len(pods))

    live(history)


@pytest.mark.parametrize("trouble", ["create refused", "start refused", "leader ends"])
def test_the_next_agent_has_no_failures_however_it_came(live: Any, trouble: str) -> None:
    """Those of the one before are not its own, also where it took more than one try to make it."""

    async def history(rig: Any) -> None:
        dies: list[bool] = []
        ending(rig, 1, dies)
        slow(rig, "-", "fixed:2")
        hit = _hindered_once(rig, "fixed:2", trouble)
        async with rig.running():
            pod_id = await well(rig)
            dies.append(True)
            rig.health.ill.add(pod_id)
            rig.engine.kill(rig.name(pod_id), 1)
            await rig.phase(pod_id, Phase.CRASH_LOOP)
            await with_image(rig, pod_id, "fixed:2")
            await hit.wait()
            if trouble != "leader ends":
                await _is_well_begun(rig, pod_id, "fixed:2")
        if trouble == "leader ends":
            async with rig.running("two"):
                await _is_well_begun(rig, pod_id, "fixed:2")

    live(history)


def _hindered_once(rig: Any, image: str, trouble: str) -> asyncio.Event:
    """Let the first try to make or start a container of an image fail, or take longer than its leader lives."""
    real, hit = rig.runtime.apply, asyncio.Event()

    def is_it(action: Any) -> bool:
        if trouble == "start refused":
            return (
                isinstance(action, StartContainer) and rig.engine.containers[action.container].workload.image == image
            )
        return isinstance(action, CreateContainer) and action.workload.image == image

    async def apply(action: Any, material: Any) -> None:
        if not hit.is_set() and is_it(action):
            hit.set()
            if trouble == "leader ends":
                await asyncio.sleep(1000)
            raise BUSY
        await real(action, material)

    rig.runtime.apply = apply
    return hit


async def _is_well_begun(rig: Any, pod_id: str, image: str) -> None:
    def is_up() -> bool:
        there = rig.container(pod_id)
        return there is not None and there.workload.image == image and there.state is ContainerState.RUNNING

    await rig.until(is_up)
    await asyncio.sleep(2)
    status, record = await rig.status(pod_id), (await rig.store.pod(pod_id)).record
    assert (status.phase, record.failures, record.not_before) == (Phase.STARTING, (), None)
    assert rig.container(pod_id).limits.restart


def test_an_engine_that_comes_and_goes_hides_no_single_pod(live: Any) -> None:
    """A list between two outages is no proof that the pods were missed each by itself."""

    async def history(rig: Any) -> None:
        _, is_away = hiding(rig)
        changes = rig.changes_of_alerts()
        async with rig.running(slots=8) as controller:
            tenant = await rig.store.add_tenant("acme")
            pods = [await rig.store.add_pod(tenant, f"p{number}", workload=rig.workload) for number in range(6)]
            await asyncio.sleep(700)
            for _ in range(6):
                is_away.append(True)
                for key in (*(f"pod:{pod_id}" for pod_id in pods), "resync"):
                    controller.nudge(key)
                await asyncio.sleep(22)
                is_away.clear()
                controller.nudge("resync")
                await asyncio.sleep(4)
            assert (changes, await rig.told("CannotBeSeen")) == ([], 0)

    live(history)


@pytest.mark.parametrize("on_change", [OnChange.LIVE, OnChange.RESTART])
@pytest.mark.parametrize("trouble", ["none", "hang", "exit"])
def test_a_full_disk_keeps_no_agent_down(live: Any, on_change: OnChange, trouble: str) -> None:
    """A file that cannot be written is tried again while the agent goes on with what it has."""

    async def history(rig: Any) -> None:
        full = refusing(rig, lambda action: isinstance(action, WriteFiles), NO_SPACE)
        async with rig.running():
            pod_id = await well(rig)
            full.append(True)
            files = tuple(
                replace(file, parts=("2",)) if file.on_change is on_change else file for file in rig.workload.files
            )
            started = rig.container(pod_id).started_at
            await rig.store.change_pod(pod_id, workload=replace(rig.workload, files=files))
            await asyncio.sleep(60)
            assert rig.container(pod_id).started_at == started
            if trouble == "exit":
                _end(rig, pod_id)
            if trouble == "hang":
                rig.health.ill.add(pod_id)
                await rig.until(lambda: rig.container(pod_id).started_at > started)
                rig.health.ill.discard(pod_id)
            await asyncio.sleep(300)
            begun = rig.container(pod_id).started_at
            await asyncio.sleep(3600)
            status = await rig.status(pod_id)
            assert (status.phase, status.reason, status.ready) == (Phase.DEGRADED, "EngineRefused", True)
            assert rig.container(pod_id).started_at == begun
            full.clear()
            await rig.phase(pod_id, Phase.RUNNING)

    live(history)


def test_a_crash_loop_beside_a_full_disk_has_our_pauses(live: Any) -> None:
    """Who answers an exit is settled before a file is tried that cannot be written."""

    async def history(rig: Any) -> None:
        dies: list[bool] = []
        ending(rig, 1, dies)
        full = refusing(rig, lambda action: isinstance(action, WriteFiles), NO_SPACE)
        async with rig.running():
            pod_id = await well(rig)
            full.append(True)
            await rig.store.change_pod(pod_id, workload=replace(rig.workload, files=with_config(rig.workload, "2")))
            await asyncio.sleep(900)
            dies.append(True)
            starts = rig.container(pod_id).started_at
            rig.engine.kill(rig.name(pod_id), 1)
            await rig.phase(pod_id, Phase.CRASH_LOOP)
            assert not rig.container(pod_id).limits.restart
            assert rig.container(pod_id).started_at > starts

    live(history)


def test_a_mended_file_comes_to_an_agent_that_ends_at_once(live: Any) -> None:
    """One that is dead before it is looked at again has had its turn: the next one is the change's."""

    async def history(rig: Any) -> None:
        full = refusing(rig, lambda action: isinstance(action, WriteFiles), NO_SPACE)
        begin = rig.engine.begin

        def begun(container: Any) -> None:
            begin(container)
            config = rig.engine.look(container, "/data/config.json")
            if config is not None and config.content == b"mended":
                return
            if container.limits.restart:
                asyncio.get_running_loop().call_later(0.1, rig.engine.kill, container.name, 1)
            else:
                rig.engine.end(container, 1)

        async with rig.running():
            pod_id = await well(rig)
            rig.engine.begin = begun
            rig.engine.kill(rig.name(pod_id), 1)
            await rig.phase(pod_id, Phase.CRASH_LOOP)
            full.append(True)
            await rig.store.change_pod(
                pod_id, workload=replace(rig.workload, files=with_config(rig.workload, "mended"))
            )
            await asyncio.sleep(300)
            full.clear()
            await rig.phase(pod_id, Phase.RUNNING)

    live(history)


def test_the_alert_of_a_repair_in_vain_tells_of_the_agent(live: Any) -> None:
    """What is wrong is what it refused, and not that a command of ours failed."""

    async def history(rig: Any) -> None:
        rig.repairs[78] = Repair(reason="ConfigRefused", command=("no-such-command",))
        rig.workload = replace(rig.workload, permanent_exits=(78,))
        raised, save = [], rig.store.save

        async def saving(*args: Any, **given: Any) -> None:
            raised.extend((one.reason, one.params.get("cause")) for one in given.get("alerts", ()))
            await save(*args, **given)

        rig.store.save = saving
        async with rig.running():
            pod_id = await rig.add(workload=rig.workload)
            await rig.phase(pod_id, Phase.RUNNING)
            rig.container(pod_id).end_wanted = True
            rig.engine.kill(rig.name(pod_id), 78)
            await rig.phase(pod_id, Phase.BLOCKED)
            await asyncio.sleep(60)
            assert raised == [("Blocked", "ConfigRefused")]
            assert await rig.told("CommandFailed") == 1

    live(history)


def test_an_exit_beside_a_refused_change_waits_for_its_own_pause(live: Any) -> None:
    """To set who answers an exit is no try of the change, and the change's long pause is not the agent's."""

    async def history(rig: Any) -> None:
        async with rig.running():
            pod_id = await well(rig)
            await rig.store.change_pod(pod_id, workload=replace(rig.workload, env={"TOKEN": SecretRef(key="nope")}))
            await asyncio.sleep(400)
            rig.engine.kill(rig.name(pod_id), 1)
            await asyncio.sleep(5)
            ended = rig.clock.monotonic()
            _end(rig, pod_id)
            await rig.until(lambda: rig.container(pod_id).state is ContainerState.RUNNING)
            assert rig.clock.monotonic() - ended < 15

    live(history)
