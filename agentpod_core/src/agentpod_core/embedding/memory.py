"""The engine's side of the store in memory: what it reads of tenants and pods, writes of them, and its lease."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from agentpod_core.embedding.memory_alerts import KeptAlert, KeptAlerts
from agentpod_core.errors import ConflictError, NotFoundError, PermanentError
from agentpod_core.ports import RESYNC, PodInput, RouteInput, Sample, TenantInput, pod_key, tenant_key
from agentpod_core.values.alerts import AlertChange, Raise
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Happening, PodStatus, Record
from agentpod_core.values.workload import SecretRef

MINUTES_KEPT = 24 * 60
EVENTS_KEPT = 10_000


class Told(Struct, frozen=True, kw_only=True):
    """An event as a reader finds it."""

    tenant: str
    pod: str
    happening: Happening


class Memory:
    """Implements ``agentpod_core.ports.Store`` over what ``MemoryStore`` puts in.

    ``monotonic`` is the clock of the lease.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._told: deque[Told] = deque(maxlen=EVENTS_KEPT)
        self._alerts = KeptAlerts()
        self._monotonic = monotonic
        self._pods: dict[str, PodInput] = {}
        self._tenants: dict[str, TenantInput] = {}
        self._secrets: dict[tuple[str, str], list[str]] = {}
        self._holder, self._epoch, self._expires = "", 0, 0.0
        self._queues: set[asyncio.Queue[str]] = set()
        self._samples: dict[str, dict[datetime, Sample]] = {}

    @property
    def told(self) -> list[Told]:
        """The newest events, in their order."""
        return list(self._told)

    @property
    def alerts(self) -> list[KeptAlert]:
        """Every alert that is open, and those that ended last, in the order in which they were raised."""
        return self._alerts.listing()

    async def pods(self) -> list[PodInput]:
        """Give every pod that is not gone."""
        self._reach()
        return list(self._pods.values())

    async def ways_in(self) -> list[RouteInput]:
        """Give what routes are made of, for every pod that is not gone."""
        return [
            RouteInput(
                id=pod.id,
                address=pod.address,
                hosts=pod.hosts,
                ports=pod.workload.ports,
                route=pod.workload.route,
                wanted=pod.spec.wanted,
                tenant_wanted=pod.tenant_wanted,
            )
            for pod in await self.pods()
        ]

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

    async def save(  # noqa: PLR0913 - what a pass comes to
        self,
        epoch: int,
        pod_id: str,
        *,
        status: PodStatus,
        record: Record,
        happenings: Sequence[Happening] = (),
        alerts: Sequence[AlertChange] = (),
    ) -> None:
        """Write what was concluded; nothing for a pod that is gone."""
        self._demand(epoch)
        pod = self._pods.get(pod_id)
        if pod is not None:
            self._pods[pod_id] = msgspec.structs.replace(pod, status=status, record=record)
            self._alerts.change(alerts, tenant=pod.tenant, pod_id=pod_id, pod=pod.name)
            self._report(happenings, pod.tenant, pod.name)

    async def forget_pod(self, epoch: int, pod_id: str, happenings: Sequence[Happening] = ()) -> None:
        """Drop a deleted pod with its address and secrets."""
        self._demand(epoch)
        pod = self._pods.get(pod_id)
        if pod is None:
            return
        _demand_deleted(pod.spec.wanted)
        self._samples.pop(pod_id, None)
        del self._pods[pod_id]
        prefix = secret_prefix(pod_id)
        self._secrets = {at: found for at, found in self._secrets.items() if not at[1].startswith(prefix)}
        self._list_pods(pod.tenant_id)
        self._alerts.end(pod_id)
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

    async def report(
        self, happenings: Sequence[Happening], alerts: Sequence[AlertChange] = (), epoch: int | None = None
    ) -> None:
        """Write events and alerts that belong to no tenant; with an epoch, as that leader."""
        if epoch is None:
            self._reach()
        else:
            self._demand(epoch)
        self._alerts.change(alerts)
        self._report(happenings, "", "")

    async def platform_alerts(self) -> list[Raise]:
        """Give the platform's open alerts."""
        self._reach()
        return [
            Raise(reason=one.reason, severity=one.severity, subject=one.subject, params=one.params)
            for one in self._alerts.open_of("")
        ]

    async def sampled(self, samples: Sequence[Sample]) -> None:
        """Add to the history of pods: a day of it is kept."""
        self._reach()
        for sample in samples:
            if sample.pod_id in self._pods:
                at = sample.at.replace(second=0, microsecond=0)
                kept = self._samples.setdefault(sample.pod_id, {})
                restarts = sample.restarts + (kept[at].restarts if at in kept else 0)
                kept[at] = msgspec.structs.replace(sample, at=at, restarts=restarts)
                if len(kept) > MINUTES_KEPT:
                    del kept[min(kept)]

    def samples(self, pod_id: str) -> list[Sample]:
        """Give what is kept of a pod's samples, the oldest first."""
        return [sample for _, sample in sorted(self._samples.get(pod_id, {}).items())]

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
        now = self._monotonic()
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

    def _list_pods(self, tenant_id: str) -> None:
        listed = tuple(pod.id for pod in self._pods.values() if pod.tenant_id == tenant_id)
        self._tenants[tenant_id] = msgspec.structs.replace(self._tenants[tenant_id], pods=listed)

    def _tell(self, *keys: str) -> None:
        for queue in self._queues:
            for key in keys:
                queue.put_nowait(key)

    def _report(self, happenings: Sequence[Happening], tenant: str, pod: str) -> None:
        self._told += [Told(tenant=tenant, pod=pod, happening=happening) for happening in happenings]

    def _reach(self) -> None:
        """Answer the engine; memory always can, and a test's store may raise here."""

    def _demand(self, epoch: int) -> None:
        self._reach()
        if not self._holder or epoch != self._epoch:
            raise ConflictError("NotLeader")


def secret_prefix(pod_id: str) -> str:
    """Give the beginning of the keys of the secrets that go when a pod goes."""
    return f"pod/{pod_id}/"


def _demand_deleted(wanted: Wanted) -> None:
    if wanted is not Wanted.DELETED:
        msg = "only what is wanted deleted may be forgotten"
        raise RuntimeError(msg)
