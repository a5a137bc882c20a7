"""A kind of agent with a probe of its own, to be taken away while its pods run."""

from __future__ import annotations

import msgspec

from agentpod_core import HealthProbe, ProbeResult, hookimpl
from agentpod_echo import EchoAdapter


class Visitor(EchoAdapter):
    name = "visitor"
    title = "Visitor"

    def workload(self, config, pod, package):
        made = super().workload(config, pod, package)
        asks = msgspec.structs.replace(made.probe, probe="visitor")
        return msgspec.structs.replace(made, probe=asks)


class VisitorProbe(HealthProbe):
    name = "visitor"
    title = "Visitor"

    async def check(self, link, settings, *, timeout):
        reply = await link.http("GET", "/readyz", timeout=timeout)
        is_ready = reply.status == 200
        return ProbeResult(alive=True, ready=is_ready, reason="Answering" if is_ready else "NotReady")


@hookimpl
def agentpod_agents():
    """Offer it."""
    return [Visitor()]


@hookimpl
def agentpod_health_probes():
    """Offer it."""
    return [VisitorProbe()]
