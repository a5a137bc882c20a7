"""Talks with a running gateway: the bundled admin RPC over HTTP, and the WebSocket handshake.

Protocol: OpenClaw's plugins/admin-http-rpc.md and gateway/protocol. The RPC is reached over the
pod's bridge only; its prefix is refused on the public route.
"""

from __future__ import annotations

import json
import uuid
from http import HTTPStatus
from typing import Any

from agentpod_core import Link, TemporaryError

RPC_PREFIX = "/api/v1/admin"
PROTOCOL = 4


async def call(link: Link, method: str, params: dict[str, Any] | None = None, *, timeout: float = 10.0) -> Any:  # noqa: ASYNC109
    """Call one method of the admin RPC and give its payload.

    Raises:
        TemporaryError: unreachable, still starting, or ``OpenClawRefused`` with the gateway's own code.
    """
    body = {"method": method, "params": params or {}}
    reply = await link.http("POST", f"{RPC_PREFIX}/rpc", json=body, timeout=timeout)
    answer = _object(reply.body)
    if reply.status == HTTPStatus.OK and answer.get("ok") is True:
        return answer.get("payload")
    error = answer.get("error")
    code = str(error.get("code", reply.status)) if isinstance(error, dict) else str(reply.status)
    raise TemporaryError("OpenClawRefused", method=method, code=code)


async def handshake(link: Link, *, timeout: float) -> str | None:  # noqa: ASYNC109
    """Shake hands as a client without a device; None for ``hello-ok``, else the gateway's own reason.

    A client without a device gets no scopes, which is all that liveness needs.

    Raises:
        TemporaryError: the gateway did not answer in time.
    """
    async with link.websocket("/", timeout=timeout) as socket:
        await _wait_for(socket, timeout, lambda seen: seen.get("event") == "connect.challenge")
        request = str(uuid.uuid4())
        params = {
            "minProtocol": PROTOCOL,
            "maxProtocol": PROTOCOL,
            "client": {"id": "gateway-client", "version": "agentpod", "platform": "linux", "mode": "backend"},
            "role": "operator",
            "scopes": [],
            "caps": [],
            "auth": {"token": link.credential("gateway_token")},
        }
        await socket.send(json.dumps({"type": "req", "id": request, "method": "connect", "params": params}))
        answer = await _wait_for(socket, timeout, lambda seen: seen.get("id") == request)
    if answer.get("ok") is True:
        return None
    error = answer.get("error")
    if not isinstance(error, dict):
        return "UNKNOWN"
    details = error.get("details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return str(reason or error.get("code") or "UNKNOWN")


async def _wait_for(socket: Any, timeout: float, wanted: Any) -> dict[str, Any]:  # noqa: ASYNC109
    for _ in range(20):
        seen = _object(await socket.receive(timeout=timeout))
        if wanted(seen):
            return seen
    raise TemporaryError("OpenClawRefused", method="connect", code="NO_ANSWER")


def _object(text: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
