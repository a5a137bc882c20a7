"""Asks an OpenClaw gateway whether it answers: its own health pages, and a WebSocket handshake.

A page alone proves little, because the gateway answers every unknown path with its web interface;
so the JSON is read, and now and then a client really connects.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, ClassVar
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Meta, Struct

from agentpod_core import ConfigError, HealthProbe, HostContext, Link, ProbeResult, Problem, TemporaryError
from agentpod_openclaw.gateway import handshake
from agentpod_openclaw.seen import Seen

Seconds = Annotated[float, Meta(ge=0, le=86_400)]


class OpenClawProbeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``handshake_every`` is how many seconds a successful handshake is good for, as long as every page is fine."""

    handshake_every: Seconds = 60.0


class ProbeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a workload may ask for; None leaves it to the platform's setting."""

    handshake_every: Seconds | None = None


class OpenClawProbe(HealthProbe):
    """Alive: the gateway's health page says so. Ready: all of it has started, and a client gets ``hello-ok``."""

    name: ClassVar[str] = "openclaw"
    title: ClassVar[str] = "OpenClaw gateway"
    settings_type: ClassVar[type[Struct]] = OpenClawProbeSettings

    def __init__(self) -> None:
        self._clock: Any = None
        self._handshake_every = OpenClawProbeSettings().handshake_every
        self._shaken: WeakKeyDictionary[Link, float] = WeakKeyDictionary()

    async def open(self, context: HostContext) -> None:
        """Take clock and settings."""
        self._clock = context.clock
        self._handshake_every = context.settings.handshake_every

    async def check(self, link: Link, settings: dict[str, Any], *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        """Ask once."""
        try:
            wanted = msgspec.convert(settings, ProbeSettings)
        except msgspec.ValidationError as error:
            raise ConfigError([Problem(path="$.probe.settings", message=str(error))]) from error
        try:
            async with asyncio.timeout(timeout):
                result = await self._ask(link, wanted, timeout)
        except TemporaryError as error:
            result = ProbeResult(alive=False, ready=False, reason=error.reason, params=error.params)
        except TimeoutError:
            result = ProbeResult(alive=False, ready=False, reason="Timeout")
        if not result.ready:
            # Whoever comes back from that has to shake hands anew.
            self._shaken.pop(link, None)
        return result

    async def _ask(self, link: Link, wanted: ProbeSettings, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        reply = await link.http("GET", "/readyz", timeout=timeout)
        state = Seen.of(reply.body)
        is_ready = state.get("ready", bool)
        if is_ready is None:
            # Whoever answers is not hung, be it to refuse us.
            return ProbeResult(
                alive=True, ready=False, reason="WrongAnswer", params={"what": f"/readyz: {reply.status}"}
            )
        if reply.status != HTTPStatus.OK or not is_ready:
            failing = [str(one)[:80] for one in state.get("failing", list) or ()][:5]
            return ProbeResult(
                alive=True, ready=False, reason="OpenClawStarting", params={"failing": ", ".join(failing)}
            )
        now = self._clock.monotonic() if self._clock else 0.0
        every = self._handshake_every if wanted.handshake_every is None else wanted.handshake_every
        if self._clock and now - self._shaken.get(link, float("-inf")) < every:
            return ProbeResult(alive=True, ready=True, reason="Answering")
        refusal = await handshake(link, timeout=timeout)
        if refusal == "startup-sidecars":
            return ProbeResult(alive=True, ready=False, reason="OpenClawStarting", params={"failing": refusal})
        if refusal is not None:
            return ProbeResult(alive=True, ready=False, reason="OpenClawHandshakeRefused", params={"code": refusal})
        self._shaken[link] = now
        return ProbeResult(alive=True, ready=True, reason="Answering")
