"""The Echo agent for AgentPod: the smallest agent, and a scripted model."""

from __future__ import annotations

from agentpod_core import hookimpl
from agentpod_echo.adapter import EchoAdapter
from agentpod_echo.config import Boot, Channel, EchoConfig, Line

__all__ = ["Boot", "Channel", "EchoAdapter", "EchoConfig", "Line", "agentpod_agents"]


@hookimpl
def agentpod_agents() -> list[EchoAdapter]:
    """Offer the Echo agent."""
    return [EchoAdapter()]
