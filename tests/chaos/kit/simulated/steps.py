"""What can happen to a simulated world: each step is a value that says itself, so that a history can be read.

A step that finds nothing to happen to does nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from agentpod_core.testing.fake_engine import LIVING, FakeContainer
from agentpod_core.values.pods import Wanted
from simulated.hands import HANDS
from simulated.world import IMAGES, SLOTS, World


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
        if found is None:
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
        world.meet(in_the_way=True)


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
                    world.meet(in_the_way=True)


@dataclass(frozen=True)
class MakeWay(Step):
    """Who owns what stands in the platform's way takes it away, and somebody brings lost images back."""

    async def happen(self, world: World) -> None:
        world.make_way()
        world.engine.images.update(IMAGES)
