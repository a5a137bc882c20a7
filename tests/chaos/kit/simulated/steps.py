"""What can happen to a simulated world: each step is a value that says itself, so that a history can be read.

A step that finds nothing to happen to does nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from hypothesis import strategies as st

from agentpod_core.testing.fake_engine import LIVING, FakeContainer
from agentpod_core.values.pods import Wanted
from agentpod_core.values.world import ContainerState, Limits
from simulated.engine import Fate
from simulated.world import IMAGES, REFUSED, SLOTS, World


class Step:
    """Something that happens."""

    async def happen(self, world: World) -> None:
        """Let it happen."""
        raise NotImplementedError


@dataclass(frozen=True)
class Wait(Step):
    """Nothing happens for a while."""

    seconds: float

    async def happen(self, world: World) -> None:
        del world
        await asyncio.sleep(self.seconds)


# By the operator's hand, through the platform.


@dataclass(frozen=True)
class Create(Step):
    """A pod is asked for."""

    slot: int

    async def happen(self, world: World) -> None:
        world.forget_gone()
        tenant = SLOTS[self.slot][0]
        is_leaving = tenant in world.tenants and world.wanted(tenant) is Wanted.DELETED
        if world.slots[self.slot] is None and not is_leaving:
            await world.create(self.slot)


@dataclass(frozen=True)
class Change(Step):
    """A pod is to be otherwise: its image, its memory, or one of its files."""

    slot: int
    what: str
    to: int

    async def happen(self, world: World) -> None:
        if pod := world.pod(self.slot):
            value = (
                IMAGES[self.to % 2] if self.what == "image" else 64 + self.to if self.what == "memory" else str(self.to)
            )
            pod.variant[self.what] = value
            await world.store.change_pod(pod.id, workload=pod.workload())


@dataclass(frozen=True)
class Want(Step):
    """A pod is to stop or to start."""

    slot: int
    wanted: Wanted

    async def happen(self, world: World) -> None:
        if pod := world.pod(self.slot):
            await world.store.want_pod(pod.id, self.wanted)


@dataclass(frozen=True)
class Restart(Step):
    """A restart is asked for."""

    slot: int

    async def happen(self, world: World) -> None:
        if pod := world.pod(self.slot):
            asked = world.store._pods[pod.id].spec.restarts
            await world.store.change_spec(pod.id, restarts=asked + 1)


@dataclass(frozen=True)
class Delete(Step):
    """A pod is to go, with its data or without."""

    slot: int
    keeps_data: bool

    async def happen(self, world: World) -> None:
        if pod := world.pod(self.slot):
            pod.is_deleted, pod.keeps_data = True, self.keeps_data
            await world.store.want_pod(pod.id, Wanted.DELETED, keep_data=self.keeps_data)


@dataclass(frozen=True)
class WantTenant(Step):
    """A whole tenant is to stop, to start or to go."""

    tenant: str
    wanted: Wanted

    async def happen(self, world: World) -> None:
        world.forget_gone()
        if self.tenant not in world.tenants or world.wanted(self.tenant) is Wanted.DELETED:
            return
        if self.wanted is Wanted.DELETED:
            for slot, (tenant, _) in enumerate(SLOTS):
                if tenant == self.tenant:
                    await Delete(slot, keeps_data=False).happen(world)
        await world.store.want_tenant(world.tenants[self.tenant], self.wanted)


# By somebody's hand, on the engine.


@dataclass(frozen=True)
class Hand(Step):
    """Something is done to a pod's container."""

    slot: int
    what: str

    async def happen(self, world: World) -> None:
        if found := world.container(self.slot):
            HANDS[self.what](world, found)


def _kill(world: World, found: FakeContainer) -> None:
    if found.state is ContainerState.RUNNING:
        world.engine.kill(found.name)


def _oom(world: World, found: FakeContainer) -> None:
    if found.state is ContainerState.RUNNING:
        world.engine.kill(found.name, oom=True)


def _oom_child(world: World, found: FakeContainer) -> None:
    if found.state is ContainerState.RUNNING:
        world.engine.oom(found.name)


def _hang(world: World, found: FakeContainer) -> None:
    if found.state is ContainerState.RUNNING:
        world.engine.hung.add(found.id)


def _go_on(world: World, found: FakeContainer) -> None:
    world.engine.hung.discard(found.id)


def _remove(world: World, found: FakeContainer) -> None:
    world.engine.remove_by_hand(found.name)


def _pause(world: World, found: FakeContainer) -> None:
    if found.state is ContainerState.RUNNING:
        world.engine.pause(found.name)


def _unpause(world: World, found: FakeContainer) -> None:
    if found.state is ContainerState.PAUSED:
        found.state = ContainerState.RUNNING
        world.engine.happened("unpause", found)


def _stop(world: World, found: FakeContainer) -> None:
    if found.state in LIVING:
        found.end_wanted = True
        world.engine.end(found, 143)


def _start(world: World, found: FakeContainer) -> None:
    is_free = not any(one.state in LIVING and one.address == found.address for one in world.engine.containers.values())
    if found.state not in LIVING and is_free and found.network in world.engine.networks:
        found.restarts = 0
        world.engine.begin(found)


def _die(world: World, found: FakeContainer) -> None:
    if found.state in LIVING:
        world.engine.end(found, 137)
    found.state, found.limits = ContainerState.DEAD, msgspec.structs.replace(found.limits, restart=False)


def _loosen(world: World, found: FakeContainer) -> None:
    found.limits = Limits(memory=None, cpus=100, pids=7, restart=None)
    world.engine.happened("update", found)


