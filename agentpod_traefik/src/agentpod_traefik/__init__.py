"""The Traefik router for AgentPod: gives agents public addresses through files that Traefik watches."""

from __future__ import annotations

from agentpod_core import Router, hookimpl
from agentpod_traefik.router import TraefikRouter
from agentpod_traefik.settings import TraefikSettings

__all__ = ["TraefikRouter", "TraefikSettings", "agentpod_routers"]


@hookimpl
def agentpod_routers() -> list[Router]:
    """Offer the router ``traefik``."""
    return [TraefikRouter()]
