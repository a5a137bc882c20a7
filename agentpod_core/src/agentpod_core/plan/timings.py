"""How patient the engine is."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

QUICK_LOOK = 2.0
DOUBLINGS = 20
"""After so many a pause is the longest, whatever the first was; twice as much some thousand times is no number."""


class Timings(Struct, frozen=True, kw_only=True):
    """All in seconds.

    The first failure is answered at once, the second after ``first_backoff``, each further one
    after twice as long up to ``longest_backoff``; ``good_spell`` of answering forgets them all.
    ``calm`` is how long it has to answer after somebody saw to it until it counts as well again.
    ``settle`` is how soon to look again at something that moves by itself. ``last_words`` is how long
    after it killed for want of memory the engine may take to say that this was the end; it is the
    engine's own time, and never scaled. ``full_soon`` is how long before its memory is full a pod that
    grows is reported. ``look`` is how long the engine may take to show what there is, and ``absence`` how
    long it may be away until that is told.
    """

    first_backoff: float = 10.0
    longest_backoff: float = 300.0
    good_spell: float = 600.0
    calm: float = 60.0
    settle: float = 1.0
    last_words: float = 0.5
    full_soon: float = 3600.0
    look: float = 10.0
    absence: float = 30.0

    def scaled(self, factor: float) -> Timings:
        """Give the same patience, faster (below 1) or slower."""
        return Timings(
            first_backoff=self.first_backoff * factor,
            longest_backoff=self.longest_backoff * factor,
            good_spell=self.good_spell * factor,
            calm=self.calm * factor,
            settle=min(self.settle, self.settle * factor),
            last_words=self.last_words,
            full_soon=self.full_soon * factor,
            # Beyond some point no engine is faster because everybody else is.
            look=max(self.look * factor, QUICK_LOOK),
            absence=self.absence * factor,
        )

    def backoff(self, failures: int) -> timedelta:
        """Give how long to wait before the try that follows that many failures in a row."""
        if failures < 2:  # noqa: PLR2004 - the first failure is answered at once
            return timedelta()
        return timedelta(seconds=min(self.first_backoff * 2.0 ** min(failures - 2, DOUBLINGS), self.longest_backoff))
