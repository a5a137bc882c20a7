"""Runs OpenClaw under AgentPod: the adapter and the probe that knows its gateway."""

from __future__ import annotations

from agentpod_core import HealthProbe, hookimpl
from agentpod_openclaw.adapter import OpenClawAdapter
from agentpod_openclaw.config import OpenClawConfig
from agentpod_openclaw.probe import OpenClawProbe

__all__ = ["OpenClawAdapter", "OpenClawConfig", "OpenClawProbe", "agentpod_agents", "agentpod_health_probes"]


@hookimpl
def agentpod_agents() -> list[OpenClawAdapter]:
    """Offer OpenClaw."""
    return [OpenClawAdapter()]


@hookimpl
def agentpod_health_probes() -> list[HealthProbe]:
    """Offer the probe for its gateway."""
    return [OpenClawProbe()]
