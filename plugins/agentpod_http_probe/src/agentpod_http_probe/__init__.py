"""An HTTP and WebSocket health probe for AgentPod."""

from __future__ import annotations

from agentpod_core import hookimpl
from agentpod_http_probe.probe import HttpProbe
from agentpod_http_probe.settings import HttpSettings, WebSocketSettings

__all__ = ["HttpProbe", "HttpSettings", "WebSocketSettings", "agentpod_health_probes"]


@hookimpl
def agentpod_health_probes() -> list[HttpProbe]:
    """Offer the HTTP probe."""
    return [HttpProbe()]
