"""What the engine asks of whoever embeds it: a store, links to agents, and telemetry.

These are Protocols, not plug points: an application implements them, a plugin never does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from agentpod_core.plugpoints.context import Clock as Clock
from agentpod_core.plugpoints.link import Link
from agentpod_core.values.alerts import AlertChange, Raise
from agentpod_core.values.pods import Lease, PodSpec, Wanted
from agentpod_core.values.status import Happening, PodStatus, Record
from agentpod_core.values.workload import Port, RouteSpec, SecretRef, Workload
from agentpod_core.values.world import Endpoint

RESYNC = "resync"
ROUTES = "routes"


def pod_key(pod_id: str) -> str:
    """Give the queue key of a pod."""
    return f"pod:{pod_id}"


def tenant_key(tenant_id: str) -> str:
    """Give the queue key of a tenant, which owns its network."""
    return f"tenant:{tenant_id}"


class PodInput(Struct, frozen=True, kw_only=True):
    """All that the store knows of one pod when a pass begins.

    ``tenant`` and ``name`` are slugs. ``workload`` is the one rendered for ``generation``.
    ``hosts`` are the full public host names. ``credential`` is the secret that the link sends as
    bearer token, ``secrets`` all the generated ones by name.
    """

    id: str
    name: str
    tenant_id: str
    tenant: str
    generation: int
    spec: PodSpec
    workload: Workload
    lease: Lease
    address: str
    hosts: tuple[str, ...]
    secrets: dict[str, SecretRef] = {}
    credential: str | None = None
    status: PodStatus = PodStatus()
    record: Record = Record()
    tenant_wanted: Wanted = Wanted.RUNNING


class RouteInput(Struct, frozen=True, kw_only=True):
    """What the store knows of one pod's way in; the fields are those of ``PodInput`` and its workload."""

    id: str
    address: str
    hosts: tuple[str, ...]
    ports: tuple[Port, ...]
    route: RouteSpec | None
    wanted: Wanted
    tenant_wanted: Wanted


class TenantInput(Struct, frozen=True, kw_only=True):
    """All that the store knows of one tenant when a pass begins; ``pods`` are the ids of its pods."""

    id: str
    slug: str
    lease: Lease
    wanted: Wanted = Wanted.RUNNING
    pods: tuple[str, ...] = ()


class Sample(Struct, frozen=True, kw_only=True):
    """What a running pod used in one minute.

    ``at`` is the minute, ``cpu`` in millicores, ``memory``, ``limit`` and ``storage`` in bytes, None where there is
    none or it is unknown. ``restarts`` is how often it was started again since its last sample.
    """

    pod_id: str
    at: datetime
    cpu: int
    memory: int
    limit: int | None = None
    storage: int | None = None
    restarts: int = 0


class Store(Protocol):
    """The engine's side of the database. Everything here sees all tenants.

    Every method raises TemporaryError(``StoreUnreachable``) when the database does not answer.
    A write with an ``epoch`` that is no longer the leader's raises ConflictError(``NotLeader``)
    and changes nothing.
    """

    async def pods(self) -> list[PodInput]:
        """Give every pod that is not gone, in one query."""
        ...

    async def ways_in(self) -> list[RouteInput]:
        """Give what routes are made of, for every pod that is not gone: read at each change, so cheap with many."""
        ...

    async def pod(self, pod_id: str) -> PodInput | None:
        """Give one pod; None when it is gone."""
        ...

    async def tenants(self) -> list[TenantInput]:
        """Give every tenant that is not gone."""
        ...

    async def tenant(self, tenant_id: str) -> TenantInput | None:
        """Give one tenant; None when it is gone."""
        ...

    async def save(  # noqa: PLR0913 - all that a pass writes at once
        self,
        epoch: int,
        pod_id: str,
        *,
        status: PodStatus,
        record: Record,
        happenings: Sequence[Happening] = (),
        alerts: Sequence[AlertChange] = (),
    ) -> None:
        """Write conclusions, record, events and alerts in one transaction; nothing for a pod that is gone."""
        ...

    async def forget_pod(self, epoch: int, pod_id: str, happenings: Sequence[Happening] = ()) -> None:
        """Drop a deleted pod of which nothing is left: row, address, secrets. A second time is fine."""
        ...

    async def forget_tenant(self, epoch: int, tenant_id: str, happenings: Sequence[Happening] = ()) -> None:
        """Drop a deleted tenant of which nothing is left. A second time is fine."""
        ...

    async def report(
        self, happenings: Sequence[Happening], alerts: Sequence[AlertChange] = (), epoch: int | None = None
    ) -> None:
        """Write events and alerts that belong to no tenant, in one transaction; with an epoch, as that leader."""
        ...

    async def platform_alerts(self) -> list[Raise]:
        """Give the alerts that are open and belong to no tenant, each as what would raise it now."""
        ...

    async def sampled(self, samples: Sequence[Sample]) -> None:
        """Add to the history of pods; a second sample of one minute takes the place of the first, but for its restarts.

        Each start again is told in one sample only, so that those of both count.
        Samples of pods that are gone are left out. History is bounded: old points are made fewer, and end.
        """
        ...

    def changes(self) -> AsyncIterator[str]:
        """Follow what the rest of the platform changed, as queue keys, for ever.

        ``RESYNC`` comes first and after every time that changes may have been missed.
        """
        ...

    async def lead(self, holder: str, seconds: float) -> int | None:
        """Take or renew the lease for that long by the database's clock.

        Gives the epoch, which grows whenever the holder changes; None while somebody else leads.
        """
        ...

    async def step_down(self, holder: str) -> None:
        """Give the lease up at once, if it is held."""
        ...

    async def secret(self, tenant_id: str, ref: SecretRef) -> str:
        """Give a secret's value from whatever store its reference names.

        Raises:
            NotFoundError: there is no such secret in that tenant.
        """
        ...


class Links(Protocol):
    """Makes links to agents."""

    def link(self, pod: PodInput, endpoint: Endpoint, container: str) -> Link:
        """Give a line to that pod's agent; ``endpoint`` is its routed port as observed."""
        ...


class Telemetry(Protocol):
    """Is told what the engine does; must be cheap and never raise."""

    def span(self, name: str, **facts: str) -> AbstractContextManager[object]:
        """Something begins that ends with the block, possibly by an exception; what is logged in it has these facts.

        ``reconcile`` is a pass, ``act`` a change.
        """
        ...

    def reconciled(self, key: str, seconds: float, outcome: str) -> None:
        """One pass ended: ``ok``, ``waiting``, ``failed``."""
        ...

    def acted(self, action: str, seconds: float, outcome: str) -> None:
        """One action ended: ``ok`` or the error's reason."""
        ...

    def probed(self, pod_id: str, seconds: float, outcome: str, *, ready: bool) -> None:
        """One probe ended, with the result's reason, and whether the agent is well."""
        ...
