"""Facts of the runtime contract about running containers: their life, limits, output and events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from agentpod_core.errors import NotFoundError, TemporaryError
from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.testing.offers import ImpureContract
from agentpod_core.testing.parts import needs
from agentpod_core.testing.runtime_hands import Outage
from agentpod_core.testing.runtime_stage import PATIENCE, SCRIPT, Stage, first, until
from agentpod_core.values.actions import (
    ProtectHost,
    RemoveContainer,
    RemoveVolume,
    StartContainer,
    UpdateLimits,
)
from agentpod_core.values.resources import Resources
from agentpod_core.values.workload import File
from agentpod_core.values.world import ContainerState, EngineEvent, Limits

COMMAND_SECONDS = 0.3
"""How long a command may take that would take much longer."""


class LifeFacts(ImpureContract):
    """Starts, ends, restarts, limits, commands, logs, events and outages."""

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
        """The watch begins with ``resync``, then tells of starts and ends with the pod's id, tenant and container."""
        await stage.create()
        async with _watching(runtime) as events:
            await stage.start()
            start = await until(events, lambda event: event.kind == "start")
            await kill(stage.container)
            die = await until(events, lambda event: event.kind == "die")
        for event in (start, die):
            assert (stage.pod_id, "acme", stage.container) == (event.pod_id, event.tenant, event.name)
            assert event.at is not None

    @needs("can_be_unreachable")
    async def test_the_watch_survives_an_outage(self, stage: Stage, runtime: Runtime, outage: Outage) -> None:
        """After a lost connection the watch says ``resync`` and since when it was deaf, and goes on."""
        await stage.create()
        async with _watching(runtime) as events:
            await outage.begin()
            await outage.end()
            back = await until(events, lambda event: event.kind == "resync")
            assert back.at is not None
            assert back.since is not None
            assert back.since <= back.at
            await stage.start()
            await until(events, lambda event: event.kind == "start" and event.pod_id == stage.pod_id)

    @needs("can_be_unreachable")
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
                await stage.runtime.exec(stage.container, ("sleep", "300"), timeout=COMMAND_SECONDS, limit=100)
        assert caught.value.reason == "Timeout"

    async def test_commands_need_a_running_container(self, stage: Stage) -> None:
        """A command in a container that does not run is a temporary error, and no answer."""
        await stage.create()
        with pytest.raises(TemporaryError):
            await stage.runtime.exec(stage.container, ("echo",), timeout=5, limit=10)

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

    async def test_folders_are_absolute(self, stage: Stage) -> None:
        """What the engine keeps its data in is named so that anybody finds it."""
        found = await stage.runtime.folders()

        assert [path for path in found if not path.startswith("/")] == []

    async def test_storage_is_measured_by_pod(self, stage: Stage) -> None:
        """What is written into a pod's volumes is counted for that pod; where it is not known, nothing is said."""
        await stage.start(files=(File(path="/data/large", parts=("x" * 200_000,)),))
        found = await stage.runtime.storage()
        for pod_id in found:
            assert (await stage.runtime.observe_pod(pod_id)).volumes
        assert 200_000 <= found.get(stage.pod_id, 200_000) < 10_000_000

    @needs("restarts_by_itself")
    async def test_the_engine_restarts_by_policy_only(
        self, stage: Stage, kill: Callable[[str], Awaitable[None]]
    ) -> None:
        """A container that ends is started by the engine while its policy is on, and stays down while it is off."""
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
