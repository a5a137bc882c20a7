"""A whole controller over a world in memory: what it costs by itself, without an engine, a database or agents.

Run as a program of its own (``python -m stage.simulated PODS``), so that no other world of the bench is in the way
of its garbage collector. It says a line when its pods are as they should be, and from then on answers every line that
it reads with the seconds of processor time that one resync took.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import islice
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import msgspec

from agentpod_core import CreateNetwork, ProbeResult, SecretRef, StartContainer, Workload
from agentpod_core.desired import desire
from agentpod_core.embedding import (
    RESYNC,
    Controller,
    Lease,
    Pace,
    Parts,
    PodInput,
    PodSpec,
    Silence,
    SystemClock,
    TenantInput,
)
from agentpod_core.embedding.memory import Memory
from agentpod_core.observed import Observed
from agentpod_core.plan import plan
from agentpod_core.testing import FakeLink, FakeRuntime
from agentpod_core.testing.fake_changes import Changes
from agentpod_core.values.names import network_name
from agentpod_echo import EchoAdapter
from agentpod_server import garbage
from stage.twin import workload

INSTANCE = "simulate"
PODS_OF_TENANT = 50
NEVER = 1e9
QUIET = 0.2
LARGE_PAGES = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""A world of hundreds of megabytes in pages of 4 KiB measures how the processor finds its pages."""
_TENANTS_RANGE = "10.0.0.0/8"


@dataclass(frozen=True)
class World:
    """Tenants with their pods, as the store gives them."""

    tenants: list[TenantInput]
    pods: list[PodInput]


