"""What a pod used until now: how far back to look, and in which steps."""

from __future__ import annotations

import re
from datetime import timedelta

from msgspec import Struct

from agentpod_core import AgentPodError
from agentpod_server.records import PodRecord, Scope
from agentpod_server.store import history
from agentpod_server.store.database import Database
from agentpod_server.store.history import HOUR, MINUTE, TEN, Point

SPAN = "^[1-9][0-9]{0,4}[mhd]$"
LONGEST = history.KEPT[HOUR]

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_STEPS = ((timedelta(hours=4), MINUTE), (timedelta(hours=26), TEN))
"""Up to which span there are which steps; beyond, hours. A reader wants some hundred points, not thousands."""


class Past(Struct, frozen=True, kw_only=True):
    """What a pod used, in steps of so many seconds; ``storage`` is what its volumes held when last measured."""

    storage: int | None
    step: int | None = None
    points: tuple[Point, ...] = ()


class UsageHistory:
    """The use case of looking back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def past(self, scope: Scope, pod: PodRecord, since: timedelta | None) -> Past:
        """Say what a pod used for so long; None for the storage alone."""
        async with self._database.transaction(scope):
            storage = await history.storage(pod.id)
            if since is None:
                return Past(storage=storage)
            step = next((step for longest, step in _STEPS if since <= longest), HOUR)
            return Past(storage=storage, step=step, points=tuple(await history.points(pod.id, since, step)))


def span(text: str) -> timedelta:
    """Read a span of time such as ``45m``, ``24h`` or ``30d``.

    Raises:
        AgentPodError: ``BadPeriod``, it is none, or nothing is kept for that long.
    """
    found = timedelta(**{_UNITS[text[-1]]: int(text[:-1])}) if re.fullmatch(SPAN, text) else None
    if found is None or found > LONGEST:
        raise AgentPodError("BadPeriod", names=["since"], days=LONGEST.days)
    return found
