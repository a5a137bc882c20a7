"""The contract of runtimes: subclass ``RuntimeContract``, define its fixtures, and pytest runs it.

Example:
    class TestMyRuntime(RuntimeContract):
        @pytest.fixture
        async def runtime(self):
            ...
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import msgspec
import pytest

from agentpod_core.errors import ConflictError, NotFoundError, PermanentError, TemporaryError
from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.testing.runtime_stage import PATIENCE, SCRIPT, SECRET, SECRET_FILE, Stage, first, until
from agentpod_core.values.actions import (
    Action,
    CreateNetwork,
    CreateVolume,
    ObtainImage,
    ProtectHost,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    StopContainer,
    UpdateLimits,
    WriteFiles,
)
from agentpod_core.values.names import owner_labels
from agentpod_core.values.resources import Resources
from agentpod_core.values.workload import File, Quote
from agentpod_core.values.world import ContainerState, EngineEvent, Limits

MISSING_IMAGE = "agentpod-contract/missing:0"


class Foreign(Protocol):
    """Makes and finds objects that are not ours, behind the runtime's back."""

    async def add(self, kind: str, name: str, *, subnet: str = "") -> None:
        """Add a running ``container``, a ``volume`` or a ``network`` that belongs to nobody or to somebody else."""

    async def exists(self, kind: str, name: str) -> bool:
        """Say whether it is there, and unchanged."""


class Outage(Protocol):
    """Makes the engine unreachable for the runtime, and reachable again."""

    async def begin(self) -> None:
        """Cut every connection and refuse new ones."""

    async def end(self) -> None:
        """Let connections through again."""


