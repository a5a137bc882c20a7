"""``/adapters``, ``/plugins`` and ``/images``: what can be run here."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from agentpod_core.catalogue import Language
from agentpod_server.api import views
from agentpod_server.api.auth import PLATFORM
from agentpod_server.api.bodies import StrictBody
from agentpod_server.api.problems import reasons
from agentpod_server.api.shapes import AdapterView, ImageBuild, ImageView, OperationView, Page, PluginView
from agentpod_server.records import Scope
from agentpod_server.services import Services
from agentpod_server.services.config import published
from agentpod_server.services.offers import OfferedAdapter

_TAGS = ("Adapters",)
SCHEMA = "application/schema+json"


@get("/adapters", operation_id="list_adapters", summary="List adapters", tags=_TAGS)
async def adapters(services: NamedDependency[Services]) -> Page[AdapterView]:
    """List the kinds of agents that can be run."""
    return Page(items=[_adapter(await services.offers.offered(name)) for name in services.offers.adapter_names()])


@get("/adapters/{adapter:str}", operation_id="get_adapter", summary="Get an adapter", tags=_TAGS)
async def adapter_(adapter: FromPath[str], services: NamedDependency[Services]) -> AdapterView:
    """Describe one kind of agent."""
    return _adapter(await services.offers.offered(adapter))


@get(
    "/adapters/{adapter:str}/schema",
    operation_id="get_adapter_schema",
    summary="Get an adapter's JSON Schema",
    tags=_TAGS,
    responses={200: ResponseSpec(dict[str, Any], media_type=SCHEMA)},
)
async def adapter_schema(adapter: FromPath[str], services: NamedDependency[Services]) -> Response[dict[str, Any]]:
    """Give the JSON Schema (2020-12) of the adapter's config."""
    found = published(services.offers.adapter(adapter).config_type)
    return Response(found, media_type=SCHEMA)


@get("/plugins", operation_id="list_plugins", summary="List plugins", tags=_TAGS)
async def plugins(services: NamedDependency[Services], language: NamedDependency[Language]) -> Page[PluginView]:
    """List the plugins that were found, and why one is left out."""
    return Page(items=[views.plugin_view(one, language) for one in await services.plugins.listing()])


@get("/images", operation_id="list_images", opt=reasons("EngineUnreachable"), summary="List images", tags=("Images",))
async def images(services: NamedDependency[Services]) -> Page[ImageView]:
    """List the images that the engine has of what this platform built or runs."""
    found = await services.images.listing()
    return Page(items=[ImageView(name=name, adapters=used_by) for name, used_by in found])


@post(
    "/images",
    operation_id="build_image",
    summary="Build an image",
    tags=("Images",),
    opt=PLATFORM | reasons("UnknownAdapter", "ImageNotBuildable"),
    status_code=202,
    dto=StrictBody[ImageBuild],
    return_dto=None,
)
async def build_image(
    data: JSONBody[ImageBuild],
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
) -> Response[OperationView]:
    """Build an adapter's image on this machine; the answer is the operation to watch."""
    operation = await services.images.build(asking, data.adapter)
    services.runner.wake()
    headers = {"Location": f"/api/v1/operations/{operation.id}"}
    return Response(views.operation_view(operation, language), status_code=202, headers=headers)


def _adapter(offered: OfferedAdapter) -> AdapterView:
    adapter = offered.adapter
    return AdapterView(
        id=adapter.name,
        title=adapter.title,
        plugin=offered.owner.plugin,
        distribution=offered.owner.distribution,
        version=offered.owner.version,
        config_version=adapter.config_version,
        sizes=views.sizes_of(adapter),
        request=adapter.request,
        boot_cost=adapter.boot_cost,
        image=offered.recipe.image if offered.recipe else None,
        buildable=offered.recipe is not None,
    )
