"""One server's process in a simulated world: a controller that can die, freeze or be cut off at any of its calls.

Everything that a controller does goes through here. Before and after each change that it makes to the engine, the
store or the routes lies a *boundary*; they are counted, and a process can die at any of them. To die between two
looks leaves the world as the boundary before them does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from agentpod_core import Daemon, Entrypoints, ProbeResult, TemporaryError
from agentpod_core.controller import Controller, Pace, Parts
from agentpod_core.testing import FakeLink, FakeRouter, VirtualClock
from agentpod_core.values.actions import RemoveVolume, WriteFiles

WRITES = frozenset({"save", "forget_pod", "forget_tenant", "report"})
UPKEEP = frozenset({"lead", "step_down", "sampled"})
"""What a server writes as long as it lives, whether or not anything happens."""
SILENCE = 10.0
"""Seconds until a connection that is cut says so."""


class Process:
    """Where one controller runs, from its start to its death.

    ``answers`` counts the answers of the store to a ``write`` and to ``upkeep``; those that are numbered in ``loses``
    are lost on their way, and counted in ``lost``.
    """

    def __init__(self, world: Any, holder: str) -> None:
        self.world = world
        self.holder = holder
        self.boundaries = 0
        self.dies_at: int | None = None
        self.dying: Callable[[], object] = lambda: None
        self.answers: Counter[str] = Counter()
        self.loses: dict[str, range] = {}
        self.lost = 0
        self.is_dead = False
        self.task: asyncio.Task[None] | None = None
        self._goes, self._reaches = asyncio.Event(), asyncio.Event()
        self._goes.set()
        self._reaches.set()

    def start(self, pace: Pace, **parts: Any) -> None:
        """Begin to lead or to stand by."""
        made = Parts(
            store=Store(self), runtime=Runtime(self), router=Router(self), clock=Clock(self), heal=self.heal, **parts
        )
        controller = Controller(made, holder=self.holder, probe=lambda _: Health(self), links=Links(), pace=pace)
        self.task = asyncio.create_task(controller.run(), name=self.holder)

    async def turn(self) -> None:
        """Go on, unless frozen or dead."""
        while not self._goes.is_set():
            await self._goes.wait()
        if self.is_dead:
            raise asyncio.CancelledError

    async def boundary(self) -> None:
        """Pass from one step to the next, or die in between."""
        await self.turn()
        self.boundaries += 1
        if self.boundaries == self.dies_at:
            self.die()
            raise asyncio.CancelledError

    async def reach_store(self) -> None:
        """Get through to the store; a line that is cut says nothing for long, and then that it is."""
        await self.turn()
        if not self._reaches.is_set():
            try:
                async with asyncio.timeout(SILENCE):
                    await self._reaches.wait()
            except TimeoutError:
                raise TemporaryError("StoreUnreachable") from None
            await self.turn()

    async def change(self, what: object) -> None:
        """Pass into a step that changes the world: only who leads may be here."""
        await self.boundary()
        self.world.ledger.touches(self.holder, what)

    async def heal(self, pod: Any, _endpoint: Any, _container: str) -> None:
        """Tell an agent that it was healed."""
        await self.change("tell that it is healed")
        self.world.ledger.tells(pod.id)
        await self.boundary()

    def answered(self, kind: str) -> None:
        """Have an answer from the store, unless that is lost."""
        self.answers[kind] += 1
        if self.answers[kind] in self.loses.get(kind, ()):
            self.lost += 1
            raise TemporaryError("StoreUnreachable")

    def die(self) -> None:
        """End at once: nothing more of this process reaches the world, but what it has sent already."""
        if not self.is_dead:
            self.is_dead = True
            self.dying()
            self._goes.set()
            self._reaches.set()
            if self.task:
                asyncio.get_running_loop().call_soon(self.task.cancel)

    def freeze(self, seconds: float) -> None:
        """Stand still."""
        self._for(self._goes, seconds)

    def cut(self, seconds: float) -> None:
        """Lose the line to the store."""
        self._for(self._reaches, seconds)

    def _for(self, gate: asyncio.Event, seconds: float) -> None:
        gate.clear()
        asyncio.get_running_loop().call_later(seconds, gate.set)


class Clock(VirtualClock):
    """The world's time, as a process asks for it: who is frozen wakes late."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    def now(self) -> Any:
        """Give the moment that the machine's wall clock shows."""
        return self._process.world.engine.clock.now()

    async def sleep(self, seconds: float) -> None:
        """Return once the time is that far on, and the process goes."""
        await asyncio.sleep(seconds)
        await self._process.turn()


