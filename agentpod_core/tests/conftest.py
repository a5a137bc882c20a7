"""A whole engine over a world in memory, for the tests of what it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from agentpod_core import Clock, Endpoint, File, OnChange, Port, Probe, ProbeResult, Repair, RouteSpec, Volume, Workload
from agentpod_core.controller import Controller, Pace, Parts
from agentpod_core.embedding import SystemClock
from agentpod_core.plan import Timings
from agentpod_core.testing import FakeLink, FakeRouter, FakeRuntime, FakeStore, VirtualClock, VirtualLoop
from agentpod_core.testing.fake_engine import FakeContainer
from agentpod_core.values.names import container_name
from agentpod_core.values.status import Phase

INSTANCE = "enginetx"
SCALE = 0.01
HURRIED = {"resync": 0.2, "renew": 0.05, "ask": 0.05, "lease": 1.0, "margin": 0.1}
UNSCALED = 1000.0
"""Seconds that a test waits at most for something, as the scale makes them."""
WORKLOAD = Workload(
    image="fake:1",
    files=(
        File(path="/data/live.json", parts=("1",), on_change=OnChange.LIVE),
        File(path="/data/config.json", parts=("1",), on_change=OnChange.RESTART),
    ),
    ports=(Port(name="http", number=8080),),
    volumes=(Volume(name="data", path="/data"),),
    probe=Probe(probe="any", timeout=1, start_deadline=30),
    route=RouteSpec(port="http"),
)


WELL = ProbeResult(alive=True, ready=True, reason="Answering")


class Health:
    """A probe that finds agents as the test has them.

    ``ill`` ones are silent, at ``broken`` ones it fails itself, and of others it says what ``says`` has.
    """

    def __init__(self) -> None:
        self.says: dict[str, ProbeResult] = {}
        self.ill: set[str] = set()
        self.broken: set[str] = set()

    async def check(self, link: Any, settings: dict[str, Any], *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        await asyncio.sleep(0)
        if link.pod_id in self.ill:
            return ProbeResult(alive=False, ready=False, reason="Timeout")
        if link.pod_id in self.broken:
            raise RuntimeError("a mistake in the probe")
        return self.says.get(link.pod_id, WELL)


class Links:
    def link(self, pod, endpoint, container):
        link = FakeLink()
        link.pod_id = pod.id
        return link


class Rig:
    """A world, a store and as many controllers as a test starts; ``workload`` is what a pod gets by default."""

    workload = WORKLOAD

    def __init__(self, clock: Clock | None = None, *, scale: float = SCALE) -> None:
        self.clock = clock or SystemClock()
        self.scale = scale
        self.store = FakeStore(monotonic=self.clock.monotonic)
        self.runtime = FakeRuntime(INSTANCE)
        self.runtime.engine.clock = self.clock
        self.router = FakeRouter()
        self.health = Health()
        self.merged: list[tuple[bytes, bytes]] = []
        self.repairs: dict[int, Repair] = {}
        self.healed: list[tuple[str, Endpoint]] = []
        self.heal_error: Exception | None = None

    @property
    def engine(self):
        return self.runtime.engine

    def controller(self, holder: str = "one", **pace: Any) -> Controller:
        async def merge(_adapter: str, _file: File, current: bytes, wanted: bytes) -> bytes:
            self.merged.append((current, wanted))
            return current + wanted

        async def mend(_adapter: str, code: int) -> Repair | None:
            return self.repairs.get(code)

        async def heal(pod: Any, endpoint: Endpoint, _container: str) -> None:
            self.healed.append((pod.id, endpoint))
            if self.heal_error:
                raise self.heal_error

        parts = Parts(
            instance=INSTANCE,
            store=self.store,
            runtime=self.runtime,
            router=self.router,
            clock=self.clock,
            timings=Timings().scaled(self.scale),
            merge=merge,
            mend=mend,
            heal=heal,
        )
        hurried = {} if self.scale == 1 else HURRIED
        given = {**hurried, "slots": 1, "scale": self.scale, **pace}
        return Controller(parts, holder=holder, probe=lambda _: self.health, links=Links(), pace=Pace(**given))

    @asynccontextmanager
    async def running(self, holder: str = "one", **pace: Any) -> AsyncIterator[Controller]:
        controller = self.controller(holder, **pace)
        task = asyncio.create_task(controller.run())
        try:
            yield controller
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def add(self, tenant: str = "acme", pod: str = "main", workload: Workload = WORKLOAD) -> str:
        tenant_id = await self.store.add_tenant(tenant)
        return await self.store.add_pod(tenant_id, pod, workload=workload)

    async def status(self, pod_id: str):
        pod = await self.store.pod(pod_id)
        return pod.status if pod else None

    def name(self, pod_id: str) -> str:
        return container_name(INSTANCE, pod_id)

    def container(self, pod_id: str) -> FakeContainer | None:
        return self.engine.containers.get(self.name(pod_id))

    async def told(self, reason: str) -> int:
        """Count the events with that reason."""
        return sum(told.happening.reason == reason for told in await self.store.events())

    def changes_of_alerts(self) -> list[tuple[type, str]]:
        """Note from now on what is raised and cleared."""
        changes: list[tuple[type, str]] = []
        save = self.store.save

        async def noting(*args: Any, **given: Any) -> None:
            changes.extend((type(one), one.reason) for one in given.get("alerts", ()))
            await save(*args, **given)

        self.store.save = noting
        return changes

    async def until(self, condition: Callable[[], Any], what: str = "the condition holds") -> Any:
        """Wait until a condition, which may be a coroutine function, gives something."""
        deadline = self.clock.monotonic() + UNSCALED * self.scale
        while self.clock.monotonic() < deadline:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await self.clock.sleep(0.5 * self.scale)
        pytest.fail(f"in time: {what}; events: {[told.happening.reason for told in await self.store.events()]}")
        return None

    async def phase(self, pod_id: str, phase: Phase) -> None:
        async def reached() -> bool:
            status = await self.status(pod_id)
            return status is not None and status.phase is phase and (phase is not Phase.RUNNING or status.ready)

        await self.until(reached, f"{pod_id} is {phase.value}")


@pytest.fixture
def live() -> Callable[[Callable[[Rig], Awaitable[None]]], None]:
    """Live a history in virtual time, with the patience of a real platform: hours take milliseconds."""

    def run(history: Callable[[Rig], Awaitable[None]]) -> None:
        async def begin() -> None:
            await history(Rig(VirtualClock(), scale=1.0))

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(begin())

    return run


@pytest.fixture
def rig() -> Rig:
    """Give a world of its own."""
    return Rig()
