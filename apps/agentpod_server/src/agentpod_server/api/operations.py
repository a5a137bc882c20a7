"""``/operations``: long work, to be watched."""

from __future__ import annotations

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentpod_core.catalogue import Language
from agentpod_server.api import views
from agentpod_server.api.paging import Cursor, InStatus, Kind, Limit
from agentpod_server.api.shapes import OperationView, Page
from agentpod_server.records import Scope
from agentpod_server.services import Services

_TAGS = ("Operations",)


@get("/operations", operation_id="list_operations", summary="List operations", tags=_TAGS)
async def operations(  # noqa: PLR0913 - the filters of a listing
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
    kind: Kind = None,
    status: InStatus = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[OperationView]:
    """List operations, the newest first."""
    found, following = await services.operations.listing(asking, kind=kind, status=status, cursor=cursor, limit=limit)
    return Page(items=[views.operation_view(one, language) for one in found], next=following)


@get("/operations/{operation:str}", operation_id="get_operation", summary="Get an operation", tags=_TAGS)
async def operation_(
    operation: FromPath[str],
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
) -> OperationView:
    """Say how far an operation is."""
    return views.operation_view(await services.operations.get(asking, operation), language)
