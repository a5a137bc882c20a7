"""The dashboard: pages for people over the same services that the API has. No build step, no foreign host.

Everything but live updates works without scripts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from litestar import Response, Router
from litestar.di import Provide
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler

from agentpod_core.catalogue import Language
from agentpod_server.api import auth
from agentpod_server.dashboard import (
    adapters,
    creating,
    door,
    errors,
    live,
    logs,
    overview,
    pages,
    pod,
    pods,
    tenants,
    verbs,
)

__all__ = ["handlers"]

_YEAR = 31_536_000


def handlers(follow_statuses: Callable[[], AsyncIterator[str]]) -> list[ControllerRouterHandler]:
    """Give the dashboard's routes; ``follow_statuses`` tells the ids of pods whose status changed."""
    inside = Router(
        "/dashboard",
        route_handlers=[
            overview.overview,
            tenants.TenantPages,
            pods.PodPages,
            creating.CreatingPages,
            pod.PodPage,
            verbs.VerbPages,
            logs.LogPages,
            adapters.adapters,
            live.live,
            errors.nothing_here,
        ],
        opt=auth.SESSION,
        dependencies={
            "language": Provide(_language, sync_to_thread=False),
            "follow_statuses": Provide(lambda: follow_statuses, sync_to_thread=False),
        },
        exception_handlers=errors.exception_handlers(),
        include_in_schema=False,
    )
    outside = Router(
        "/",
        route_handlers=[door.front, door.login_page, door.log_in, door.log_out, door.choose_language],
        dependencies={"language": Provide(_language, sync_to_thread=False)},
        exception_handlers=errors.exception_handlers(),
        include_in_schema=False,
    )
    assets = create_static_files_router(
        pages.ASSETS,
        directories=[pages.assets_folder()],
        opt=auth.OPEN,
        include_in_schema=False,
        name="dashboard-assets",
        after_request=_keep,
    )
    return [inside, outside, assets]


def _language(request: pages.Anything) -> Language:
    return pages.language_of(request)


async def _keep(response: Response[Any]) -> Response[Any]:
    """Let browsers keep a file: its address changes with its content."""
    if response.status_code == 200:  # noqa: PLR2004 - an HTTP status
        response.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
    return response
