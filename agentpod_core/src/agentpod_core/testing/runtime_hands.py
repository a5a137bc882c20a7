"""What a runtime under contract is disturbed with: hands that are not ours, and power over its connection."""

from __future__ import annotations

from typing import Protocol


class Foreign(Protocol):
    """Makes and finds objects that are not ours, behind the runtime's back."""

    async def add(self, kind: str, name: str, *, subnet: str = "") -> None:
        """Add a running ``container``, a ``volume`` or a ``network`` that belongs to nobody or to somebody else."""

    async def exists(self, kind: str, name: str) -> bool:
        """Say whether it is there, and unchanged."""


class Outage(Protocol):
    """Makes the engine unreachable for the runtime, and reachable again."""

    async def begin(self) -> None:
        """Cut every connection and refuse new ones."""

    async def end(self) -> None:
        """Let connections through again."""
