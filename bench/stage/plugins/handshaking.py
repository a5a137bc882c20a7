"""Echo pods that are asked as OpenClaw's are: a page every 10 s, and a WebSocket handshake every 60 s."""

from __future__ import annotations

import time
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import msgspec

from agentpod_core import Link, Package, Pod, Probe, ProbeResult, Workload, hookimpl
from agentpod_echo import EchoAdapter, EchoConfig
from agentpod_http_probe import HttpProbe

NAME = "handshaking"
HANDSHAKE_EVERY = 60.0
_SOCKET = {"path": "/ws", "expect": '"hello"'}


class HandshakingProbe(HttpProbe):
    """The HTTP probe, with a handshake only where the last good one is too long ago."""

    name: ClassVar[str] = NAME
    title: ClassVar[str] = "HTTP, and a handshake now and then"

    def __init__(self) -> None:
        super().__init__()
        self._shaken: WeakKeyDictionary[Link, float] = WeakKeyDictionary()

    async def check(self, link: Link, settings: dict[str, Any], *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        """Ask once."""
        is_due = time.monotonic() - self._shaken.get(link, -HANDSHAKE_EVERY) >= HANDSHAKE_EVERY
        asked = settings | {"websocket": _SOCKET} if is_due else settings
        result = await super().check(link, asked, timeout=timeout)
        if not result.ready:
            self._shaken.pop(link, None)
        elif is_due:
            self._shaken[link] = time.monotonic()
        return result


class HandshakingAdapter(EchoAdapter):
    """The echo agent, asked by that probe."""

    name: ClassVar[str] = NAME
    title: ClassVar[str] = "Echo, asked as OpenClaw is"

    def workload(self, config: EchoConfig, pod: Pod, package: Package | None) -> Workload:
        """Render the echo agent's container."""
        rendered = super().workload(config, pod, package)
        probe: Probe = msgspec.structs.replace(rendered.probe, probe=NAME)
        return msgspec.structs.replace(rendered, probe=probe)


@hookimpl
def agentpod_agents() -> list[HandshakingAdapter]:
    """Offer the agent."""
    return [HandshakingAdapter()]


@hookimpl
def agentpod_health_probes() -> list[HandshakingProbe]:
    """Offer the probe."""
    return [HandshakingProbe()]
