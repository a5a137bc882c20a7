"""A notifier in memory: keeps what it was told to send, and fails on demand."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from agentpod_core.errors import ConfigError, PermanentError, Problem, TemporaryError
from agentpod_core.plugpoints.notifiers import Notifier
from agentpod_core.values.reports import Alert


class FakeNotifier(Notifier):
    """Delivers to a list. ``settings`` may say ``{"fails": "unreachable"}`` or ``{"fails": "refuses"}``."""

    name: ClassVar[str] = "fake"
    title: ClassVar[str] = "A notifier in memory"

    def __init__(self) -> None:
        self.sent: list[Alert] = []

    async def send(self, alert: Alert, settings: dict[str, Any]) -> None:
        """Keep the alert."""
        unknown = [key for key in settings if key != "fails"]
        if unknown:
            raise ConfigError([_unknown(key) for key in unknown])
        await asyncio.sleep(0)
        match settings.get("fails"):
            case "unreachable":
                raise TemporaryError("Unreachable")
            case "refuses":
                raise PermanentError("NotAccepted", message="the target refuses")
        self.sent.append(alert)


def _unknown(field: str) -> Problem:
    params = {"field": field, "nearest": ["fails"]}
    return Problem(path=f"$.{field}", reason="UnknownField", params=params, message=f"there is no field {field}")
