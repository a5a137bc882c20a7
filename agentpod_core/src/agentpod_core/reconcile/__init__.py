"""One pass for one key: observe, plan, apply, write down. Decides nothing itself; ``plan`` does.

Acts on a fresh look at the world, never on the event that caused the pass.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from agentpod_core.desired import Desired, desire, effective_wanted, is_secret
from agentpod_core.errors import AgentPodError, ConflictError
from agentpod_core.observed import Observed, Probed
from agentpod_core.plan import Plan, Timings, applied_badly, plan
from agentpod_core.plugpoints.routers import Router
from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.ports import Clock, PodInput, Store, Telemetry
from agentpod_core.reconcile.boots import Boots
from agentpod_core.reconcile.fence import Fence
from agentpod_core.reconcile.material import material
from agentpod_core.values import names
from agentpod_core.values.actions import Action, CreateNetwork, RemoveNetwork, StartContainer, WriteFiles
from agentpod_core.values.pods import Lease, Wanted
from agentpod_core.values.routes import Route
from agentpod_core.values.status import Happening, Phase, PodStatus, Record
from agentpod_core.values.workload import File, OnChange
from agentpod_core.values.world import Container, ContainerState, Endpoint, Protection, World

ROUNDS = 6
"""So many plans in one pass before it lets other keys have their turn."""

MERGED_LIMIT = 4 * 1024 * 1024
"""The largest file, in bytes, that an agent may have made of one that is merged."""

BOOTING = (Phase.PENDING, Phase.CREATING, Phase.STARTING)


Merge = Callable[[str, File, bytes, bytes], bytes]
"""Combines a file that the agent may have rewritten with what is wanted: adapter's name, file, current, wanted."""


def keep_wanted(_adapter: str, _file: File, _current: bytes, wanted: bytes) -> bytes:
    """Write the file as it is wanted: the way without the adapter."""
    return wanted


class Parts(Struct, frozen=True, kw_only=True):
    """What a pass works with. ``fixed_routes`` are served beside the pods' own, ``merge`` asks adapters."""

    instance: str
    store: Store
    runtime: Runtime
    router: Router
    clock: Clock
    telemetry: Telemetry
    timings: Timings = Timings()
    fixed_routes: tuple[Route, ...] = ()
    merge: Merge = keep_wanted


class Pass(Struct, frozen=True, kw_only=True):
    """How a pass for a pod ended. ``pod`` None: the pod is gone. ``container`` is as last seen."""

    pod: PodInput | None
    tenant_id: str = ""
    status: PodStatus | None = None
    container: Container | None = None
    wake_at: datetime | None = None


