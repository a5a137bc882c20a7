"""Decides what a pod's last samples say: whether its memory fills up, and when it may be restarted before it is full.

Judged is the working set, which page cache that can be dropped is no part of, and its floor: whoever collects garbage
goes up and down all day, and fills up only if each low is higher than the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
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
KEPT = 30
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
    growth = _growth(points, latest.limit)
    return Trend(
        memory=latest.memory,
        limit=latest.limit,
        growth=growth,
        full_in=max(latest.limit - latest.memory, 0) / growth if growth and latest.limit else None,
        is_quiet=len(points) >= QUIET_POINTS and all(one.cpu <= QUIET for one in points[-QUIET_POINTS:]),
        is_busy=latest.cpu >= BUSY,
    )


def fills_up(found: Trend | None, timings: Timings) -> bool:
    """Say whether a pod will be out of memory soon if it goes on like that."""
    if found is None or not found.limit or found.full_in is None:
        return False
    return found.memory >= FULL * found.limit and found.full_in <= timings.full_soon


def watch(observed: Observed, record: Record, timings: Timings) -> tuple[Record, tuple[Happening, ...]]:
    """Report a running pod that fills up, once for each of its starts."""
    found = observed.trend
    if found is None or record.is_filling or not fills_up(found, timings):
        return record, ()
    happening = Happening(kind="health", reason="MemoryGrowing", severity=Severity.WARNING, params=_said(found))
    return msgspec.structs.replace(record, is_filling=True), (happening,)


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
    minutes = None if found.full_in is None else round(found.full_in / 60)
    return {"memory": found.memory, "limit": found.limit, "minutes": minutes}


def _growth(points: Sequence[Point], limit: int | None) -> float:
    """Give the steady growth in bytes a second: the lesser of the usual slope and that of the floor; 0 for none."""
    if len(points) < FEWEST or not limit:
        return 0.0
    third = len(points) // 3
    lows = [min(part, key=lambda one: one.memory) for part in (points[:third], points[third:-third], points[-third:])]
    is_rising = lows[0].memory < lows[1].memory < lows[2].memory
    if not is_rising or lows[2].memory - lows[0].memory < RISE * limit:
        return 0.0
    slopes = [(b.memory - a.memory) / (b.at - a.at) for a, b in combinations(points, 2) if b.at > a.at]
    floor = (lows[2].memory - lows[0].memory) / max(lows[2].at - lows[0].at, 1e-9)
    return max(min(median(slopes), floor), 0.0) if slopes else 0.0
