"""Making a pod: first its kind, then the form that the kind's own schema gives."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from agentpod_core import AgentAdapter, AgentPodError
from agentpod_core.catalogue import Language
from agentpod_server import forms
from agentpod_server.dashboard import pages, podforms
from agentpod_server.dashboard.adapters import shown_adapters
from agentpod_server.dashboard.pages import Anything
from agentpod_server.records import Role, Scope, TenantRecord
from agentpod_server.services import Services

_TENANTS = 500
_CHANGES = {"role": Role.OPERATOR}


class CreatingPages(Controller):
    """The way to a new pod."""

    path = "/pods/new"

    @get(opt=_CHANGES)
    async def form(  # noqa: PLR0913 - what a page needs
        self,
        request: Anything,
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
        type_: FromQuery[str] = "",
        tenant: FromQuery[str] = "",
    ) -> Response[Any]:
        """Show the kinds to choose from, or the form of the kind that was chosen."""
        chosen = request.query_params.get("type", type_)
        tenants = await _tenants(services, asking)
        if not chosen or not tenants:
            return pages.page(
                request,
                "pod_kinds.html",
                adapters=await shown_adapters(services, language),
                tenant=tenant,
                has_tenants=bool(tenants),
            )
        kind = services.offers.adapter(chosen)
        drawn = podforms.empty(kind, language, tenants, tenant=tenant)
        return _page(request, kind, drawn)

    @post(opt=_CHANGES)
    async def make(
        self,
        request: Anything,
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[Any]:
        """Make the pod, or show what is wrong with what was asked, each thing at its field."""
        posted = forms.posted_of((await request.form()).multi_items())
        kind = services.offers.adapter(forms.last(posted, "type") or "")
        tenant, name = (forms.last(posted, f"pod.{one}") or "" for one in ("tenant", "name"))
        try:
            asked = podforms.asked(kind, posted, None, None)
            made, is_new = await services.specs.create(
                asking, tenant.strip(), name=name.strip(), adapter=kind.name, asked=asked
            )
        except AgentPodError as error:
            tenants = await _tenants(services, asking)
            drawn = podforms.empty(kind, language, tenants, tenant=tenant, posted=posted, error=error)
            return _page(request, kind, drawn, status=podforms.status_of(error))
        done = "made" if is_new else "there"
        return pages.go(f"/dashboard/pods/{made.id}?done={done}")


def _page(request: Anything, kind: AgentAdapter[Any], drawn: podforms.PodForm, status: int = 200) -> Response[str]:
    return pages.page(request, "pod_new.html", status=status, kind=kind, form=drawn)


async def _tenants(services: Services, asking: Scope) -> list[TenantRecord]:
    found, _ = await services.tenants.listing(asking, limit=_TENANTS)
    return found
