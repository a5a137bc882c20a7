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
from agentpod_core.values.alerts import Raise
from agentpod_core.values.names import container_name, network_name, volume_name
from agentpod_core.values.pods import Wanted
from agentpod_core.values.world import ContainerState
from simulated.engine import TOKEN, Engine, Runtime
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
    """One world. ``pods`` are all that ever were; ``slots`` holds the one that each place has now."""

    def __init__(self, *, repairs: bool = True) -> None:
        self.engine = Engine()
        self.engine.images = set(IMAGES)
        self.runtime = Runtime(INSTANCE, self.engine)
        self.store = FakeStore(monotonic=lambda: asyncio.get_running_loop().time())
        self.board = RouteBoard()
        self.processes: list[Process] = []
        self.pods: dict[str, Pod] = {}
        self.tenants: dict[str, str] = {}
        self.slots: list[Pod | None] = [None] * len(SLOTS)
        self.moods: dict[str, str] = {}
        self.foreign: dict[str, FakeContainer] = {}
        self.in_the_way: set[str] = set()
        self.writes: list[tuple[str, Any]] = []
        self.open_alerts: set[tuple[str, str]] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._repairs = repairs
        self._started = 0
        self._outages = 0
        random.seed(0)

    # The machine and its processes.

    def serve(self) -> Process:
        """Start a server."""
        self._started += 1
        process = Process(self, f"server-{self._started}")
        process.start(PACE, instance=INSTANCE, timings=TIMINGS, merge=_merged, mend=self._mend, heal=_healed)
        self.processes.append(process)
        return process

    def lives(self) -> list[Process]:
        """List the servers that are not dead."""
        return [one for one in self.processes if not one.is_dead]

    async def change(self, action: Any, material: Any) -> None:
        """Do what was sent to the engine, which takes its time."""
        await asyncio.sleep(DURATION)
        await self.runtime.apply(action, material)

    def wrote(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Follow what was written, and which alerts are open by that."""
        self.writes.append((name, args + tuple(kwargs.values())))
        subject = args[1] if name == "save" else ""
        for change in kwargs.get("alerts", ()):
            if isinstance(change, Raise):
                self.open_alerts -= {(subject, one) for one in change.replaces}
                self.open_alerts.add((subject, change.reason))
            else:
                self.open_alerts.discard((subject, change.reason))

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
        """Give the container of a place."""
        found = self.slots[slot]
        return self.engine.containers.get(container_name(INSTANCE, found.id)) if found else None

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

    async def _mend(self, _adapter: str, code: int) -> Repair | None:
        if code != REFUSED:
            return None
        return Repair(reason="EchoRefusedConfig", command=("sh", "-c", "exit 0") if self._repairs else None)


async def _merged(_adapter: str, _file: File, current: bytes, wanted: bytes) -> bytes:
    # The agent's own lines stand behind a mark.
    return wanted + b"#" + current.partition(b"#")[2]


async def _healed(*_: Any) -> None:
    await asyncio.sleep(0)
