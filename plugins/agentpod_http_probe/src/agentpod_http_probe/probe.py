"""Asks an agent over HTTP, and over a WebSocket where that matters, whether it is well.

Any HTTP answer is a sign of life; the right status, the right JSON and a WebSocket that opens make
it ready. What becomes of an agent that is not is the controller's business.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar

import msgspec

from agentpod_core import AgentPodError, HealthProbe, Link, ProbeResult, Reply
from agentpod_http_probe.settings import HttpSettings, WebSocketSettings, read

Verdict = tuple[str, dict[str, Any]]


class HttpProbe(HealthProbe):
    """The probe named ``http``."""

    name: ClassVar[str] = "http"
    title: ClassVar[str] = "HTTP and WebSocket"

    async def check(self, link: Link, settings: dict[str, Any], *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        """Ask once."""
        wanted = read(settings)
        began = time.monotonic()
        is_alive = False
        reason, params = "Answering", dict[str, Any]()
        try:
            async with asyncio.timeout(timeout):
                reply = await link.http("GET", wanted.path, port=wanted.port, timeout=timeout)
                is_alive = True
                fault = _fault(wanted, reply) or await _closed(link, wanted.websocket, timeout)
                if fault is not None:
                    reason, params = fault
        except TimeoutError:
            reason, params = "Timeout", {"seconds": timeout}
        except AgentPodError as error:
            reason, params = error.reason, error.params
        seconds = min(time.monotonic() - began, timeout)
        is_ready = is_alive and reason == "Answering"
        return ProbeResult(alive=is_alive, ready=is_ready, reason=reason, params=params, seconds=seconds)


def _fault(wanted: HttpSettings, reply: Reply) -> Verdict | None:
    if reply.status != wanted.expect_status:
        return "NotReady", {"path": wanted.path, "status": reply.status}
    if reply.cut:
        return "AnswerTooLarge", {"path": wanted.path, "limit": len(reply.body)}
    if wanted.json is None:
        return None
    try:
        answer = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, RecursionError):
        return "WrongAnswer", {"what": f"{wanted.path}: no JSON"}
    place = _difference(wanted.json, answer, "$")
    return None if place is None else ("WrongAnswer", {"what": f"{wanted.path}: {place}"})


def _difference(wanted: Any, answer: Any, place: str) -> str | None:
    """Name the first place at which the answer is not as wanted; the values stay unsaid."""
    if not isinstance(wanted, dict):
        return None if type(wanted) is type(answer) and wanted == answer else place
    if not isinstance(answer, dict):
        return place
    for key, value in wanted.items():
        found = _difference(value, answer[key], f"{place}.{key}") if key in answer else f"{place}.{key}"
        if found is not None:
            return found
    return None


async def _closed(link: Link, wanted: WebSocketSettings | None, seconds: float) -> Verdict | None:
    if wanted is None:
        return None
    try:
        async with link.websocket(wanted.path, port=wanted.port, timeout=seconds) as socket:
            if wanted.expect is None or wanted.expect in await socket.receive(seconds):
                return None
    except AgentPodError as error:
        if error.reason == "Timeout":
            return "Timeout", {"seconds": seconds}
        return "WrongAnswer", {"what": f"WebSocket {wanted.path}: {error.reason}"}
    return "WrongAnswer", {"what": f"WebSocket {wanted.path}: message"}
