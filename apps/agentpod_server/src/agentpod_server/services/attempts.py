"""Slows down whoever guesses passwords; remembers a bounded number of guessers, in memory alone."""

from __future__ import annotations

from collections import OrderedDict, deque

from agentpod_core import Clock, TemporaryError

_WINDOW = 900.0
_PER_LOGIN = 5
_PER_ADDRESS = 30
_REMEMBERED = 4096


class Attempts:
    """Counts failed logins of the last 15 minutes, by address and by address with login.

    A login alone is never locked: that would let anybody lock out anybody.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str | None], deque[float]] = OrderedDict()

    def admit(self, address: str, login: str) -> None:
        """Let an attempt pass.

        Raises:
            TemporaryError: ``TooManyLogins``: there were too many failures from there.
        """
        now = self._clock.monotonic()
        waits = [
            recent[0] + _WINDOW - now
            for key, limit in (((address, login), _PER_LOGIN), ((address, None), _PER_ADDRESS))
            if (recent := self._recent(key, now)) and len(recent) >= limit
        ]
        if waits:
            seconds = max(1, round(max(waits)))
            raise TemporaryError("TooManyLogins", retry_after=seconds, seconds=seconds)

    def failed(self, address: str, login: str) -> None:
        """Remember a failure."""
        now = self._clock.monotonic()
        for key, limit in (((address, login), _PER_LOGIN), ((address, None), _PER_ADDRESS)):
            recent = self._recent(key, now) or deque(maxlen=limit)
            recent.append(now)
            self._failures[key] = recent
            self._failures.move_to_end(key)
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, address: str, login: str) -> None:
        """Forget the failures of that login from there."""
        self._failures.pop((address, login), None)

    def _recent(self, key: tuple[str, str | None], now: float) -> deque[float] | None:
        recent = self._failures.get(key)
        while recent and now - recent[0] >= _WINDOW:
            recent.popleft()
        return recent
