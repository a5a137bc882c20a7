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
        """Deliver one alert as one message that names tenant and pod, and reads differently when it is over.

        No error shows a secret of the settings, not even the error that it was raised from.

        Raises:
            ConfigError: the settings make no sense; it says where.
            TemporaryError: try again later.
            PermanentError: the target refuses for good.
        """
