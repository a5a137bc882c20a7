"""What begins and ends to be wrong with a pod or the platform, so that a person is told once.

Changes, not messages: who is told, and how, is the application's to decide.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from agentpod_core.values.status import Severity


class Raise(Struct, frozen=True, kw_only=True, tag="raise"):
    """Something a person should know begins; of an alert that is open already it changes nothing.

    ``replaces`` are the reasons of lesser alerts that it grew out of. One that is open turns into this one: whoever
    was told of it is not told again.
    """

    reason: str
    severity: Severity
    params: dict[str, Any] = {}
    replaces: tuple[str, ...] = ()


class Clear(Struct, frozen=True, kw_only=True, tag="clear"):
    """It is over; of an alert that is not open it changes nothing.

    ``is_silent``: nobody is told, for it is not well again: it was stopped, or another alert speaks for all that end.
    """

    reason: str
    is_silent: bool = False


AlertChange = Raise | Clear

TEST = "TestAlert"
"""The reason of a message that only tries out whether it arrives."""

REASONS = frozenset(
    {
        "Blocked",
        "CertificateTrouble",
        "CrashLoop",
        "Degraded",
        "DiskNearlyFull",
        "EngineUnreachable",
        "Hung",
        "MemoryGrowing",
        "OutOfMemory",
    }
)
"""Every reason that an alert may have."""
