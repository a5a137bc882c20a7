"""A notifier in memory: keeps what it was told to send, and fails on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar, Literal

from msgspec import Struct

from agentpod_core.errors import ConfigError, PermanentError, Problem, TemporaryError
from agentpod_core.plugpoints.notifiers import Notifier
from agentpod_core.values.rendering import secret_value
from agentpod_core.values.reports import Alert
from agentpod_core.values.workload import SecretRef


class FakeTarget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to deliver to: a list in memory, or nowhere in a certain way. A ``password`` has no spaces."""

    fails: Literal["unreachable", "hangs", "refuses"] | None = None
    password: SecretRef | None = None


class FakeNotifier(Notifier[FakeTarget]):
    """Delivers to a list; ``patience`` is how long it waits for a target that hangs."""

    name: ClassVar[str] = "fake"
    title: ClassVar[str] = "A notifier in memory"
    target_type: ClassVar[type[Struct]] = FakeTarget

    def __init__(self, *, patience: float = 0.05) -> None:
        self.sent: list[Alert] = []
        self._patience = patience

    async def check(self, target: FakeTarget, material: Mapping[SecretRef, str]) -> None:
        """Refuse a password with a space in it."""
        if target.password is not None and " " in secret_value(target.password, material):
            message = "must have no spaces"
            params = {"message": message}
            raise ConfigError([Problem(path="$.password", reason="NotAccepted", params=params, message=message)])

    async def send(self, alert: Alert, target: FakeTarget, material: Mapping[SecretRef, str]) -> None:
        """Keep the alert."""
        await self.check(target, material)
        await asyncio.sleep(0)
        match target.fails:
            case "unreachable":
                raise TemporaryError("Unreachable")
            case "hangs":
                await self._wait()
            case "refuses":
                raise PermanentError("NotAccepted", message="the target refuses")
        self.sent.append(alert)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            raise TemporaryError("Timeout") from None
