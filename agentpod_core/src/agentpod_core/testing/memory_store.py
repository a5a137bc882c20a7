"""A store in memory that passes the store's contract, for tests of the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from typing import Any

import msgspec

from agentpod_core.errors import ConflictError, NotFoundError, PermanentError, TemporaryError
from agentpod_core.ports import RESYNC, PodInput, TenantInput, pod_key, tenant_key
from agentpod_core.testing.store_stage import WORKLOAD, Told, secret_prefix
from agentpod_core.values.names import default_subdomain
from agentpod_core.values.pods import Lease, PodSpec, Wanted
from agentpod_core.values.status import Happening, PodStatus, Record
from agentpod_core.values.workload import SecretRef, Workload

_FIRST_HOST = 4


class MemoryStore:
    """Implements ``agentpod_core.ports.Store`` and its own stage.

    ``monotonic`` is the clock of the lease; ``pass_time`` moves it on. ``saved`` counts the writes of
    statuses. ``fail`` makes the next calls of the engine raise.
    """

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, address_range: str = "10.217.0.0/16"
    ) -> None:
        self.told: list[Told] = []
        self.saved = 0
        self._monotonic = monotonic
        self._passed = 0.0
        self._range = IPv4Network(address_range)
        self._pods: dict[str, PodInput] = {}
        self._tenants: dict[str, TenantInput] = {}
        self._secrets: dict[tuple[str, str], list[str]] = {}
        self._holder, self._epoch, self._expires = "", 0, 0.0
        self._queues: set[asyncio.Queue[str]] = set()
        self._failures: list[Exception] = []
        self._is_down = False
        self._ids = 0

    # What operators do.

    async def add_tenant(self, slug: str) -> str:
        """Create a tenant with the lowest free subnet and give its id."""
        taken = {tenant.lease.number for tenant in self._tenants.values()}
        number, subnet = next(
            (number, subnet) for number, subnet in enumerate(self._range.subnets(new_prefix=26)) if number not in taken
        )
        lease = Lease(number=number, subnet=str(subnet), gateway=str(subnet[1]))
        tenant_id = self._new_id()
        self._tenants[tenant_id] = TenantInput(id=tenant_id, slug=slug, lease=lease)
        self._tell(tenant_key(tenant_id))
        return tenant_id

    async def add_pod(  # noqa: PLR0913 - a pod has that many parts
        self,
        tenant_id: str,
        name: str,
        *,
        workload: Workload = WORKLOAD,
        config: dict[str, Any] | None = None,
        wanted: Wanted = Wanted.RUNNING,
        secrets: dict[str, SecretRef] | None = None,
        credential: str | None = None,
    ) -> str:
        """Create a pod with the lowest free address and give its id."""
        tenant = self._tenants[tenant_id]
        taken = {pod.address for pod in self._pods.values() if pod.tenant_id == tenant_id}
        hosts = (str(host) for host in list(IPv4Network(tenant.lease.subnet))[_FIRST_HOST:-1])
        subdomain = default_subdomain(tenant.slug, name)
        pod_id = self._new_id()
        self._pods[pod_id] = PodInput(
            id=pod_id,
            name=name,
            tenant_id=tenant_id,
            tenant=tenant.slug,
            generation=1,
            spec=PodSpec(adapter="echo", config=config or {}, wanted=wanted, subdomain=subdomain),
            workload=workload,
            lease=tenant.lease,
            address=next(host for host in hosts if host not in taken),
            hosts=(f"{subdomain}.localhost",),
            secrets=secrets or {},
            credential=credential,
            tenant_wanted=tenant.wanted,
        )
        self._list_pods(tenant_id)
        self._tell(pod_key(pod_id), tenant_key(tenant_id))
        return pod_id

    async def change_pod(
        self, pod_id: str, *, workload: Workload | None = None, config: dict[str, Any] | None = None
    ) -> int:
        """Make a new generation with that config and workload."""
        pod = self._pods[pod_id]
        spec = pod.spec if config is None else msgspec.structs.replace(pod.spec, config=config)
        return self._generation(pod, spec, workload or pod.workload)

    async def change_spec(self, pod_id: str, **changes: Any) -> int:
        """Make a new generation with those fields of the spec changed."""
        pod = self._pods[pod_id]
        return self._generation(pod, msgspec.structs.replace(pod.spec, **changes), pod.workload)

    async def want_pod(self, pod_id: str, wanted: Wanted, *, keep_data: bool = False) -> None:
        """Start, stop or delete a pod."""
        pod = self._pods[pod_id]
        spec = msgspec.structs.replace(pod.spec, wanted=wanted, keep_data=keep_data)
        self._generation(pod, spec, pod.workload)

    async def want_tenant(self, tenant_id: str, wanted: Wanted) -> None:
        """Start, stop or delete a tenant; its pods are told."""
        self._tenants[tenant_id] = msgspec.structs.replace(self._tenants[tenant_id], wanted=wanted)
        self._tell(tenant_key(tenant_id))
        for pod in [pod for pod in self._pods.values() if pod.tenant_id == tenant_id]:
            self._pods[pod.id] = msgspec.structs.replace(pod, tenant_wanted=wanted)
            self._tell(pod_key(pod.id))

    async def put_secret(self, tenant_id: str, key: str, value: str) -> SecretRef:
        """Store a new version of a secret."""
        versions = self._secrets.setdefault((tenant_id, key), [])
        versions.append(value)
        return SecretRef(key=key, version=len(versions))

    async def events(self) -> list[Told]:
        """Read all events in their order."""
        return list(self.told)

    async def pass_time(self, seconds: float) -> None:
        """Move the lease's clock on."""
        self._passed += seconds

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Make the store unreachable while the block runs; changes made meanwhile are not told."""
        self._is_down = True
        try:
            yield
        finally:
            self._is_down = False
            self.lose_changes()

    def fail(self, *errors: Exception) -> None:
        """Raise these from the next calls of the engine, one each."""
        self._failures += errors

    def lose_changes(self) -> None:
        """Tell whoever follows that changes may have been missed."""
        for queue in self._queues:
            queue.put_nowait(RESYNC)

    # What the engine does.

    async def pods(self) -> list[PodInput]:
        """Give every pod that is not gone."""
        self._reach()
        return list(self._pods.values())

    async def pod(self, pod_id: str) -> PodInput | None:
        """Give one pod; None when it is gone."""
        self._reach()
        return self._pods.get(pod_id)

    async def tenants(self) -> list[TenantInput]:
        """Give every tenant that is not gone."""
        self._reach()
        return list(self._tenants.values())

    async def tenant(self, tenant_id: str) -> TenantInput | None:
        """Give one tenant; None when it is gone."""
        self._reach()
        return self._tenants.get(tenant_id)

    async def save(
        self,
        epoch: int,
        pod_id: str,
        *,
        status: PodStatus,
        record: Record,
        happenings: Sequence[Happening] = (),
    ) -> None:
        """Write what was concluded; nothing for a pod that is gone."""
        self._demand(epoch)
        pod = self._pods.get(pod_id)
        if pod is not None:
            self.saved += 1
            self._pods[pod_id] = msgspec.structs.replace(pod, status=status, record=record)
            self._report(happenings, pod.tenant, pod.name)

    async def forget_pod(self, epoch: int, pod_id: str, happenings: Sequence[Happening] = ()) -> None:
        """Drop a deleted pod with its address and secrets."""
        self._demand(epoch)
        pod = self._pods.get(pod_id)
        if pod is None:
            return
        _demand_deleted(pod.spec.wanted)
        del self._pods[pod_id]
        prefix = secret_prefix(pod_id)
        self._secrets = {at: found for at, found in self._secrets.items() if not at[1].startswith(prefix)}
        self._list_pods(pod.tenant_id)
        self._report(happenings, pod.tenant, pod.name)
        self._tell(pod_key(pod_id), tenant_key(pod.tenant_id))

    async def forget_tenant(self, epoch: int, tenant_id: str, happenings: Sequence[Happening] = ()) -> None:
        """Drop a deleted tenant with its lease and secrets."""
        self._demand(epoch)
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            return
        _demand_deleted(tenant.wanted)
        del self._tenants[tenant_id]
        self._secrets = {at: found for at, found in self._secrets.items() if at[0] != tenant_id}
        self._report(happenings, tenant.slug, "")
        self._tell(tenant_key(tenant_id))

    async def report(self, happenings: Sequence[Happening]) -> None:
        """Write events that belong to no tenant."""
        self._reach()
        self._report(happenings, "", "")

    async def changes(self) -> AsyncGenerator[str, None]:
        """Follow what operators changed, as queue keys, for ever; RESYNC first."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        queue.put_nowait(RESYNC)
        self._queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)

    async def lead(self, holder: str, seconds: float) -> int | None:
        """Take or renew the lease; None while somebody else leads."""
        self._reach()
        now = self._monotonic() + self._passed
        if self._holder and self._holder != holder and now < self._expires:
            return None
        self._epoch += holder != self._holder
        self._holder, self._expires = holder, now + seconds
        return self._epoch

    async def step_down(self, holder: str) -> None:
        """Give the lease up at once, if it is held."""
        self._reach()
        if holder == self._holder:
            self._holder = ""
            self._epoch += 1

    async def secret(self, tenant_id: str, ref: SecretRef) -> str:
        """Give a secret's value."""
        self._reach()
        if ref.store != SecretRef(key="").store:
            raise PermanentError("UnknownSecretStore", name=ref.store, known=[SecretRef(key="").store])
        versions = self._secrets.get((tenant_id, ref.key), [])
        if not 0 < ref.version <= len(versions):
            raise NotFoundError("SecretNotFound", key=ref.key)
        return versions[ref.version - 1]

    def _new_id(self) -> str:
        self._ids += 1
        return f"00000000-0000-7000-8000-{self._ids:012d}"

    def _generation(self, pod: PodInput, spec: PodSpec, workload: Workload) -> int:
        changed = msgspec.structs.replace(pod, spec=spec, workload=workload, generation=pod.generation + 1)
        self._pods[pod.id] = changed
        self._tell(pod_key(pod.id))
        return changed.generation

    def _list_pods(self, tenant_id: str) -> None:
        listed = tuple(pod.id for pod in self._pods.values() if pod.tenant_id == tenant_id)
        self._tenants[tenant_id] = msgspec.structs.replace(self._tenants[tenant_id], pods=listed)

    def _tell(self, *keys: str) -> None:
        for queue in () if self._is_down else self._queues:
            for key in keys:
                queue.put_nowait(key)

    def _report(self, happenings: Sequence[Happening], tenant: str, pod: str) -> None:
        self.told += [Told(tenant=tenant, pod=pod, happening=happening) for happening in happenings]

    def _reach(self) -> None:
        if self._failures:
            raise self._failures.pop(0)
        if self._is_down:
            raise TemporaryError("StoreUnreachable")

    def _demand(self, epoch: int) -> None:
        self._reach()
        if not self._holder or epoch != self._epoch:
            raise ConflictError("NotLeader")


def _demand_deleted(wanted: Wanted) -> None:
    if wanted is not Wanted.DELETED:
        msg = "only what is wanted deleted may be forgotten"
        raise RuntimeError(msg)
