"""Puts a request right before it is routed: HEAD is asked as GET, and an encoded slash separates nothing.

Litestar routes neither as HTTP means it: it has no HEAD for what GET answers, and sees the decoded
path alone, in which a name with a slash looks like two.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast
from urllib.parse import unquote

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import Message, Receive, Scope, Send

from agentpod_server.api import requests

_ENCODED_SLASH = re.compile(rb"%2[fF]")


class App(Litestar):
    """A Litestar application behind this front."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take a request in."""
        if scope["type"] == ScopeType.HTTP:
            scope = routable(scope)
            if scope["method"] == "HEAD":
                scope, receive, send = _as_get(scope, receive, send)
        elif scope["type"] != ScopeType.WEBSOCKET:
            await super().__call__(scope, receive, send)
            return
        scope.setdefault("state", {})
        with requests.told(scope, self.state["telemetry"]):
            await super().__call__(scope, receive, send)


def routable(scope: Scope) -> Scope:
    """Give a scope in whose path an encoded slash stays encoded, and so part of a name."""
    raw = scope.get("raw_path") or b""
    if not _ENCODED_SLASH.search(raw):
        return scope
    return cast("Scope", {**scope, "path": unquote(_ENCODED_SLASH.sub(b"%252F", raw).decode("latin-1"))})


def _as_get(scope: Scope, receive: Receive, send: Send) -> tuple[Scope, Receive, Send]:
    """Ask for what GET answers and end the answer after its head, also one that would go on for ever."""
    ended = asyncio.Event()

    async def heads_only(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            ended.set()

    async def until_ended() -> Any:
        # What streams watches for its reader's leaving; HEAD has no body that could be read.
        await ended.wait()
        return {"type": "http.disconnect"}

    del receive
    return cast("Scope", {**scope, "method": "GET"}), until_ended, heads_only
