"""What begins and ends to be wrong with a pod or the platform, so that a person is told once.

Changes, not messages: who is told, and how, is the application's to decide.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from agentpod_core.values.status import Severity


class Raise(Struct, frozen=True, kw_only=True, tag="raise"):
    """Something a person should know begins; an alert that is open already gets its ``params``, and nobody is told.

    ``subject`` keeps apart what may be wrong in several places at once, such as disks: one alert is open for each.
    ``replaces`` are the reasons of lesser alerts that it grew out of. One that is open turns into this one: whoever
    was told of it is not told again.
    """

    reason: str
    severity: Severity
    subject: str = ""
    params: dict[str, Any] = {}
    replaces: tuple[str, ...] = ()


class Clear(Struct, frozen=True, kw_only=True, tag="clear"):
    """It is over; of an alert that is not open it changes nothing.

    Of several of a pod that end in one change a person hears once. ``is_stopped``: it is not well again, but was
    stopped or deleted.
    """

    reason: str
    subject: str = ""
    is_stopped: bool = False


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
        "OrphanContainers",
        "OutOfMemory",
        "VolumeLost",
    }
)
"""Every reason that an alert may have."""
