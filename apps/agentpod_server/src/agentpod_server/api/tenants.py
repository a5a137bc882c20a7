"""``/tenants``: customers."""

from __future__ import annotations

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from agentpod_core.catalogue import Language
from agentpod_core.values.pods import Wanted
from agentpod_server.api import views
from agentpod_server.api.auth import PLATFORM
from agentpod_server.api.bodies import StrictBody
from agentpod_server.api.paging import Cascade, Cursor, KeepData, Limit, Search
from agentpod_server.api.preconditions import etag
from agentpod_server.api.problems import reasons
from agentpod_server.api.shapes import Page, TenantCreate, TenantPatch, TenantStatusView, TenantView
from agentpod_server.records import Scope, TenantRecord
from agentpod_server.services import Services


class TenantsController(Controller):
    """Tenants and their verbs."""

    path = "/tenants"
    tags = ("Tenants",)

    @get(operation_id="list_tenants", summary="List tenants")
    async def listing(
        self,
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        search: Search = "",
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[TenantView]:
        """List tenants by slug; ``search`` looks into slug, name and e-mail address."""
        found, following = await services.tenants.listing(asking, search=search, cursor=cursor, limit=limit)
        return Page(items=[views.tenant_view(one) for one in found], next=following)

    @post(
        operation_id="create_tenant",
        summary="Create a tenant",
        responses={200: ResponseSpec(TenantView, description="It exists already.")},
        opt=PLATFORM | reasons("InvalidConfig", "TenantExists", "TenantDeleting", "SubnetsExhausted"),
        dto=StrictBody[TenantCreate],
        return_dto=None,
    )
    async def create(
        self, data: JSONBody[TenantCreate], services: NamedDependency[Services], asking: NamedDependency[Scope]
    ) -> Response[TenantView]:
        """Create a tenant; the same again answers 200 with the one that exists."""
        made, is_new = await services.tenants.create(asking, slug=data.slug, name=data.name, email=data.email)
        return _answer(made, 201 if is_new else 200)

    @get("/{tenant:str}", operation_id="get_tenant", summary="Get a tenant")
    async def one(
        self, tenant: FromPath[str], services: NamedDependency[Services], asking: NamedDependency[Scope]
    ) -> Response[TenantView]:
        """Get a tenant by slug."""
        return _answer(await services.tenants.get(asking, tenant))

    @patch(
        "/{tenant:str}",
        operation_id="update_tenant",
        summary="Change a tenant",
        opt=PLATFORM | reasons("InvalidConfig", "TenantDeleting"),
        dto=StrictBody[TenantPatch],
        return_dto=None,
    )
    async def update(
        self,
        tenant: FromPath[str],
        data: JSONBody[TenantPatch],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        expected: NamedDependency[frozenset[int] | None],
    ) -> Response[TenantView]:
        """Change name or e-mail address by a JSON merge patch; If-Match is demanded."""
        after = await services.tenants.update(asking, tenant, expected=expected, name=data.name, email=data.email)
        return _answer(after)

    @delete(
        "/{tenant:str}",
        operation_id="delete_tenant",
        summary="Delete a tenant",
        opt=PLATFORM | reasons("TenantHasPods"),
        status_code=202,
    )
    async def remove(
        self,
        tenant: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        cascade: Cascade = False,  # noqa: FBT002 - a query parameter
        keep_data: KeepData = False,  # noqa: FBT002 - a query parameter
    ) -> Response[TenantView]:
        """Ask for a tenant's end, with ``cascade`` for that of its pods too. It is gone once nothing of it is left."""
        return _answer(await services.tenants.delete(asking, tenant, cascade=cascade, keep_data=keep_data), 202)

    @post(
        "/{tenant:str}/start",
        operation_id="start_tenant",
        opt=reasons("TenantDeleting"),
        summary="Start a tenant's pods",
        status_code=200,
    )
    async def start(
        self, tenant: FromPath[str], services: NamedDependency[Services], asking: NamedDependency[Scope]
    ) -> Response[TenantView]:
        """Let the tenant's pods run that are wanted to."""
        return _answer(await services.tenants.set_wanted(asking, tenant, Wanted.RUNNING))

    @post(
        "/{tenant:str}/stop",
        operation_id="stop_tenant",
        opt=reasons("TenantDeleting"),
        summary="Stop a tenant's pods",
        status_code=200,
    )
    async def stop(
        self, tenant: FromPath[str], services: NamedDependency[Services], asking: NamedDependency[Scope]
    ) -> Response[TenantView]:
        """Stop all of the tenant's pods; their data stays."""
        return _answer(await services.tenants.set_wanted(asking, tenant, Wanted.STOPPED))

    @get("/{tenant:str}/status", operation_id="get_tenant_status", summary="Get a tenant's status")
    async def status(
        self,
        tenant: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> TenantStatusView:
        """Say how the tenant's pods are, and how available they were."""
        found = await services.tenants.status(asking, tenant)
        summary, this_month = await services.availability.tenant_summary(asking, found.tenant)
        return views.tenant_status_view(found, summary, this_month, language)


def _answer(tenant: TenantRecord, status: int = 200) -> Response[TenantView]:
    headers = {"ETag": etag(tenant.generation)}
    if status == 201:  # noqa: PLR2004 - an HTTP status
        headers["Location"] = f"/api/v1/tenants/{tenant.slug}"
    return Response(views.tenant_view(tenant), status_code=status, headers=headers)
