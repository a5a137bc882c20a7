"""How patient the engine is."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct


class Timings(Struct, frozen=True, kw_only=True):
    """All in seconds.

    The first failure is answered at once, the second after ``first_backoff``, each further one
    after twice as long up to ``longest_backoff``; ``good_spell`` of answering forgets them all.
    ``settle`` is how soon to look again at something that moves by itself.
    """

    first_backoff: float = 10.0
    longest_backoff: float = 300.0
    good_spell: float = 600.0
    settle: float = 1.0

    def scaled(self, factor: float) -> Timings:
        """Give the same patience, faster (below 1) or slower."""
        return Timings(
            first_backoff=self.first_backoff * factor,
            longest_backoff=self.longest_backoff * factor,
            good_spell=self.good_spell * factor,
            settle=min(self.settle, self.settle * factor),
        )

    def backoff(self, failures: int) -> timedelta:
        """Give how long to wait before the try that follows that many failures in a row."""
        if failures < 2:  # noqa: PLR2004 - the first failure is answered at once
            return timedelta()
        return timedelta(seconds=min(self.first_backoff * 2.0 ** (failures - 2), self.longest_backoff))