def _tighten(world: World, found: FakeContainer) -> None:
    found.limits = msgspec.structs.replace(found.limits, memory=8 * 1024 * 1024, restart=False)
    world.engine.happened("update", found)


def _rename(world: World, found: FakeContainer) -> None:
    del world.engine.containers[found.name]
    found.name = f"renamed-{found.id}"
    world.engine.containers[found.name] = found
    # It is no longer the one that the platform made: somebody took it.
    world.engine.by_hand.add(found.id)
    world.engine.happened("rename", found)


HANDS = {
    "kill": _kill,
    "oom": _oom,
    "oom-child": _oom_child,
    "hang": _hang,
    "go-on": _go_on,
    "remove": _remove,
    "pause": _pause,
    "unpause": _unpause,
    "stop": _stop,
    "start": _start,
    "dead": _die,
    "loosen": _loosen,
    "tighten": _tighten,
    "rename": _rename,
}


@dataclass(frozen=True)
class Second(Step):
    """Somebody makes a second container of a pod, and maybe starts it."""

    slot: int
    runs: bool

    async def happen(self, world: World) -> None:
        if found := world.container(self.slot):
            engine = world.engine
            second = FakeContainer(
                id=engine.next_id(),
                name=f"second-{engine.next_id()}",
                labels=dict(found.labels),
                workload=found.workload,
                volumes=dict(found.volumes),
                network=found.network,
                address="",
                hostname=found.hostname,
                limits=found.limits,
            )
            engine.by_hand.add(second.id)
            engine.containers[second.name] = second
            if self.runs:
                engine.begin(second)


@dataclass(frozen=True)
class Foreign(Step):
    """A container of nobody takes a pod's name or its address; the pod's own is gone or down before."""

    slot: int
    takes: str

    async def happen(self, world: World) -> None:
        found = world.container(self.slot)
        if found is None or found.id in {one.id for one in world.foreign.values()}:
            return
        engine = world.engine
        if self.takes == "name":
            engine.remove_by_hand(found.name)
            taker = engine.add_foreign_container(found.name)
        else:
            found.end_wanted = True
            if found.state in LIVING:
                engine.end(found, 143)
            taker = engine.add_foreign_container(f"foreign-{engine.next_id()}")
            taker.address = found.address
        world.foreign[taker.name] = taker
        world.in_the_way.add(taker.name)


@dataclass(frozen=True)
class Lose(Step):
    """A network, a pod's volumes with its container, or the images are removed."""

    slot: int
    what: str

    async def happen(self, world: World) -> None:
        pod = world.slots[self.slot]
        if self.what == "images":
            world.engine.images.clear()
        elif pod and self.what == "volumes":
            for one in world.engine.of(pod.id):
                world.engine.remove_by_hand(one.name)
            world.engine.remove_volumes(pod.id)
        elif pod and self.what in {"network", "subnet"}:
            name = world.network(pod.tenant)
            if name in world.engine.networks:
                subnet = world.engine.networks[name].subnet
                world.engine.remove_network(name)
                if self.what == "subnet":
                    world.engine.add_foreign_network(f"foreign-{name}", subnet)


# The machine.


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
class Unsure(Step):
    """The next writes to the store are made, and their answers are lost."""

    times: int

    async def happen(self, world: World) -> None:
        for process in world.lives():
            process.unsure_at = range(process.writes + 1, process.writes + 1 + self.times)


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


slots = st.integers(0, len(SLOTS) - 1)
spans = st.sampled_from([0.5, 2.0, 4.0, 15.0, 40.0])
small = st.integers(0, 2)

by_operator = st.one_of(
    st.builds(Create, slots),
    st.builds(Change, slots, st.sampled_from(["image", "memory", "live", "restart", "merged"]), small),
    st.builds(Want, slots, st.sampled_from([Wanted.STOPPED, Wanted.RUNNING])),
    st.builds(Restart, slots),
    st.builds(Delete, slots, st.booleans()),
    st.builds(WantTenant, st.sampled_from(["acme", "bolt"]), st.sampled_from(list(Wanted))),
)
by_hand = st.one_of(
    st.builds(Hand, slots, st.sampled_from(sorted(HANDS))),
    st.builds(Second, slots, st.booleans()),
    st.builds(Foreign, slots, st.sampled_from(["name", "address"])),
    st.builds(Lose, slots, st.sampled_from(["network", "subnet", "volumes", "images"])),
)
by_chance = st.one_of(
    st.builds(Doom, slots, st.sampled_from([1, 0, 137, REFUSED]), st.sampled_from([0.0, 0.5, 15.0]), st.integers(1, 6)),
    st.builds(Mood, slots, st.sampled_from(["ready", "ill", "silent", "slow", "broken"])),
    st.builds(Outage, st.sampled_from(["power", "daemon", "engine", "events", "store"]), spans),
    st.builds(Unsure, st.integers(1, 4)),
    st.builds(Crash, small, st.integers(0, 30), st.sampled_from([0.1, 5.0])),
    st.builds(Standby),
    st.builds(Freeze, small, spans, st.booleans()),
    st.builds(SetClock, st.sampled_from([-86400, -30, 5, 3600])),
)
waits = st.builds(Wait, st.sampled_from([0.06, 0.3, 1.0, 5.0, 12.0]))
steps = st.one_of(by_operator, by_hand, by_chance, waits, waits)
histories = st.lists(steps, min_size=1, max_size=25)
