"""The plug point for telling people."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from agentpod_core.plugpoints.context import Impure
from agentpod_core.values.reports import Alert


class Notifier(Impure):
    """Delivers alerts to a target that ``settings`` describe."""

    @abstractmethod
    async def send(self, alert: Alert, settings: dict[str, Any]) -> None:
        """Deliver one alert.

        Raises:
            TemporaryError: try again later.
            PermanentError: the target refuses for good.
        """
