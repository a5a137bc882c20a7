"""What a pod used in the course of time, as a table; where nothing was measured there is a line of dashes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta, tzinfo

from agentpod_cli.render.amounts import ABSENT, cpus, local, memory, moment
from agentpod_cli.render.tables import Column, View
from agentpod_client import shapes

Step = shapes.StatsPoint | str
"""A point, or the time at which a gap begins."""


def with_gaps(seen: shapes.Stats) -> list[Step]:
    """Give the points with each gap between them, the oldest first."""
    step = timedelta(seconds=seen.get("step") or 0)
    found: list[Step] = []
    due = None
    for point in seen.get("history") or []:
        at = moment(point["at"])
        if due is not None and at is not None and at > due:
            found.append(due.isoformat())
        found.append(point)
        due = at + step if at is not None else None
    return found


def used(zone: tzinfo | None = None) -> View[Step]:
    """List what a pod used, in the reader's time zone."""
    return View(
        columns=(
            Column(heading="time", cell=lambda one: local(one if isinstance(one, str) else one["at"], zone)),
            Column(heading="cpu", cell=_cell(lambda point: cpus(point["cpu"]))),
            Column(heading="cpu_peak", cell=_cell(lambda point: cpus(point["cpu_max"]))),
            Column(heading="memory", cell=_cell(lambda point: memory(point["memory"]))),
            Column(heading="memory_peak", cell=_cell(lambda point: memory(point["memory_max"]))),
            Column(heading="limit", cell=_cell(lambda point: memory(point["memory_limit"]))),
            Column(heading="storage", cell=_cell(lambda point: memory(point["storage"]))),
            Column(heading="restarts", cell=_cell(lambda point: str(point["restarts"]))),
        ),
        name=lambda one: one if isinstance(one, str) else one["at"],
    )


def _cell(write: Callable[[shapes.StatsPoint], str]) -> Callable[[Step], str]:
    return lambda one: ABSENT if isinstance(one, str) else write(one)
