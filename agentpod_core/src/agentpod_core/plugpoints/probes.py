"""The plug point for asking an agent whether it is well."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from agentpod_core.plugpoints.context import Impure
from agentpod_core.plugpoints.link import Link
from agentpod_core.values.reports import ProbeResult


class HealthProbe(Impure):
    """Asks one agent how it is."""

    @abstractmethod
    async def check(self, link: Link, settings: dict[str, Any], *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        """Ask once, within ``timeout`` seconds. Never raises for an unhealthy agent, never hangs.

        An error of the link keeps its reason, in the result or raised on: some speak of the platform
        (``SecretNotRead``), and are not held against the agent.

        Raises:
            ConfigError: the workload's ``settings`` make no sense to this probe.
        """
