"""Slows down whoever guesses passwords; remembers a bounded number of guessers, in memory alone."""

from __future__ import annotations

from collections import OrderedDict, deque
from ipaddress import IPv6Address, ip_address, ip_network

from agentpod_core import Clock, TemporaryError

_WINDOW = 900.0
_PER_LOGIN = 5
_PER_ADDRESS = 30
_REMEMBERED = 4096
_LONGEST = 80
_HOUSEHOLD = 64
_Key = tuple[str, str | None]


class Attempts:
    """Counts failed logins of the last 15 minutes, by address and by address with login.

    A login alone is never locked: that would let anybody lock out anybody. Logins are counted as they
    are compared, without case, and IPv6 addresses by the network that one household has.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[_Key, deque[float]] = OrderedDict()

    def admit(self, address: str, login: str) -> None:
        """Let an attempt pass.

        Raises:
            TemporaryError: ``TooManyLogins``: there were too many failures from there.
        """
        now = self._clock.monotonic()
        waits = [
            recent[0] + _WINDOW - now
            for key, limit in _limits(address, login)
            if (recent := self._recent(key, now)) and len(recent) >= limit
        ]
        if waits:
            seconds = max(1, round(max(waits)))
            raise TemporaryError("TooManyLogins", retry_after=seconds, seconds=seconds)

    def failed(self, address: str, login: str) -> None:
        """Remember a failure; before the check, so that many at once are counted like many in a row."""
        now = self._clock.monotonic()
        for key, limit in _limits(address, login):
            recent = self._recent(key, now) or deque(maxlen=limit)
            recent.append(now)
            self._failures[key] = recent
            self._failures.move_to_end(key)
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, address: str, login: str) -> None:
        """Forget the failures of that login from there, and of the address the one that was none."""
        for_login, for_address = (key for key, _ in _limits(address, login))
        self._failures.pop(for_login, None)
        if recent := self._failures.get(for_address):
            recent.pop()

    def _recent(self, key: _Key, now: float) -> deque[float] | None:
        recent = self._failures.get(key)
        while recent and now - recent[0] >= _WINDOW:
            recent.popleft()
        return recent


def _limits(address: str, login: str) -> tuple[tuple[_Key, int], tuple[_Key, int]]:
    place = _place(address)
    return ((place, login.lower()[:_LONGEST]), _PER_LOGIN), ((place, None), _PER_ADDRESS)


def _place(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address) or parsed.ipv4_mapped:
        return address
    return str(ip_network((int(parsed), _HOUSEHOLD), strict=False))
