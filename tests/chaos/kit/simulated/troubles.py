"""What can happen by chance: to agents, to the machine with its engine and its store, and to the servers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from simulated.engine import Fate
from simulated.steps import Step
from simulated.world import IMAGES, World


@dataclass(frozen=True)
class Doom(Step):
    """An agent ends soon after its next starts, with some code."""

    slot: int
    code: int
    after: float
    times: int

    async def happen(self, world: World) -> None:
        if pod := world.slots[self.slot]:
            world.engine.fates[pod.id] = Fate(self.code, self.after, self.times)


@dataclass(frozen=True)
class Mood(Step):
    """An agent answers otherwise from now on."""

    slot: int
    answer: str

    async def happen(self, world: World) -> None:
        if pod := world.slots[self.slot]:
            world.moods[pod.id] = self.answer


@dataclass(frozen=True)
class Outage(Step):
    """Something is away for a while: the machine, the engine with its containers or alone, its events, or the store."""

    what: str
    seconds: float

    async def happen(self, world: World) -> None:
        engine, loop = world.engine, asyncio.get_running_loop()
        match self.what:
            case "power":
                for process in world.lives():
                    process.die()
                engine.lose()
                loop.call_later(self.seconds, engine.come_back)
                loop.call_later(self.seconds + 0.5, world.serve)
            case "daemon":
                engine.lose()
                loop.call_later(self.seconds, engine.come_back)
            case "engine":
                engine.reachable = False
                loop.call_later(self.seconds, setattr, engine, "reachable", True)
            case "events":
                engine.is_deaf = True
                loop.call_later(self.seconds, setattr, engine, "is_deaf", False)
            case _:
                world.tasks.add(asyncio.create_task(world.lose_store(self.seconds)))


@dataclass(frozen=True)
class Registry(Step):
    """The registry has all images or none, and takes its time to say so."""

    has_all: bool
    seconds: float

    async def happen(self, world: World) -> None:
        world.pull = self.seconds
        world.engine.pullable = set(IMAGES) if self.has_all else set()


@dataclass(frozen=True)
class Unshown(Step):
    """The engine lists a pod's container, and does not show it for a while."""

    slot: int
    how: str
    seconds: float

    async def happen(self, world: World) -> None:
        if pod := world.slots[self.slot]:
            world.engine.unshown[pod.id] = self.how
            asyncio.get_running_loop().call_later(self.seconds, world.engine.unshown.pop, pod.id, None)


@dataclass(frozen=True)
class Unsure(Step):
    """The next writes to the store are made, or the next renewals of the lease, and their answers are lost."""

    times: int
    what: str = "write"

    async def happen(self, world: World) -> None:
        for process in world.lives():
            made = process.answers[self.what]
            process.loses[self.what] = range(made + 1, made + 1 + self.times)


@dataclass(frozen=True)
class Crash(Step):
    """A server is killed so many boundaries from now; another comes up in its place after a while."""

    process: int
    boundaries: int
    after: float

    async def happen(self, world: World) -> None:
        lives = world.lives()
        if not lives:
            return
        process = lives[self.process % len(lives)]
        if self.boundaries:
            process.dies_at = process.boundaries + self.boundaries
        else:
            process.die()
        asyncio.get_running_loop().call_later(self.after, world.serve)


@dataclass(frozen=True)
class Standby(Step):
    """A second server comes up."""

    async def happen(self, world: World) -> None:
        if len(world.lives()) < 2:
            world.serve()


@dataclass(frozen=True)
class Freeze(Step):
    """A server stands still, or loses its line to the store."""

    process: int
    seconds: float
    is_cut: bool

    async def happen(self, world: World) -> None:
        if lives := world.lives():
            process = lives[self.process % len(lives)]
            (process.cut if self.is_cut else process.freeze)(self.seconds)


@dataclass(frozen=True)
class SetClock(Step):
    """Somebody sets the machine's clock."""

    by: int

    async def happen(self, world: World) -> None:
        world.engine.clock.set_by += timedelta(seconds=self.by)
