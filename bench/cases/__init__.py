"""The cases, in the order in which they run: idle memory first, before anything was asked of the platform."""

from __future__ import annotations

from cases import (
    burst,
    capacity,
    create,
    events,
    healing,
    hung,
    idle,
    memory,
    openclaw,
    planning,
    probing,
    recovery,
    rescue,
    resync,
    route,
    series,
    simulated,
    thousands,
)

CASES = (
    memory.CASE,
    planning.CASE,
    probing.CASE,
    simulated.CASE,
    create.CASE,
    # A crowd of pods stays from here on, and is sent away by the last of those that need it.
    route.CASE,
    recovery.CASE,
    events.CASE,
    healing.CASE,
    hung.CASE,
    resync.CASE,
    series.CASE,
    burst.CASE,
    openclaw.CASE,
    rescue.CASE,
    capacity.CASE,
    idle.CASE,
    thousands.CASE,
)
