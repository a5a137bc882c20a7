"""A store in memory that keeps the store's contract: for an application without a database, and for tests.

What is in it is gone with the process. The next one knows nothing of the containers that run on.
"""

from __future__ import annotations

import asyncio
import secrets as chance
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network
from typing import Any

import msgspec
from msgspec import Struct

from agentpod_core.desired import workload_problems
from agentpod_core.embedding.memory import Memory, secret_prefix
from agentpod_core.errors import ConfigError, ConflictError
from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.ports import PodInput, TenantInput, pod_key, tenant_key
from agentpod_core.values.names import default_subdomain, slug_problem
from agentpod_core.values.pods import Lease, Pod, PodSpec, Wanted
from agentpod_core.values.resources import Resources
from agentpod_core.values.status import Happening, PodStatus
from agentpod_core.values.workload import SecretRef, Workload

_FIRST_HOST = 4


class MemoryStore(Memory):
    """Keeps tenants and pods, and does to them what an operator does.

    ``address_range`` is cut into pieces of 64 addresses, one for each tenant. ``monotonic`` is the clock of the lease.
    """

    def __init__(
        self, *, address_range: str = "10.217.0.0/16", monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(monotonic=monotonic)
        self._range = IPv4Network(address_range)
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}
        self._ids = 0

    async def add_tenant(self, slug: str) -> str:
        """Create a tenant with the lowest free subnet and give its id.

        Raises:
            ConfigError: ``InvalidName``.
            ConflictError: ``SubnetsExhausted``.
        """
        _demand_name(slug)
        taken = {tenant.lease.number for tenant in self._tenants.values()}
        subnets = enumerate(self._range.subnets(new_prefix=26))
        number, subnet = next((one for one in subnets if one[0] not in taken), (0, None))
        if subnet is None:
            raise ConflictError("SubnetsExhausted", range=str(self._range))
        lease = Lease(number=number, subnet=str(subnet), gateway=str(subnet[1]))
        tenant_id = self._new_id()
        self._tenants[tenant_id] = TenantInput(id=tenant_id, slug=slug, lease=lease)
        self._tell(tenant_key(tenant_id))
        return tenant_id

    async def create_pod(self, tenant_id: str, name: str, adapter: AgentAdapter[Any], config: Struct) -> str:
        """Create a pod as its adapter renders it, in its first size and with the secrets that it asks for.

        Raises:
            ConfigError: the adapter refuses the config, what it rendered does not fit together, or ``InvalidName``.
            ConflictError: ``SubdomainTaken``, by a pod of the same name; ``AddressesExhausted``.
        """
        tenant, pod_id = self._tenants[tenant_id], self._new_id()
        subdomain, address = self._free_subdomain(tenant, name), self._free_address(tenant)
        secrets = {
            one: await self.put_secret(tenant_id, f"{secret_prefix(pod_id)}{one}", chance.token_urlsafe(32))
            for one in adapter.generated_secrets
        }
        pod = Pod(
            id=pod_id,
            name=name,
            tenant=tenant.slug,
            tenant_name=tenant.slug,
            host=f"{subdomain}.localhost",
            origins=(f"http://{subdomain}.localhost",),
            address=address,
            gateway=tenant.lease.gateway,
            hostname=f"{name}-{tenant.slug}",
            size=next(iter(adapter.sizes), None),
            resources=next(iter(adapter.sizes.values()), Resources()),
            secrets=secrets,
        )
        workload = adapter.workload(config, pod, None)
        if problems := workload_problems(workload):
            raise ConfigError(problems)
        spec = PodSpec(adapter=adapter.name, config=msgspec.to_builtins(config), subdomain=subdomain)
        self._keep(tenant, pod_id, name, spec, workload, secrets, adapter.credential)
        return pod_id

    async def add_pod(  # noqa: PLR0913 - a pod has that many parts
        self,
        tenant_id: str,
        name: str,
        *,
        workload: Workload,
        adapter: str = "",
        config: dict[str, Any] | None = None,
        wanted: Wanted = Wanted.RUNNING,
        secrets: dict[str, SecretRef] | None = None,
        credential: str | None = None,
    ) -> str:
        """Create a pod that runs a given workload, with the lowest free address, and give its id.

        Raises:
            ConfigError: ``InvalidName``.
            ConflictError: ``SubdomainTaken``, ``AddressesExhausted``.
        """
        tenant, pod_id = self._tenants[tenant_id], self._new_id()
        subdomain = self._free_subdomain(tenant, name)
        spec = PodSpec(adapter=adapter, config=config or {}, wanted=wanted, subdomain=subdomain)
        self._keep(tenant, pod_id, name, spec, workload, secrets or {}, credential)
        return pod_id

    async def change_pod(
        self, pod_id: str, *, workload: Workload | None = None, config: dict[str, Any] | None = None
    ) -> int:
        """Make a new generation with that config and workload."""
        pod = self._pods[pod_id]
        spec = pod.spec if config is None else msgspec.structs.replace(pod.spec, config=config)
        return self._generation(pod, spec, workload or pod.workload)

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

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left of any tenant."""
        return not self._tenants

    def status(self, pod_id: str) -> PodStatus | None:
        """Give what was concluded last about a pod; None when it is gone."""
        pod = self._pods.get(pod_id)
        return pod.status if pod else None

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, looking after each write of the engine, so that none is missed.

        What the condition raises is raised here.
        """
        if condition():
            return
        come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[come] = condition
        try:
            await come
        finally:
            del self._waiting[come]

    def _new_id(self) -> str:
        self._ids += 1
        return f"00000000-0000-7000-8000-{self._ids:012d}"

    def _free_address(self, tenant: TenantInput) -> str:
        taken = {pod.address for pod in self._pods.values() if pod.tenant_id == tenant.id}
        hosts = (str(host) for host in list(IPv4Network(tenant.lease.subnet))[_FIRST_HOST:-1])
        free = next((host for host in hosts if host not in taken), None)
        if free is None:
            raise ConflictError("AddressesExhausted", tenant=tenant.slug, subnet=tenant.lease.subnet)
        return free

    def _free_subdomain(self, tenant: TenantInput, name: str) -> str:
        _demand_name(name)
        subdomain = default_subdomain(tenant.slug, name)
        for pod in self._pods.values():
            if pod.spec.subdomain == subdomain:
                raise ConflictError("SubdomainTaken", subdomain=subdomain, holder=f"{pod.tenant}/{pod.name}")
        return subdomain

    def _keep(  # noqa: PLR0913 - a pod has that many parts
        self,
        tenant: TenantInput,
        pod_id: str,
        name: str,
        spec: PodSpec,
        workload: Workload,
        secrets: dict[str, SecretRef],
        credential: str | None,
    ) -> None:
        self._pods[pod_id] = PodInput(
            id=pod_id,
            name=name,
            tenant_id=tenant.id,
            tenant=tenant.slug,
            generation=1,
            spec=spec,
            workload=workload,
            lease=tenant.lease,
            address=self._free_address(tenant),
            hosts=(f"{spec.subdomain}.localhost",),
            secrets=secrets,
            credential=credential,
            tenant_wanted=tenant.wanted,
        )
        self._list_pods(tenant.id)
        self._tell(pod_key(pod_id), tenant_key(tenant.id))

    def _generation(self, pod: PodInput, spec: PodSpec, workload: Workload) -> int:
        changed = msgspec.structs.replace(pod, spec=spec, workload=workload, generation=pod.generation + 1)
        self._pods[pod.id] = changed
        self._tell(pod_key(pod.id))
        return changed.generation

    def _report(self, happenings: Sequence[Happening], tenant: str, pod: str) -> None:
        super()._report(happenings, tenant, pod)
        for come, condition in self._waiting.items():
            if not come.done():
                _tell_when(come, condition)


def _demand_name(name: str) -> None:
    if problem := slug_problem(name, "$.name"):
        raise ConfigError([problem])


def _tell_when(come: asyncio.Future[None], condition: Callable[[], bool]) -> None:
    try:
        if condition():
            come.set_result(None)
    except Exception as error:  # noqa: BLE001 - whoever waits made the condition; the engine's write goes on
        come.set_exception(error)