def world(count: int) -> World:
    """Make so many echo pods that nobody has looked at yet."""
    pattern = msgspec.json.encode(workload(EchoAdapter(), {}))
    tenants, pods = [], []
    subnets = IPv4Network(_TENANTS_RANGE).subnets(new_prefix=26)
    for number, subnet in enumerate(islice(subnets, -(-count // PODS_OF_TENANT))):
        slug, addresses = f"t{number}", [str(one) for one in subnet][4:]
        lease = Lease(number=number, subnet=str(subnet), gateway=str(subnet[1]))
        ids = [_id(number, one) for one in range(min(PODS_OF_TENANT, count - len(pods)))]
        tenants.append(TenantInput(id=_id(number, 999), slug=slug, lease=lease, pods=tuple(ids)))
        for pod_id, address in zip(ids, addresses, strict=False):
            name = f"p{len(pods)}"
            pods.append(
                PodInput(
                    id=pod_id,
                    name=name,
                    tenant_id=tenants[-1].id,
                    tenant=slug,
                    generation=1,
                    spec=PodSpec(adapter="echo", config={}, subdomain=f"{name}-{slug}"),
                    # Each has its own, as from a database.
                    workload=msgspec.json.decode(pattern, type=Workload),
                    lease=lease,
                    address=address,
                    hosts=(f"{name}-{slug}.localhost",),
                )
            )
    return World(tenants, pods)


class Filled(Memory):
    """A store that knows a world from the start."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._pods = {pod.id: pod for pod in world.pods}
        self._tenants = {tenant.id: tenant for tenant in world.tenants}

    async def secret(self, tenant_id: str, ref: SecretRef) -> str:
        """Give every secret."""
        return f"{tenant_id}-{ref.key}"


def runtime(world: World) -> FakeRuntime:
    """Make an engine on which a world's pods run already, each made as the plan wants it made."""
    made = FakeRuntime(INSTANCE)
    made.engine.clock = clock = SystemClock()
    changes = Changes(made.engine, INSTANCE)
    for tenant in world.tenants:
        name, lease = network_name(INSTANCE, tenant.lease.number), tenant.lease
        changes.make(
            CreateNetwork(name=name, tenant=tenant.slug, subnet=lease.subnet, gateway=lease.gateway, reason=""), {}
        )
    for pod in world.pods:
        desired = desire(INSTANCE, pod)
        made.engine.images.add(desired.workload.image)
        secrets = {part: "x" for file in pod.workload.files for part in file.parts if isinstance(part, SecretRef)}
        for action in plan(desired, Observed(), pod.record, clock.now(), before=pod.status).actions:
            if isinstance(action, StartContainer):
                # Not by the same way: who starts looks whether anybody else has the address, which is for a test.
                made.engine.begin(made.engine.containers[action.container])
            else:
                changes.make(action, secrets)
    return made


class Well:
    """A probe that finds every agent well."""

    async def check(self, link: Any, settings: dict[str, Any], *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        """Answer at once."""
        del link, settings, timeout
        return ProbeResult(alive=True, ready=True, reason="Answering")


class Links:
    """Lines to nobody."""

    def link(self, pod: PodInput, endpoint: Any, container: str) -> FakeLink:
        """Give one."""
        del pod, endpoint, container
        return FakeLink()


class Passes(Silence):
    """Counts passes by kind of key, and keeps what processor time the program had taken when the last one ended."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.spent = 0.0
        self.failed: list[str] = []
        self._news = asyncio.Event()

    def reconciled(self, key: str, seconds: float, outcome: str) -> None:
        """Count one."""
        del seconds
        self.counts[key.partition(":")[0]] += 1
        self.spent = time.process_time()
        if outcome != "ok":
            self.failed.append(key)
        self._news.set()

    async def another(self, *, within: float | None = None) -> bool:
        """Wait for one more; False where none came in so many seconds."""
        self._news.clear()
        try:
            async with asyncio.timeout(within):
                return await self._news.wait()
        except TimeoutError:
            return False


class Simulation:
    """A controller that leads, over pods that are all as they should be."""

    def __init__(self, controller: Controller, passes: Passes) -> None:
        self._controller = controller
        self._passes = passes

    async def resync(self) -> float:
        """Look at everything, and deeply at what that asks for; gives the seconds of processor time that took.

        Nothing else goes on meanwhile, and nobody is waited for: what the program takes is what that takes.
        """
        done, begun = self._passes.counts[RESYNC], time.process_time()
        self._controller.nudge(RESYNC)
        while self._passes.counts[RESYNC] == done:
            await self._passes.another()
        await self.quiet()
        return self._passes.spent - begun

    async def quiet(self) -> None:
        """Wait until nothing is due any more.

        Raises:
            RuntimeError: a pass failed.
        """
        while await self._passes.another(within=QUIET) or self._controller.depth:
            pass
        if self._passes.failed:
            raise RuntimeError(f"passes failed: {self._passes.failed[:3]}")


@asynccontextmanager
async def simulation(count: int) -> AsyncIterator[Simulation]:
    """Run a controller over so many pods."""
    there = world(count)
    passes, engine = Passes(), runtime(there)
    parts = Parts(instance=INSTANCE, store=Filled(there), runtime=engine, clock=SystemClock(), telemetry=passes)
    # Nothing comes by itself: one resync is asked for at a time, and agents are asked once.
    pace = Pace(resync=NEVER, lease=NEVER, scale=NEVER, slots=2)
    controller = Controller(parts, holder="bench", probe=lambda _: Well(), links=Links(), pace=pace)
    # What the world is made of lies in a database and on an engine elsewhere; what the controller keeps of it does not.
    garbage.settle()
    async with controller.running():
        running = Simulation(controller, passes)
        while passes.counts["pod"] < count:
            await passes.another()
        await running.quiet()
        engine.engine.applied.clear()
        await running.resync()
        if engine.engine.applied:
            raise RuntimeError(f"there was something to do: {engine.engine.applied[0]}")
        yield running


class Elsewhere:
    """A simulation in a process of its own."""

    def __init__(self, count: int) -> None:
        argv = [sys.executable, "-m", "stage.simulated", str(count)]
        folder, env = Path(__file__).parents[1], os.environ | LARGE_PAGES
        self._process = Popen(argv, cwd=folder, env=env, stdin=PIPE, stdout=PIPE, text=True)

    def begin(self) -> None:
        """Wait until its pods are as they should be."""
        self._line()

    def resync(self) -> float:
        """Give the seconds that one resync takes."""
        assert self._process.stdin is not None
        self._process.stdin.write("resync\n")
        self._process.stdin.flush()
        return float(self._line())

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return line
        raise RuntimeError(f"the simulation ended with {self._process.wait()}")


def _id(tenant: int, number: int) -> str:
    return f"00000000-0000-7000-8000-{tenant:08d}{number:04d}"


async def _main(count: int) -> None:
    async with simulation(count) as running:
        print("ready", flush=True)
        for _ in _lines():
            print(await running.resync(), flush=True)


def _lines() -> Iterator[str]:
    while line := sys.stdin.readline():
        yield line


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
