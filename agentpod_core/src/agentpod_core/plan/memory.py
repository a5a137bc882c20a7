"""Decides what a pod's last samples say: whether its memory fills up, and when it may be restarted before it is full.

Judged is the working set, which page cache that can be dropped is no part of, and its floor: whoever collects garbage
goes up and down all day, and fills up only if each low is higher than the one before. Whoever warms up from 60 to 80
percent may stay there: it fills up only if less is left than it was seen to grow by.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import combinations
from statistics import median

import msgspec
from msgspec import Struct

from agentpod_core.desired import Desired
from agentpod_core.observed import Observed, Trend
from agentpod_core.plan.timings import Timings
from agentpod_core.values.status import Happening, Record, Severity

WORRY = "MemoryNearlyFull"
"""The reason of the restart that makes room."""
GROWING = "MemoryGrowing"
"""The reason of the event, and of the alert that follows from it."""
KEPT = 60
"""So many points of a start are looked at, one a minute."""
FEWEST = 10
"""So many it takes to speak of growth."""
QUIET_POINTS = 3
QUIET = 50
"""Millicores below which an agent has nothing to do."""
BUSY = 20
"""Millicores above which a start makes headway; one that waits for something uses next to none."""
FULL = 0.7
"""The part of its limit from which on a pod that grows is of interest."""
LEFT = 0.75
"""What is left has to be less than this part of what it grew by: what was watched says nothing of much more."""
RISE = 0.01
"""The part of its limit by which the floor has to rise over all points; less is noise."""


class Point(Struct, frozen=True, kw_only=True):
    """One look at a running container: at that second, with this use in millicores and bytes."""

    at: float
    cpu: int
    memory: int
    limit: int | None


def trend(points: Sequence[Point], latest: Point) -> Trend:
    """Say where a pod is heading, by the regular looks at its present start and the latest look of any kind."""
    lows = _lows(points)
    growth = _growth(points, lows, latest.limit)
    return Trend(
        memory=latest.memory,
        limit=latest.limit,
        growth=growth,
        full_in=max(latest.limit - latest.memory, 0) / growth if growth and latest.limit else None,
        grown=max(latest.memory - lows[0].memory, 0) if lows else 0,
        watched=points[-1].at - points[0].at if points else 0.0,
        is_quiet=len(points) >= QUIET_POINTS and all(one.cpu <= QUIET for one in points[-QUIET_POINTS:]),
        is_busy=latest.cpu >= BUSY,
    )


def fills_up(found: Trend | None, timings: Timings) -> bool:
    """Say whether a pod will be out of memory soon if it goes on like that."""
    if found is None or not found.limit or found.full_in is None:
        return False
    left = found.limit - found.memory
    return found.memory >= FULL * found.limit and found.full_in <= timings.full_soon and left <= LEFT * found.grown


def grows_no_more(found: Trend, timings: Timings) -> bool:
    """Say whether a pod was watched for long enough to tell that its growth has ended, or next to."""
    if found.watched < timings.full_soon / 2:
        return False
    return found.full_in is None or found.full_in > 2 * timings.full_soon


def watch(observed: Observed, record: Record, now: datetime, timings: Timings) -> tuple[Record, tuple[Happening, ...]]:
    """Report a running pod that fills up, once until its growth has ended and the alert of it with it."""
    found = observed.trend
    if found is None:
        return record, ()
    if record.is_filling:
        if not grows_no_more(found, timings):
            return record, ()
        # An alert had cause until this very moment, and is over once that has lasted.
        alarmed_at = now if GROWING in record.alerting else record.alarmed_at
        return msgspec.structs.replace(record, is_filling=False, alarmed_at=alarmed_at), ()
    if not fills_up(found, timings):
        return record, ()
    record = msgspec.structs.replace(record, is_filling=True)
    if GROWING in record.alerting:
        return record, ()
    return record, (Happening(kind="health", reason=GROWING, severity=Severity.WARNING, params=_said(found)),)


def may_restart(desired: Desired, observed: Observed, record: Record, timings: Timings) -> bool:
    """Say whether this is the moment to restart a pod that fills up: its adapter allows it, and nobody is disturbed."""
    found = observed.trend
    if found is None or not desired.workload.restart_when_full or record.ready_since is None:
        return False
    return found.is_quiet and fills_up(found, timings)


def restarted(observed: Observed) -> Happening:
    """Give the event of such a restart."""
    found = observed.trend
    return Happening(kind="health", reason="RestartedBeforeFull", params=_said(found) if found else {})


def _said(found: Trend) -> dict[str, int | None]:
    minutes = None if found.full_in is None else max(round(found.full_in / 60), 1)
    return {"memory": found.memory, "limit": found.limit, "minutes": minutes}


def _lows(points: Sequence[Point]) -> tuple[Point, ...]:
    """Give the lowest point of each third; none where there are too few of them."""
    if len(points) < FEWEST:
        return ()
    third = len(points) // 3
    parts = (points[:third], points[third:-third], points[-third:])
    return tuple(min(part, key=lambda one: one.memory) for part in parts)


def _growth(points: Sequence[Point], lows: Sequence[Point], limit: int | None) -> float:
    """Give the steady growth in bytes a second: the lesser of the usual slope and that of the floor; 0 for none."""
    if not lows or not limit:
        return 0.0
    is_rising = lows[0].memory < lows[1].memory < lows[2].memory
    if not is_rising or lows[2].memory - lows[0].memory < RISE * limit:
        return 0.0
    slopes = [(b.memory - a.memory) / (b.at - a.at) for a, b in combinations(points, 2) if b.at > a.at]
    floor = (lows[2].memory - lows[0].memory) / max(lows[2].at - lows[0].at, 1e-9)
    return max(min(median(slopes), floor), 0.0) if slopes else 0.0