class Reconciler:
    """Makes passes for one leader; keeps only what can be seen again."""

    def __init__(
        self, parts: Parts, fence: Fence, boots: Boots, probed: Callable[[str], Probed | None], protection: Protection
    ) -> None:
        self.protection = protection
        self.routed: frozenset[str] = frozenset()
        self._parts = parts
        self._fence = fence
        self._boots = boots
        self._probed = probed
        self._networks: set[str] = set()
        self._locks: dict[str, asyncio.Lock] = {}
        self._addresses: dict[str, str] = {}

    async def pod(self, pod_id: str) -> Pass:
        """Bring one pod closer to what is wanted of it.

        Raises:
            TemporaryError: the engine or the store does not answer; nothing was concluded.
            ConflictError: ``NotLeader``.
        """
        pod = await self._parts.store.pod(pod_id)
        if pod is None:
            self._forget(pod_id)
            return Pass(pod=None)
        desired = desire(self._parts.instance, pod)
        before, record, container = pod.status, pod.record, None
        for _ in range(ROUNDS):
            observed = await self._observe(desired)
            container = next((one for one in observed.containers if one.name == desired.container), None)
            found = self._plan(desired, observed, record, before)
            if found.is_gone:
                return await self._gone(pod)
            if not found.actions:
                if found.status.phase not in BOOTING:
                    self._boots.release(pod_id)
                await self._save(pod, found, found.record)
                return Pass(pod=pod, status=found.status, container=container, wake_at=found.wake_at)
            if _boots(pod, found) and not self._boots.take(pod_id):
                # Another pod took the last slot since this plan was made; the next look says so.
                continue
            if found.status.phase is not before.phase or found.happenings:
                await self._save(pod, found, found.assessed)
            try:
                await self._apply_all(pod, found.actions)
            except AgentPodError as error:
                failed = await self._failed(pod, found, error)
                self._networks.discard(desired.network)
                return Pass(pod=pod, status=failed.status, container=container, wake_at=failed.wake_at)
            before, record = found.status, found.record
        return Pass(pod=pod, status=before, container=container, wake_at=self._parts.clock.now())

    async def _gone(self, pod: PodInput) -> Pass:
        gone = Happening(kind="pod", reason="Deleted", params={"pod": pod.name})
        await self._parts.store.forget_pod(self._fence.epoch, pod.id, (gone,))
        self._forget(pod.id)
        return Pass(pod=None, tenant_id=pod.tenant_id)

    async def _failed(self, pod: PodInput, found: Plan, error: AgentPodError) -> Plan:
        if isinstance(error, ConflictError) and error.reason == "NotLeader":
            raise error
        self._boots.release(pod.id)
        failed = applied_badly(found, error, self._parts.clock.now(), self._parts.timings)
        if pod.status.reason == failed.status.reason:
            failed = _without_news(failed)
        await self._save(pod, failed, failed.record)
        return failed

    async def dry_run(self, pod_id: str) -> Plan | None:
        """Give the plan that a pass would follow now; None for a pod that is gone."""
        pod = await self._parts.store.pod(pod_id)
        if pod is None:
            return None
        desired = desire(self._parts.instance, pod)
        return self._plan(desired, await self._observe(desired), pod.record, pod.status)

    async def tenant(self, tenant_id: str, world: World | None = None) -> None:
        """Make or remove a tenant's network, and forget a deleted tenant once it has no pods."""
        tenant = await self._parts.store.tenant(tenant_id)
        if tenant is None:
            return
        name = names.network_name(self._parts.instance, tenant.lease.number)
        if tenant.wanted is Wanted.DELETED:
            if not tenant.pods:
                await self._apply(tenant_id, RemoveNetwork(name=name, reason="the tenant is deleted"))
                self._networks.discard(name)
                gone = Happening(kind="tenant", reason="TenantDeleted", params={"tenant": tenant.slug})
                await self._parts.store.forget_tenant(self._fence.epoch, tenant_id, (gone,))
            return
        if world is not None and name not in {network.name for network in world.networks}:
            self._networks.discard(name)
        await self._network(tenant_id, tenant.slug, tenant.lease)

    async def routes(self) -> frozenset[str]:
        """Publish the routes of all pods that are to run; gives the pods that have one."""
        pods = await self._parts.store.pods()
        routes = [route for pod in pods if (route := self._route(pod))]
        await self._parts.router.apply([*self._parts.fixed_routes, *routes])
        self.routed = frozenset(route.key for route in routes)
        return self.routed

    def _route(self, pod: PodInput) -> Route | None:
        spec = pod.workload.route
        port = pod.workload.main_port()
        if spec is None or port is None or not pod.hosts or effective_wanted(pod) is not Wanted.RUNNING:
            return None
        return Route(
            key=pod.id,
            hosts=pod.hosts,
            target=Endpoint(host=self._addresses.get(pod.id, pod.address), port=port),
            refuse=spec.refuse,
            attribute_loopback=spec.attribute_loopback,
        )

    def _plan(self, desired: Desired, observed: Observed, record: Record, before: PodStatus) -> Plan:
        now, timings = self._parts.clock.now(), self._parts.timings
        return plan(desired, observed, record, now, before=before, timings=timings)

    async def _observe(self, desired: Desired) -> Observed:
        container = await self._parts.runtime.inspect(desired.container)
        containers: tuple[Container, ...] = (container,) if container else ()
        volumes: tuple[str, ...] = ()
        if desired.wanted is Wanted.DELETED:
            world = await self._parts.runtime.observe()
            volumes = tuple(one.name for one in world.volumes if one.labels.get("agentpod.pod-id") == desired.pod_id)
            containers += tuple(
                one for one in world.containers if one.pod_id == desired.pod_id and one.name != desired.container
            )
        if container and container.address and container.state is ContainerState.RUNNING:
            self._addresses[desired.pod_id] = container.address
        return Observed(
            containers=containers,
            volumes=() if desired.keep_data else volumes,
            probed=self._probed(desired.pod_id),
            routed=desired.pod_id in self.routed,
            protection=self.protection,
            has_boot_slot=self._boots.has_slot(desired.pod_id),
        )

    async def _apply_all(self, pod: PodInput, actions: Sequence[Action]) -> None:
        if effective_wanted(pod) is Wanted.RUNNING:
            await self._network(pod.tenant_id, pod.tenant, pod.lease)
        for action in actions:
            if isinstance(action, WriteFiles):
                action = await self._merged(pod, action)  # noqa: PLW2901 - the same change, made precise
            await self._apply(pod.tenant_id, action)

    async def _merged(self, pod: PodInput, action: WriteFiles) -> WriteFiles:
        files = [await self._merged_file(pod, action.container, file) for file in action.files]
        return msgspec.structs.replace(action, files=tuple(files))

    async def _merged_file(self, pod: PodInput, container: str, file: File) -> File:
        if file.on_change is not OnChange.MERGED or is_secret(file):
            return file
        current = await self._parts.runtime.read(container, file.path, limit=MERGED_LIMIT)
        if current is None:
            return file
        wanted = "".join(part for part in file.parts if isinstance(part, str)).encode()
        merged = self._parts.merge(pod.spec.adapter, file, current, wanted)
        return msgspec.structs.replace(file, parts=(merged.decode(),))

    async def _apply(self, tenant_id: str, action: Action) -> None:
        values = await material(self._parts.store, tenant_id, action)
        self._fence.check()
        begun = self._parts.clock.monotonic()
        outcome = "ok"
        try:
            await self._parts.runtime.apply(action, values)
        except AgentPodError as error:
            outcome = error.reason
            raise
        finally:
            self._parts.telemetry.acted(type(action).__name__, self._parts.clock.monotonic() - begun, outcome)

    async def _network(self, tenant_id: str, tenant: str, lease: Lease) -> None:
        name = names.network_name(self._parts.instance, lease.number)
        async with self._lock(name):
            if name in self._networks:
                return
            action = CreateNetwork(
                name=name, tenant=tenant, subnet=lease.subnet, gateway=lease.gateway, reason="the tenant's network"
            )
            await self._apply(tenant_id, action)
            self._networks.add(name)

    @contextlib.asynccontextmanager
    async def _lock(self, name: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            yield

    async def _save(self, pod: PodInput, found: Plan, record: Record) -> None:
        if found.status == pod.status and record == pod.record and not found.happenings:
            return
        await self._parts.store.save(
            self._fence.epoch, pod.id, status=found.status, record=record, happenings=found.happenings
        )

    def _forget(self, pod_id: str) -> None:
        self._boots.release(pod_id)
        self._addresses.pop(pod_id, None)


def _boots(pod: PodInput, found: Plan) -> bool:
    return pod.workload.boot_cost > 0 and any(isinstance(action, StartContainer) for action in found.actions)


def _without_news(found: Plan) -> Plan:
    """Keep a failure that repeats itself from filling the event log."""
    return msgspec.structs.replace(found, happenings=found.happenings[:-1])
