"""Keeps a leader that lost its lease from acting: checked before every change to the world."""

from __future__ import annotations

from agentpod_core.errors import ConflictError
from agentpod_core.ports import Clock


class Fence:
    """Open while this process is sure to lead, by its own monotonic clock.

    The margin between the lease's length in the database and ``seconds`` here is what makes a
    frozen leader stop before somebody else starts.
    """

    def __init__(self, clock: Clock, epoch: int, seconds: float) -> None:
        self.epoch = epoch
        self._clock = clock
        self._seconds = seconds
        self._deadline = clock.monotonic() + seconds

    def renewed(self, asked_at: float) -> None:
        """Take note that the lease was renewed by a request sent at that monotonic moment."""
        self._deadline = asked_at + self._seconds

    def check(self) -> None:
        """Return while leading.

        Raises:
            ConflictError: ``NotLeader``, the lease may have run out.
        """
        if self._clock.monotonic() >= self._deadline:
            raise ConflictError("NotLeader")
