"""What stands at the root: is the process alive, can it do its work, and how it is doing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import MediaType, Request, Response, get

from agentpod_core import AgentPodError
from agentpod_server.api import auth, requests
from agentpod_server.api.shapes import ReadyView, VersionView

Check = Callable[[], Awaitable[None]]
"""Returns where a part of the server works; raises AgentPodError where it does not."""

_CHECK_SECONDS = 5.0


@get("/healthz", opt=auth.OPEN, media_type=MediaType.TEXT, include_in_schema=False)
async def healthz() -> str:
    """Answer: the process is alive."""
    return "ok\n"


@get("/readyz", opt=auth.OPEN, include_in_schema=False)
async def readyz(request: Request[Any, Any, Any]) -> Response[ReadyView]:
    """Say whether the server can do its work, part by part."""
    checks: Mapping[str, Check] = request.app.state["checks"]
    answers = await asyncio.gather(*(_ask(check) for check in checks.values()))
    ready = all(answer == "ok" for answer in answers)
    return Response(
        ReadyView(ready=ready, checks=dict(zip(checks, answers, strict=True))), status_code=200 if ready else 503
    )


@get("/metrics", opt=auth.OPEN, include_in_schema=False)
async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the metrics to this machine itself, and to whoever has a token.

    Raises:
        AgentPodError: ``Unauthenticated``.
    """
    if not _is_local(request) and await auth.by_bearer(request) is None:
        raise AgentPodError("Unauthenticated")
    body, media_type = await request.app.state["exposition"]()
    return Response(body, media_type=media_type)


@get("/version", operation_id="get_version", summary="Say which server this is", tags=("Server",))
async def version(request: Request[Any, Any, Any]) -> VersionView:
    """Say which server this is."""
    state = request.app.state
    return VersionView(version=state["version"], api="v1", instance=state["instance"])


async def _ask(check: Check) -> str:
    try:
        await asyncio.wait_for(check(), _CHECK_SECONDS)
    except AgentPodError as error:
        return error.reason
    except TimeoutError:
        return "Timeout"
    return "ok"


def _is_local(request: Request[Any, Any, Any]) -> bool:
    """Say whether a request comes from this machine, and not through the proxy on it."""
    return requests.is_from_loopback(request) and "x-forwarded-for" not in request.headers
