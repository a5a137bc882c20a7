"""The Docker runtime for AgentPod: one local or remote engine, spoken to over its API."""

from __future__ import annotations

from agentpod_core import Runtime, hookimpl
from agentpod_docker.runtime import DockerRuntime
from agentpod_docker.settings import DockerSettings

__all__ = ["DockerRuntime", "DockerSettings", "agentpod_runtimes"]


@hookimpl
def agentpod_runtimes() -> list[Runtime]:
    """Offer the Docker engine."""
    return [DockerRuntime()]
