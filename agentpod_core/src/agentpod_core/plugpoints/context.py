"""What an impure plug point is given when it is opened, and what every one of them shares."""

from __future__ import annotations

from abc import ABC
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

from msgspec import Struct


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> datetime:
        """Give the present moment, in UTC with its zone set."""
        ...

    def monotonic(self) -> float:
        """Give seconds of a clock that never goes back and does not stand still while the machine sleeps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...


class NoSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a plug point that has none."""


class HostContext(Struct, frozen=True, kw_only=True):
    """What a plugin may know of the platform: nothing of its database, its app or other plugins.

    ``instance`` are the 8 characters that keep two platforms on one engine apart, ``folder`` is
    the plugin's own (it exists), ``settings`` are of its ``settings_type``. ``domain`` is the one
    below which pods get their names; ``localhost`` means that only this machine is to reach them.
    """

    instance: str
    folder: Path
    settings: Any
    clock: Any
    domain: str = "localhost"


class Impure(ABC):
    """A plug point that touches the world. Its constructor does no I/O; ``open`` may.

    ``settings_type`` is a msgspec Struct; ``AGENTPOD_<KIND>_<NAME>_<FIELD>`` sets its fields.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    settings_type: ClassVar[type[Struct]] = NoSettings

    async def open(self, context: HostContext) -> None:  # noqa: B027 - a default on purpose
        """Get ready to work. Called once, before anything else.

        Raises:
            TemporaryError: what it needs cannot be reached now.
            PermanentError: what it needs is missing or too old; the reason says which.
        """

    async def close(self) -> None:  # noqa: B027 - a default on purpose
        """Let go of everything; idempotent, and fine without ``open``."""
