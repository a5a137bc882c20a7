"""The kinds of agents that can be run, and the plugins that were loaded or failed."""

from __future__ import annotations

import inspect
from typing import Any, Final

from litestar import Response, get
from litestar.di import NamedDependency
from msgspec import Struct

from agentpod_core import AgentPodError, catalogue
from agentpod_core.catalogue import Language
from agentpod_core.host import PluginState
from agentpod_server.api import views
from agentpod_server.api.shapes import SizeView
from agentpod_server.dashboard import pages
from agentpod_server.dashboard.pages import Anything
from agentpod_server.dashboard.shown import Tone
from agentpod_server.services import Services

_TONES: Final[dict[PluginState, Tone]] = {
    PluginState.OK: "good",
    PluginState.PARTLY: "warn",
    PluginState.FAILED: "bad",
    PluginState.DISABLED: "idle",
    PluginState.MISSING: "bad",
}


class ShownAdapter(Struct, frozen=True, kw_only=True):
    """A kind of agent; with ``error`` it cannot be used, and that is why."""

    name: str
    title: str = ""
    about: str = ""
    plugin: str = ""
    distribution: str = ""
    version: str = ""
    image: str = ""
    sizes: tuple[SizeView, ...] = ()
    error: str = ""


async def shown_adapters(services: Services, language: Language) -> list[ShownAdapter]:
    """List the kinds of agents by name."""
    return [await _shown(services, name, language) for name in services.offers.adapter_names()]


async def _shown(services: Services, name: str, language: Language) -> ShownAdapter:
    try:
        offered = await services.offers.offered(name)
    except AgentPodError as error:
        return ShownAdapter(name=name, title=name, error=catalogue.text(error.reason, error.params, language))
    about = (inspect.getdoc(type(offered.adapter)) or "").split("\n\n")[0].replace("`", "")
    return ShownAdapter(
        name=name,
        title=offered.adapter.title,
        about=" ".join(about.split()),
        plugin=offered.owner.plugin,
        distribution=offered.owner.distribution,
        version=offered.owner.version,
        image=offered.recipe.image if offered.recipe else "",
        sizes=tuple(views.sizes_of(offered.adapter)),
    )


@get("/adapters")
async def adapters(
    request: Anything, services: NamedDependency[Services], language: NamedDependency[Language]
) -> Response[Any]:
    """Show kinds of agents and plugins."""
    return pages.page(
        request,
        "adapters.html",
        adapters=await shown_adapters(services, language),
        tones=_TONES,
        plugins=[views.plugin_view(one, language) for one in await services.plugins.listing()],
    )
