"""Shows the metrics of a process that has no API: an application of one page, for a port of the machine itself.

Whoever reaches the port may read them. Who that is, is decided by whoever opens it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Exposition = Callable[[], Awaitable[tuple[bytes, str]]]
"""Gives the metrics, and their content type."""


def application(
    exposition: Exposition,
) -> Callable[[dict[str, Any], Callable[..., Any], Callable[..., Awaitable[None]]], Awaitable[None]]:
    """Build an ASGI application that answers ``GET /metrics`` and nothing else."""

    async def answer(scope: dict[str, Any], _receive: Callable[..., Any], send: Callable[..., Awaitable[None]]) -> None:
        if scope["type"] != "http":
            return
        if (scope["method"], scope["path"]) == ("GET", "/metrics"):
            status, (body, media_type) = 200, await exposition()
        else:
            status, body, media_type = 404, b"there is /metrics only\n", "text/plain"
        headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer
