"""Talks with a running gateway: the bundled admin RPC over HTTP, and the WebSocket handshake.

Protocol: OpenClaw's plugins/admin-http-rpc.md and gateway/protocol. The RPC is reached over the
pod's bridge only; its prefix is refused on the public route.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from agentpod_core import Link, Socket, TemporaryError
from agentpod_openclaw.seen import Seen

RPC_PREFIX = "/api/v1/admin"
PROTOCOL = 4
TOKEN = "gateway-token"  # noqa: S105 - a name
"""The generated secret that the gateway asks of its clients."""
_MOST_MESSAGES = 100
"""So many that were not asked for are read; reading on would be work without end for whoever floods us."""


async def call(link: Link, method: str, params: dict[str, Any] | None = None, *, timeout: float = 10.0) -> Seen:  # noqa: ASYNC109
    """Call one method of the admin RPC and give its payload.

    Raises:
        TemporaryError: unreachable, still starting, or ``OpenClawRefused`` with the gateway's own code.
    """
    body = {"method": method, "params": params or {}}
    reply = await link.http("POST", f"{RPC_PREFIX}/rpc", json=body, timeout=timeout)
    answer = Seen.of(reply.body)
    if reply.status == HTTPStatus.OK and answer.get("ok", bool):
        return answer.at("payload")
    code = answer.at("error").get("code", str) or str(reply.status)
    raise TemporaryError("OpenClawRefused", method=method, code=code)


async def handshake(link: Link, *, timeout: float) -> str | None:  # noqa: ASYNC109
    """Shake hands as a client without a device; None for ``hello-ok``, else the gateway's own reason.

    A client without a device gets no scopes, which is all that liveness needs. ``timeout`` bounds each
    step; how long all of them may take is the caller's.

    Raises:
        TemporaryError: the gateway did not answer in time.
    """
    async with link.websocket("/", timeout=timeout) as socket:
        answer = await _connect(socket, link.credential(TOKEN), timeout)
    if answer.get("ok", bool):
        return None
    error = answer.at("error")
    return error.at("details").get("reason", str) or error.get("code", str) or "UNKNOWN"


async def _connect(socket: Socket, token: str, timeout: float) -> Seen:  # noqa: ASYNC109
    await _wait_for(socket, timeout, lambda seen: seen.get("event", str) == "connect.challenge")
    request = str(uuid.uuid4())
    params = {
        "minProtocol": PROTOCOL,
        "maxProtocol": PROTOCOL,
        "client": {"id": "gateway-client", "version": "agentpod", "platform": "linux", "mode": "backend"},
        "role": "operator",
        "scopes": [],
        "caps": [],
        "auth": {"token": token},
    }
    await socket.send(json.dumps({"type": "req", "id": request, "method": "connect", "params": params}))
    return await _wait_for(socket, timeout, lambda seen: seen.get("id", str) == request)


async def _wait_for(socket: Socket, timeout: float, wanted: Callable[[Seen], bool]) -> Seen:  # noqa: ASYNC109
    for _ in range(_MOST_MESSAGES):
        seen = Seen.of(await socket.receive(timeout=timeout))
        if wanted(seen):
            return seen
    raise TemporaryError("WrongAnswer", what="WebSocket /")