class Store:
    """The store as one process reaches it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            process = self._process
            if name in WRITES:
                await process.boundary()
            await process.reach_store()
            answer = await getattr(process.world.store, name)(*args, **kwargs)
            if name in WRITES:
                process.world.ledger.wrote(process.holder, name, args, kwargs)
                process.answered("write")
                await process.boundary()
            elif name in UPKEEP:
                process.answered("upkeep")
            await process.turn()
            return answer

        return call

    async def changes(self) -> AsyncIterator[str]:
        """Follow what is told."""
        async with contextlib.aclosing(self._process.world.store.changes()) as keys:
            async for key in keys:
                await self._process.turn()
                yield key


class Runtime:
    """The runtime as one process reaches it: what was sent is done, whether or not anybody waits for the answer.

    Files are written one by one, each a step of its own.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.name = process.world.runtime.name

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._process.turn()
            answer = await getattr(self._process.world.runtime, name)(*args, **kwargs)
            await self._process.turn()
            return answer

        return call

    async def apply(self, action: Any, material: Any) -> None:
        """Send a change to the engine, and wait for its answer."""
        process, world = self._process, self._process.world
        if isinstance(action, RemoveVolume):
            await self._judge(action)
        parts = [action]
        if isinstance(action, WriteFiles):
            parts = [msgspec.structs.replace(action, files=(file,)) for file in action.files]
        for part in parts:
            await process.change(part)
            if world.slowness:
                await asyncio.sleep(world.slowness)
                await process.change("the rest of it")
            sent = asyncio.create_task(world.change(part, material))
            await asyncio.shield(sent)
        await process.boundary()

    async def watch(self) -> AsyncIterator[Any]:
        """Follow what happens."""
        async with contextlib.aclosing(self._process.world.runtime.watch()) as events:
            async for event in events:
                await self._process.turn()
                yield event

    async def _judge(self, action: RemoveVolume) -> None:
        world = self._process.world
        volume = world.engine.volumes.get(action.name)
        pod = world.pods.get(volume.labels.get("agentpod.pod-id", "")) if volume else None
        if pod and (not pod.is_deleted or pod.keeps_data):
            world.engine.wrongs.append(f"the volume {action.name} of a pod that lives was removed")


class Router(FakeRouter):
    """The router as one process reaches it, over the world's own board."""

    def __init__(self, process: Process) -> None:
        super().__init__(process.world.board)
        self._process = process

    async def apply(self, routes: Any) -> bool:
        """Set the routes."""
        await self._process.change("routes")
        done = await super().apply(routes)
        await self._process.boundary()
        return done

    def entrypoints(self) -> Entrypoints:
        """Give where it listens."""
        return Entrypoints(http=80)

    def daemon(self) -> Daemon | None:
        """Have no process of its own."""
        return None


class Links:
    """Lines to agents that say which agent they lead to."""

    def link(self, pod: Any, endpoint: Any, container: str) -> FakeLink:
        """Give a line to that container."""
        del endpoint
        link = FakeLink()
        link.pod_id, link.container = pod.id, container  # type: ignore[attr-defined]
        return link


class Health:
    """A probe that finds agents as the world has them."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def check(self, link: Any, settings: dict[str, Any], *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        """Ask."""
        del settings
        world = self._process.world
        await asyncio.sleep(0.01)
        await self._process.turn()
        match world.answer(link.pod_id, link.container):
            case "ready":
                return ProbeResult(alive=True, ready=True, reason="Answering")
            case "slow":
                await asyncio.sleep(timeout * 0.9)
                return ProbeResult(alive=True, ready=True, reason="Answering")
            case "ill":
                return ProbeResult(alive=True, ready=False, reason="NotReady")
            case "silent":
                await asyncio.sleep(timeout)
                return ProbeResult(alive=False, ready=False, reason="Timeout")
            case "broken":
                msg = "a mistake in the probe"
                raise RuntimeError(msg)
            case _:
                return ProbeResult(alive=False, ready=False, reason="Unreachable")