class RuntimeContract:
    """What every runtime must do.

    ``runtime`` is open and serves ``instance``; ``image`` is present and holds sh, echo, cat, stat,
    touch, hostname and sleep, but no ``/data``; ``subnet`` is a /26 that nobody uses; ``kill`` ends
    the main process of a container from outside, not by the engine's API.
    """

    restarts_by_itself = True
    """Whether the engine starts a container again that ends while its policy says so."""
    can_be_unreachable = True
    """Whether the fixture ``outage`` can be had."""

    @pytest.fixture
    def runtime(self) -> Runtime:
        """Give an open runtime."""
        pytest.fail("the runtime contract must be given the fixture `runtime`")

    @pytest.fixture
    def instance(self) -> str:
        """Give the instance that ``runtime`` was opened for."""
        pytest.fail("the runtime contract must be given the fixture `instance`")

    @pytest.fixture
    def image(self) -> str:
        """Give a small image that the engine has."""
        pytest.fail("the runtime contract must be given the fixture `image`")

    @pytest.fixture
    def subnet(self) -> str:
        """Give a free /26."""
        pytest.fail("the runtime contract must be given the fixture `subnet`")

    @pytest.fixture
    def foreign(self) -> Foreign:
        """Give hands that are not ours."""
        pytest.fail("the runtime contract must be given the fixture `foreign`")

    @pytest.fixture
    def outage(self) -> Outage:
        """Give power over the engine's connection."""
        pytest.fail("the runtime contract must be given the fixture `outage`, or set `can_be_unreachable = False`")

    @pytest.fixture
    def kill(self) -> Callable[[str], Awaitable[None]]:
        """Give a way to end a container's process."""
        pytest.fail("the runtime contract must be given the fixture `kill`")

    @pytest.fixture
    def stage(self, runtime: Runtime, instance: str, image: str, subnet: str) -> Stage:
        """Give a pod's worth of objects to apply."""
        return Stage(runtime=runtime, instance=instance, image=image, subnet=subnet, pod_id=str(uuid.uuid4()))

    async def test_created_objects_are_observed(self, stage: Stage) -> None:
        """What was created is listed with its labels, and a container is not started by creating it."""
        await stage.create()
        world = await stage.runtime.observe()
        container = next(one for one in world.containers if one.name == stage.container)
        assert stage.labels() == {key: container.labels.get(key) for key in stage.labels()}
        assert container.state is ContainerState.CREATED
        assert container.pod_id == stage.pod_id
        volume = next(one for one in world.volumes if one.name == stage.volume)
        assert stage.volume_labels() == volume.labels
        network = next(one for one in world.networks if one.name == stage.network)
        assert (stage.subnet, "acme") == (network.subnet, network.labels.get("agentpod.tenant"))

    async def test_a_started_container_is_inspected_deeply(self, stage: Stage) -> None:
        """A deep look shows state, address, limits and times; by id as well as by name."""
        container = await stage.start()
        assert container.state is ContainerState.RUNNING
        assert container.deep
        assert (stage.network, stage.address) == (container.network, container.address)
        assert container.exit_code is None
        assert container.started_at is not None
        assert container.started_at.tzinfo is not None
        assert Limits(memory=64 * 1024 * 1024, cpus=500, pids=64, restart=True) == container.limits
        assert container == await stage.runtime.inspect(container.id)

    async def test_what_is_absent_is_none(self, runtime: Runtime) -> None:
        """A container that does not exist is None, and no error."""
        assert await runtime.inspect("agentpod-nobody") is None

    async def test_networks_are_idempotent(self, stage: Stage) -> None:
        """A network made twice is one; one removed twice is gone; another subnet under its name is a conflict."""
        await stage.make_network()
        await stage.make_network()
        seen = [one for one in (await stage.runtime.observe()).networks if one.name == stage.network]
        assert len(seen) == 1
        other = CreateNetwork(
            name=stage.network, tenant="acme", subnet=stage.other_subnet, gateway=stage.other_gateway, reason="test"
        )
        with pytest.raises(ConflictError):
            await stage.runtime.apply(other, {})
        for _ in range(2):
            await stage.runtime.apply(RemoveNetwork(name=stage.network, reason="test"), {})
        assert [one for one in (await stage.runtime.observe()).networks if one.name == stage.network] == []

    async def test_volumes_are_idempotent(self, stage: Stage) -> None:
        """A volume made twice is one; with other labels it is a conflict; removing it twice is fine."""
        await stage.make_volume()
        await stage.make_volume()
        other = CreateVolume(name=stage.volume, labels=owner_labels(stage.instance, pod_id="other"), reason="test")
        with pytest.raises(ConflictError):
            await stage.runtime.apply(other, {})
        for _ in range(2):
            await stage.runtime.apply(RemoveVolume(name=stage.volume, reason="test"), {})
        assert [one for one in (await stage.runtime.observe()).volumes if one.name == stage.volume] == []

    async def test_containers_are_idempotent(self, stage: Stage) -> None:
        """A container made twice from one spec is one; from another spec it is a conflict."""
        await stage.create()
        before = await stage.inspect()
        await stage.create()
        assert before.id == (await stage.inspect()).id
        with pytest.raises(ConflictError):
            await stage.create(spec_hash="another")

    async def test_starting_and_stopping_are_idempotent(self, stage: Stage) -> None:
        """A second start or stop changes nothing; stopping or removing what is absent is fine."""
        before = await stage.start()
        await stage.runtime.apply(StartContainer(container=stage.container, reason="test"), {})
        assert before.started_at == (await stage.inspect()).started_at
        for _ in range(2):
            await stage.stop()
        ended = await stage.inspect()
        assert ended.state is ContainerState.EXITED
        assert ended.exit_code is not None
        assert ended.finished_at is not None
        for _ in range(2):
            await stage.runtime.apply(RemoveContainer(container=stage.container, reason="test"), {})
        await stage.stop()
        assert await stage.runtime.inspect(stage.container) is None
        with pytest.raises(NotFoundError):
            await stage.runtime.apply(StartContainer(container=stage.container, reason="test"), {})

    async def test_files_are_in_place_before_the_start(self, stage: Stage) -> None:
        """The first thing that the program reads is what was written, with its owner and mode."""
        file = File(path="/data/deep/er/greeting", parts=("hello\n",), mode=0o640)
        secret = File(path=SECRET_FILE, parts=("token=", SECRET, "\n"), quote=Quote.JSON)
        script = f"cat /data/deep/er/greeting; cat {SECRET_FILE}; {SCRIPT}"
        await stage.start(files=(file, secret), command=("sh", "-c", script))
        assert await first(stage.runtime.logs(stage.container, follow=True), 2) == [b"hello", b'token="s\\"3cret"']
        assert await stage.run("stat", "-c", "%a %u %g", file.path) == b"640 1000 1000\n"
        assert await stage.run("stat", "-c", "%a %u %g", SECRET_FILE) == b"400 1000 1000\n"

    async def test_the_agent_owns_its_volumes(self, stage: Stage) -> None:
        """The agent's user can write into a volume's root and into directories that were made for files."""
        await stage.start(files=(File(path="/data/deep/er/greeting", parts=("hello",)),))
        for path in ("/data/new", "/data/deep/new", "/data/deep/er/new", "/plain/new"):
            assert await stage.run("touch", path) == b""

    async def test_seeds_are_written_once(self, stage: Stage) -> None:
        """A ``once`` file is left alone where the agent has one; any other is written anew, also while it runs."""
        seed, file = "/data/memory/seed", "/data/config"
        await stage.start(files=(File(path=seed, parts=("1",), once=True), File(path=file, parts=("1",))))
        again = (
            File(path=seed, parts=("2",), once=True),
            File(path=file, parts=("2",)),
            File(path="/data/memory/other", parts=("2",), once=True),
        )
        for _ in range(2):
            await stage.write(again)
        contents = [await stage.read(path) for path in (seed, file, "/data/memory/other")]
        assert contents == [b"1", b"2", b"2"]

    async def test_files_outside_volumes_are_refused(self, stage: Stage) -> None:
        """A file that lies in no volume is refused, by name."""
        await stage.create()
        with pytest.raises(PermanentError) as caught:
            await stage.write((File(path="/etc/motd", parts=("no",)),))
        assert caught.value.reason == "FileOutsideVolumes"

    async def test_a_missing_secret_is_refused(self, stage: Stage) -> None:
        """A secret without a value stops the action; nothing is written in its place."""
        await stage.create()
        write = WriteFiles(
            container=stage.container,
            files=(File(path=SECRET_FILE, parts=(SECRET,)),),
            uid=1000,
            gid=1000,
            reason="test",
        )
        with pytest.raises(PermanentError) as caught:
            await stage.runtime.apply(write, {})
        assert caught.value.reason == "SecretMissing"
        assert await stage.read(SECRET_FILE) is None

    async def test_secrets_reach_the_environment(self, stage: Stage) -> None:
        """An environment variable that is a secret has the secret's value in the container."""
        await stage.start(env={"TOKEN": SECRET, "PLAIN": "p"}, command=("sh", "-c", f"echo $PLAIN $TOKEN; {SCRIPT}"))
        assert await first(stage.runtime.logs(stage.container, follow=True), 1) == [b'p s"3cret']

    async def test_foreign_objects_are_neither_seen_nor_touched(self, stage: Stage, foreign: Foreign) -> None:
        """What lacks our instance's label is never listed; removing or stopping it does nothing."""
        name = f"foreign-{stage.pod_id}"
        await foreign.add("container", name)
        await foreign.add("volume", name)
        await foreign.add("network", name, subnet=stage.subnet)
        world = await stage.runtime.observe()
        assert name not in {one.name for one in world.containers}
        assert name not in {one.name for one in world.volumes}
        assert name not in {one.name for one in world.networks}
        assert await stage.runtime.inspect(name) is None
        harmless: tuple[Action, ...] = (
            StopContainer(container=name, timeout=0, reason="test"),
            RemoveContainer(container=name, reason="test"),
            RemoveVolume(name=name, reason="test"),
            RemoveNetwork(name=name, reason="test"),
        )
        for action in harmless:
            await stage.runtime.apply(action, {})
        refused: tuple[Action, ...] = (
            StartContainer(container=name, reason="test"),
            UpdateLimits(container=name, limits=Limits(memory=32 * 1024 * 1024), reason="test"),
        )
        for action in refused:
            with pytest.raises(NotFoundError):
                await stage.runtime.apply(action, {})
        with pytest.raises(NotFoundError):
            await stage.runtime.exec(name, ("echo",), timeout=5, limit=10)
        for kind in ("container", "volume", "network"):
            assert await foreign.exists(kind, name), kind

    async def test_a_foreign_name_is_a_conflict(self, stage: Stage, foreign: Foreign) -> None:
        """A container or volume of somebody else under our name is a conflict, and stays as it is."""
        await foreign.add("volume", stage.volume)
        with pytest.raises(ConflictError):
            await stage.make_volume()
        await foreign.add("container", stage.container)
        await stage.make_network()
        with pytest.raises(ConflictError):
            await stage.runtime.apply(stage.creation(volumes=()), {})
        assert await foreign.exists("container", stage.container)

    async def test_a_taken_subnet_is_a_conflict(self, stage: Stage, foreign: Foreign) -> None:
        """A network over a subnet that somebody else uses is refused as ``SubnetTaken``."""
        await foreign.add("network", f"foreign-{stage.pod_id}", subnet=stage.subnet)
        with pytest.raises(ConflictError) as caught:
            await stage.make_network()
        assert caught.value.reason == "SubnetTaken"

    async def test_a_taken_address_is_a_conflict(self, stage: Stage) -> None:
        """A second container with the address of a running one does not start."""
        await stage.start()
        second = msgspec.structs.replace(stage, pod_id=str(uuid.uuid4()))
        with pytest.raises(ConflictError):
            await second.start()

    async def test_data_address_and_name_survive(self, stage: Stage) -> None:
        """Volume data, fixed address and hostname outlive a stop and a new container."""
        await stage.start()
        await stage.run("touch", "/data/kept")
        await stage.stop()
        for again in ("restarted", "recreated"):
            if again == "recreated":
                await stage.runtime.apply(RemoveContainer(container=stage.container, reason="test"), {})
            container = await stage.start()
            assert await stage.read("/data/kept") == b"", again
            assert stage.address == container.address, again
            assert await stage.run("hostname") == b"support-acme\n", again

    async def test_limits_change_in_place(self, stage: Stage) -> None:
        """Limits and restart policy of a running container change without a new container, and can be lifted."""
        before = await stage.start()
        for limits in (
            Limits(memory=96 * 1024 * 1024, cpus=250, pids=99, restart=False),
            Limits(memory=48 * 1024 * 1024, cpus=64_000, pids=50, restart=True),
            Limits(memory=None, cpus=None, pids=None, restart=True),
            Limits(memory=64 * 1024 * 1024, cpus=500, pids=64, restart=True),
        ):
            for _ in range(2):
                await stage.runtime.apply(UpdateLimits(container=stage.container, limits=limits, reason="test"), {})
            after = await stage.inspect()
            assert limits == after.limits
            assert (before.id, before.started_at) == (after.id, after.started_at)

    async def test_more_processors_than_there_are(self, stage: Stage) -> None:
        """A limit above what the machine has is none, and no reason to refuse a container or to see drift."""
        container = await stage.start(resources=Resources(cpus=512_000, pids=None))
        assert Limits(memory=None, cpus=512_000, pids=None, restart=True) == container.limits

    async def test_events_name_the_pod(
        self, stage: Stage, runtime: Runtime, kill: Callable[[str], Awaitable[None]]
    ) -> None:
        """The watch begins with ``resync``, then tells of starts and ends with the pod's id and tenant."""
        await stage.create()
        async with _watching(runtime) as events:
            await stage.start()
            start = await until(events, lambda event: event.kind == "start")
            await kill(stage.container)
            die = await until(events, lambda event: event.kind == "die")
        for event in (start, die):
            assert (stage.pod_id, "acme") == (event.pod_id, event.tenant)
            assert event.at is not None

    async def test_the_watch_survives_an_outage(self, stage: Stage, runtime: Runtime, outage: Outage) -> None:
        """After a lost connection the watch says ``resync`` and goes on."""
        await stage.create()
        async with _watching(runtime) as events:
            await outage.begin()
            await outage.end()
            await until(events, lambda event: event.kind == "resync")
            await stage.start()
            await until(events, lambda event: event.kind == "start" and event.pod_id == stage.pod_id)

    async def test_an_unreachable_engine_is_temporary(self, stage: Stage, outage: Outage) -> None:
        """Without an engine every call is ``EngineUnreachable``, and nothing looks absent."""
        await stage.create()
        runtime = stage.runtime
        await outage.begin()
        calls: list[Callable[[], Awaitable[Any]]] = [
            runtime.observe,
            runtime.images,
            lambda: runtime.inspect(stage.container),
            lambda: runtime.has_image(stage.image),
            lambda: runtime.apply(StartContainer(container=stage.container, reason="test"), {}),
            lambda: runtime.apply(RemoveVolume(name=stage.volume, reason="test"), {}),
            lambda: runtime.stats(stage.container),
            lambda: runtime.exec(stage.container, ("echo",), timeout=5, limit=10),
            lambda: runtime.read(stage.container, "/data/x", limit=10),
            lambda: first(runtime.logs(stage.container), 1),
        ]
        for call in calls:
            with pytest.raises(TemporaryError) as caught:
                await call()
            assert caught.value.reason == "EngineUnreachable"
        await outage.end()
        assert stage.container in {one.name for one in (await runtime.observe()).containers}

    async def test_logs_are_lines(self, stage: Stage) -> None:
        """Output comes in lines, the last of them on request, and following ends with the container."""
        await stage.start(command=("sh", "-c", f"echo one; echo two; echo three; {SCRIPT}"))
        runtime = stage.runtime
        assert await first(runtime.logs(stage.container, follow=True), 3) == [b"one", b"two", b"three"]
        assert [line async for line in runtime.logs(stage.container, tail=2)] == [b"two", b"three"]
        followed = asyncio.create_task(first(runtime.logs(stage.container, tail=1, follow=True), 99))
        await stage.stop()
        async with asyncio.timeout(PATIENCE):
            assert await followed == [b"three"]
        with pytest.raises(NotFoundError):
            await first(runtime.logs("agentpod-nobody"), 1)

    async def test_commands_give_their_code_and_output(self, stage: Stage) -> None:
        """A command's exit code and outputs come back; output is cut at the limit."""
        await stage.start()
        runtime = stage.runtime
        result = await runtime.exec(stage.container, ("sh", "-c", "echo hello; exit 3"), timeout=10, limit=100)
        assert (result.code, result.stdout, result.stderr) == (3, b"hello\n", b"")
        result = await runtime.exec(stage.container, ("sh", "-c", "cat /nope"), timeout=10, limit=100)
        assert result.code != 0
        assert b"/nope" in result.stderr
        result = await runtime.exec(stage.container, ("echo", "0123456789"), timeout=10, limit=4)
        assert (result.code, result.stdout) == (0, b"0123")

    async def test_commands_end_in_time(self, stage: Stage) -> None:
        """A command that takes too long is given up as ``Timeout``."""
        await stage.start()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(TemporaryError) as caught:
                await stage.runtime.exec(stage.container, ("sleep", "300"), timeout=0.3, limit=100)
        assert caught.value.reason == "Timeout"

    async def test_commands_need_a_running_container(self, stage: Stage) -> None:
        """A command in a container that does not run is a temporary error, and no answer."""
        await stage.create()
        with pytest.raises(TemporaryError):
            await stage.runtime.exec(stage.container, ("echo",), timeout=5, limit=10)

    async def test_files_are_read(self, stage: Stage) -> None:
        """A file is read from a running and from a stopped container; None where there is none."""
        await stage.start(files=(File(path="/data/deep/file", parts=("hello",)),))
        for _ in range(2):
            assert await stage.read("/data/deep/file") == b"hello"
            assert await stage.read("/data/nope") is None
            with pytest.raises(PermanentError) as caught:
                await stage.runtime.read(stage.container, "/data/deep/file", limit=4)
            assert caught.value.reason == "FileTooLarge"
            await stage.stop()

    async def test_usage_is_measured_while_it_runs(self, stage: Stage) -> None:
        """A running container's use is measured with its limit; of one that does not run there is none."""
        await stage.create()
        assert await stage.runtime.stats(stage.container) is None
        await stage.start()
        usage = await stage.runtime.stats(stage.container)
        assert usage is not None
        assert usage.memory > 0
        assert usage.limit == 64 * 1024 * 1024
        assert usage.cpu >= 0

    async def test_a_missing_image_is_permanent(self, stage: Stage) -> None:
        """An image that cannot be had is ``ImageNotFound``, when it is asked for and when it is used."""
        runtime = stage.runtime
        assert await runtime.has_image(stage.image)
        await runtime.apply(ObtainImage(image=stage.image, reason="test"), {})
        assert not await runtime.has_image(MISSING_IMAGE)
        await stage.make_network()
        await stage.make_volume()
        actions: tuple[Action, ...] = (
            ObtainImage(image=MISSING_IMAGE, reason="test"),
            msgspec.structs.replace(stage, image=MISSING_IMAGE).creation(),
        )
        for action in actions:
            with pytest.raises(PermanentError) as caught:
                await runtime.apply(action, {})
            assert (caught.value.reason, caught.value.params["image"]) == ("ImageNotFound", MISSING_IMAGE)

    async def test_the_engine_restarts_by_policy_only(
        self, stage: Stage, kill: Callable[[str], Awaitable[None]]
    ) -> None:
        """A container that ends is started by the engine while its policy is on, and stays down while it is off."""
        if not self.restarts_by_itself:
            pytest.skip("this runtime's engine has no restart policy")
        before = await stage.start()
        await kill(stage.container)
        after = await stage.when(lambda seen: seen.started_at != before.started_at and seen.exit_code is None)
        assert (before.id, ContainerState.RUNNING, 1) == (after.id, after.state, after.restarts)
        limits = Limits(memory=64 * 1024 * 1024, cpus=500, pids=64, restart=False)
        await stage.runtime.apply(UpdateLimits(container=stage.container, limits=limits, reason="test"), {})
        await kill(stage.container)
        after = await stage.when(lambda seen: seen.state is ContainerState.EXITED)
        assert after.exit_code == 137
        assert not after.oom_killed

    async def test_protecting_the_host_is_no_failure(self, runtime: Runtime) -> None:
        """Protecting twice is protecting once; where it cannot be had the world says why."""
        for _ in range(2):
            await runtime.apply(ProtectHost(ports=(80, 443), reason="test"), {})
        protection = (await runtime.observe()).protection
        assert protection.active or protection.reason


class _watching:  # noqa: N801 - reads as a verb where it is used
    """Follows the events until the block ends; the first, ``resync``, has been seen when it begins."""

    def __init__(self, runtime: Runtime) -> None:
        self._events = runtime.watch()

    async def __aenter__(self) -> AsyncIterator[EngineEvent]:
        async with asyncio.timeout(PATIENCE):
            assert (await anext(self._events)).kind == "resync"
        return self._events

    async def __aexit__(self, *error: object) -> None:
        await self._events.aclose()  # type: ignore[attr-defined]
