"""Looking at one running agent: its plan, health, logs, use, and the door for a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from msgspec import Struct

from agentpod_core import AgentAdapter, ConflictError, Door, NotFoundError, Pod, TemporaryError, Usage
from agentpod_core.plan import Plan
from agentpod_core.values.names import container_name
from agentpod_server.records import PodRecord, Scope
from agentpod_server.services.addresses import Addresses
from agentpod_server.services.engine import Engine
from agentpod_server.services.offers import Offers
from agentpod_server.services.render import Place, pod_view
from agentpod_server.store import generations, pod_listings, pods, tenants
from agentpod_server.store.database import Database

_PAGE = 500


class OpenDoor(Struct, frozen=True, kw_only=True):
    """Where a browser gets in; a link with an end works once."""

    url: str
    expires_at: datetime | None = None


class Agents:
    """The use cases that need the engine."""

    def __init__(
        self, database: Database, engine: Engine, offers: Offers, addresses: Addresses, *, instance: str
    ) -> None:
        self._database = database
        self._engine = engine
        self._offers = offers
        self._addresses = addresses
        self._instance = instance

    async def plan(self, pod: PodRecord) -> Plan | None:
        """Say what a pass would do for a pod now; None for one that is gone."""
        return await self._engine.plan(pod.id)

    async def chosen(self, scope: Scope, *, tenant: str | None = None, pod: str | None = None) -> list[PodRecord]:
        """Give one pod, those of a tenant, or all that the scope sees."""
        found: list[PodRecord] = []
        async with self._database.transaction(scope):
            if tenant is not None:
                await tenants.get(tenant)
            if tenant is not None and pod is not None:
                return [await pods.get(tenant, pod)]
            after: tuple[str, ...] | None = None
            while True:
                page = await pod_listings.listing(tenant=tenant, after=after, limit=_PAGE)
                found.extend(page.items)
                after = page.next
                if after is None:
                    return found

    async def usage(self, pod: PodRecord) -> Usage | None:
        """Measure a pod; None while it does not run."""
        try:
            return await self._engine.runtime.stats(container_name(self._instance, pod.id))
        except NotFoundError:
            return None

    async def logs(
        self, pod: PodRecord, *, tail: int | None = None, follow: bool = False, since: datetime | None = None
    ) -> AsyncIterator[bytes]:
        """Give the lines of a pod's output; with ``follow`` the iterator ends when the container does.

        Raises:
            NotFoundError: the pod has no container yet, or none any more (``PodHasNoContainer``).
        """
        container = await self._engine.runtime.inspect(container_name(self._instance, pod.id))
        if container is None:
            raise NotFoundError("PodHasNoContainer", tenant=pod.tenant, pod=pod.name)
        return self._engine.runtime.logs(container.id, tail=tail, follow=follow, since=since)

    async def open(self, pod: PodRecord) -> OpenDoor:
        """Give a browser its way in.

        Raises:
            ConflictError: it has no public address (``PodNotRouted``), or is wanted stopped (``PodIsStopped``).
            TemporaryError: it does not run yet (``PodNotRunning``), or its agent does not answer.
        """
        where = {"tenant": pod.tenant, "pod": pod.name}
        async with self._database.transaction(Scope(tenant_id=pod.tenant_id)):
            part = await generations.engine_part(pod.id)
        if part is None or part.workload.route is None:
            raise ConflictError("PodNotRouted", **where)
        adapter = self._offers.find_adapter(pod.spec.adapter)
        url = self._addresses.url(pod.spec.subdomain)
        if adapter is None or type(adapter).open_door is AgentAdapter.open_door:
            return OpenDoor(url=url)
        if not pod.is_wanted:
            raise ConflictError("PodIsStopped", **where)
        link = await self._engine.link(pod.id)
        if link is None:
            raise TemporaryError("PodNotRunning", retry_after=2, **where)
        door: Door | None = await self._offers.ask(adapter, "open_door", link, self._view(adapter, pod))
        if door is None:
            return OpenDoor(url=url)
        return OpenDoor(url=self._addresses.url(pod.spec.subdomain, door.path), expires_at=door.expires_at)

    def _view(self, adapter: AgentAdapter[Any], pod: PodRecord) -> Pod:
        place = Place(
            id=pod.id,
            name=pod.name,
            tenant=pod.tenant,
            tenant_name=pod.tenant_name,
            address=pod.address,
            lease=pod.lease,
        )
        return pod_view(adapter, place, pod.spec, pod.secrets, self._addresses)
