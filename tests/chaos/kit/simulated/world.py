"""A simulated world: one engine, one store, the processes that serve them, and what their operator asked for.

Decides nothing about what should come of it; that is in ``truths``. What can happen is in ``steps``.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from agentpod_core import File, OnChange, Port, Probe, Repair, Resources, RouteSpec, SecretRef, Volume, Workload
from agentpod_core.controller import Pace
from agentpod_core.plan import Timings
from agentpod_core.testing import FakeStore, RouteBoard
from agentpod_core.testing.fake_engine import FakeContainer
from agentpod_core.values.actions import ObtainImage
from agentpod_core.values.names import container_name, network_name, volume_name
from agentpod_core.values.pods import Wanted
from agentpod_core.values.world import ContainerState
from simulated.engine import TOKEN, Engine, Runtime
from simulated.ledger import Ledger
from simulated.process import Process

INSTANCE = "chaosabc"
SCALE = 0.1
TIMINGS = Timings().scaled(SCALE)
PACE = Pace(resync=10.0, slots=1, scale=SCALE)
DURATION = 0.05
BOOTING = 1.0
REFUSED = 78
SLOTS = (("acme", "main"), ("acme", "other"), ("bolt", "main"), ("bolt", "other"))
IMAGES = ("fake:1", "fake:2")


@dataclass
class Pod:
    """A pod as its operator knows it."""

    id: str
    tenant: str
    slot: int
    token: SecretRef
    variant: dict[str, Any] = field(default_factory=dict)
    is_deleted: bool = False
    keeps_data: bool = False

    def workload(self) -> Workload:
        """Render what it should be: pods in even places boot long, the others at once."""
        said = {"image": IMAGES[0], "live": "1", "restart": "1", "merged": "1", "memory": 64, **self.variant}
        return Workload(
            image=said["image"],
            files=(
                File(path="/data/live.json", parts=(said["live"],), on_change=OnChange.LIVE),
                File(path="/data/config.json", parts=(said["restart"],), on_change=OnChange.RESTART),
                File(path="/data/merged.json", parts=(said["merged"],), on_change=OnChange.MERGED),
                File(path=TOKEN, parts=(self.token,), mode=0o400),
            ),
            ports=(Port(name="http", number=8080),),
            volumes=(Volume(name="data", path="/data"),),
            probe=Probe(probe="any", interval=30, start_interval=5, timeout=2, failures=2, start_deadline=20),
            route=RouteSpec(port="http"),
            resources=Resources(memory=said["memory"] * 1024 * 1024),
            boot_cost=0.0 if self.slot % 2 else 20.0,
            permanent_exits=(REFUSED,),
        )


class World:
    """One world. ``pods`` are all that ever were; ``slots`` holds the one that each place has now.

    ``foreign`` is what is nobody's or another platform's, as it has to stay; ``in_the_way`` is the part of it that
    stands where something of ours belongs. ``slowness`` is how many seconds each change takes in its midst, ``pull``
    how many the registry takes to say whether it has an image that is not there.
    """

    def __init__(self) -> None:
        self.engine = Engine(INSTANCE)
        self.engine.images = set(IMAGES)
        self.runtime = Runtime(INSTANCE, self.engine)
        self.store = FakeStore(monotonic=lambda: asyncio.get_running_loop().time())
        self.board = RouteBoard()
        self.processes: list[Process] = []
        self.pods: dict[str, Pod] = {}
        self.tenants: dict[str, str] = {}
        self.slots: list[Pod | None] = [None] * len(SLOTS)
        self.moods: dict[str, str] = {}
        self.ledger = Ledger(self, TIMINGS)
        self.foreign: dict[str, str] = {}
        self.in_the_way: set[str] = set()
        self.slowness = 0.0
        self.pull = 0.0
        self.tasks: set[asyncio.Task[None]] = set()
        self._add_bystanders()
        self._started = 0
        self._outages = 0
        random.seed(0)

    # The machine and its processes.

    def serve(self) -> Process:
        """Start a server."""
        self._started += 1
        process = Process(self, f"server-{self._started}")
        process.start(PACE, instance=INSTANCE, timings=TIMINGS, merge=_merged, mend=_mend)
        self.processes.append(process)
        return process

    def lives(self) -> list[Process]:
        """List the servers that are not dead."""
        return [one for one in self.processes if not one.is_dead]

    async def change(self, action: Any, material: Any) -> None:
        """Do what was sent to the engine, which takes its time."""
        is_pull = isinstance(action, ObtainImage) and action.image not in self.engine.images
        await asyncio.sleep(self.pull if is_pull else DURATION)
        await self.runtime.apply(action, material)

    def _add_bystanders(self) -> None:
        engine = self.engine
        other = {"agentpod.instance": "anotherx", "agentpod.pod-id": "p", "agentpod.tenant": "acme"}
        for name, subnet, labels in (("nobodys", "10.99.0.0/26", {}), ("anothers", "10.99.1.0/26", other)):
            engine.add_foreign_volume(name, labels)
            engine.add_foreign_network(name, subnet, labels)
            engine.add_foreign_container(name, labels)
        self.meet()

    def meet(self, *, in_the_way: bool = False) -> None:
        """Take note of what is foreign and was not there before."""
        new = {name: facts for name, facts in self.engine.foreign().items() if name not in self.foreign}
        self.foreign |= new
        if in_the_way:
            self.in_the_way |= set(new)

    def make_way(self) -> None:
        """Take away what stands in the way of ours, as its owner may."""
        for name in self.in_the_way:
            del self.foreign[name]
            kind, _, name = name.partition(" ")  # noqa: PLW2901 - the name without its kind
            if kind == "network":
                del self.engine.networks[name]
            else:
                self.engine.remove_by_hand(name)
        self.in_the_way.clear()

    def answer(self, pod_id: str, container: str) -> str:
        """Give how the agent in that container answers."""
        found = next((one for one in self.engine.containers.values() if one.id == container), None)
        if found is None or found.state is not ContainerState.RUNNING or found.id in self.engine.cut_off:
            return "gone"
        if container in self.engine.hung:
            return "silent"
        since = (self.engine.now() - found.started_at).total_seconds() if found.started_at else 0.0
        if 0 <= since < BOOTING and not self.pods[pod_id].slot % 2:
            return "gone"
        return self.moods.get(pod_id, "ready")

    async def lose_store(self, seconds: float) -> None:
        """Take the database away for a while."""
        self._outages += 1
        self.store._is_down = True
        await asyncio.sleep(seconds)
        self._outages -= 1
        if not self._outages:
            self.store._is_down = False
            self.store.lose_changes()

    # What the operator asks for.

    async def create(self, slot: int) -> Pod:
        """Make the pod of that place, and its tenant where there is none."""
        tenant, name = SLOTS[slot]
        if tenant not in self.tenants:
            self.tenants[tenant] = await self.store.add_tenant(tenant)
        tenant_id = self.tenants[tenant]
        value = f"token-{len(self.pods)}"
        # The token is known before the pod, as the server writes both at once.
        token = await self.store.put_secret(tenant_id, f"pods/{len(self.pods)}/token", value)
        pod = Pod(id="", tenant=tenant, slot=slot, token=token)
        pod.id = await self.store.add_pod(tenant_id, name, workload=pod.workload(), secrets={"token": token})
        self.pods[pod.id] = self.slots[slot] = pod
        self.engine.tokens[pod.id] = value.encode()
        self.engine.addresses[pod.id] = self.store._pods[pod.id].address
        return pod

    def pod(self, slot: int) -> Pod | None:
        """Give the pod of a place, while nobody deleted it."""
        found = self.slots[slot]
        return found if found and not found.is_deleted else None

    def container(self, slot: int) -> FakeContainer | None:
        """Give the container of a place; None where another one has its name."""
        pod = self.slots[slot]
        found = self.engine.containers.get(container_name(INSTANCE, pod.id)) if pod else None
        return found if found and self.engine.is_ours(found) else None

    def network(self, tenant: str) -> str:
        """Name a tenant's network; empty for a tenant that is gone."""
        found = self.store._tenants.get(self.tenants.get(tenant, ""))
        return network_name(INSTANCE, found.lease.number) if found else ""

    def data(self, pod_id: str) -> str:
        """Name the volume with what the agent knows."""
        return volume_name(INSTANCE, pod_id, "data")

    def forget_gone(self) -> None:
        """Let the places of what is gone be taken anew."""
        for slot, pod in enumerate(self.slots):
            if pod and pod.is_deleted and pod.id not in self.store._pods:
                self.slots[slot] = None
        self.tenants = {slug: one for slug, one in self.tenants.items() if one in self.store._tenants}

    def wanted(self, tenant: str) -> Wanted:
        """Say what is wanted of a tenant."""
        return self.store._tenants[self.tenants[tenant]].wanted


async def _mend(_adapter: str, code: int) -> Repair | None:
    return Repair(reason="EchoRefusedConfig", command=("sh", "-c", "exit 0")) if code == REFUSED else None


async def _merged(_adapter: str, _file: File, current: bytes, wanted: bytes) -> bytes:
    # The agent's own lines stand behind a mark.
    return wanted + b"#" + current.partition(b"#")[2]
