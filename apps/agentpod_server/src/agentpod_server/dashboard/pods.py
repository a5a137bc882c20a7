"""The list of pods across tenants: filtered, searched, and kept up to date row by row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from agentpod_core import NotFoundError
from agentpod_core.catalogue import Language
from agentpod_core.values.status import Phase
from agentpod_server.dashboard import pages, shown
from agentpod_server.dashboard.errors import MovedError
from agentpod_server.dashboard.pages import Anything
from agentpod_server.records import PodRecord, Scope
from agentpod_server.services import Services

PAGE = 100


async def pod_of(services: Services, asking: Scope, ref: str, below: str = "") -> PodRecord:
    """Give the pod of a page: by its id.

    A tenant's name there, with a pod's name below it, is an address of old and leads to the new one.

    Raises:
        NotFoundError: there is no such pod.
        MovedError: the page is at the pod's id.
    """
    try:
        pod_id = str(UUID(ref))
    except ValueError:
        if not below:
            raise NotFoundError("PodIdNotFound", pod_id=ref[:80]) from None
        found = await services.pods.get(asking, ref, below)
        raise MovedError(f"/dashboard/pods/{found.id}") from None
    return await services.pods.by_id(asking, pod_id)


class PodPages(Controller):
    """The list, its rows, and names that lead to ids."""

    path = "/pods"

    @get()
    async def listing(  # noqa: PLR0913 - the filters of a listing
        self,
        request: Anything,
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
        q: FromQuery[str] = "",
        phase: FromQuery[str] = "",
        tenant: FromQuery[str] = "",
        adapter: FromQuery[str] = "",
        cursor: FromQuery[str] = "",
    ) -> Response[Any]:
        """Show pods by tenant."""
        filters = {"q": q.strip()[:100], "phase": phase, "tenant": tenant, "adapter": adapter}
        since = datetime.now(UTC)
        latest, _ = await services.events.listing(asking, limit=1)
        wanted = Phase(phase) if phase in set(Phase) else None
        found: list[PodRecord] = []
        following: str | None = None
        is_known_tenant = True
        try:
            found, following = await services.pods.listing(
                asking,
                tenant=tenant or None,
                phase=wanted,
                adapter=adapter or None,
                search=filters["q"],
                cursor=cursor or None,
                limit=PAGE,
            )
        except NotFoundError:
            # A tenant that is gone has no pods; the filter says so better than an error.
            is_known_tenant = False
        tenants, _ = await services.tenants.listing(asking, limit=500)
        asked = {name: value for name, value in filters.items() if value}
        return pages.page(
            request,
            "pods.html",
            groups=shown.by_tenant(shown.shown_pod(services, one, language) for one in found),
            is_known_tenant=is_known_tenant,
            filters=filters,
            is_filtered=bool(asked),
            tenants=tenants,
            phases=list(Phase),
            adapters=services.offers.adapter_names(),
            refresh=_address(asked | ({"cursor": cursor} if cursor else {})),
            following=_address(asked | {"cursor": following}) if following else "",
            after=latest[-1].seq if latest else 0,
            since=since,
        )

    @get("/{ref:str}/row")
    async def row(
        self,
        request: Anything,
        ref: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[Any]:
        """Give one row anew; nothing for a pod that is gone, which takes its row away."""
        try:
            found = await pod_of(services, asking, ref, "row")
        except NotFoundError:
            return Response("", media_type="text/html")
        return pages.page(request, "_pod_row.html", pod=shown.shown_pod(services, found, language))

    @get("/{ref:str}/{pod:str}")
    async def by_name(
        self,
        ref: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
    ) -> Response[Any]:
        """Lead from a tenant's and a pod's names to the pod's page."""
        found = await services.pods.get(asking, ref, pod)
        return pages.go(f"/dashboard/pods/{found.id}")


def _address(query: dict[str, str]) -> str:
    return f"/dashboard/pods?{urlencode(query)}" if query else "/dashboard/pods"
