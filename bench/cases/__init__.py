"""The cases, in the order in which they run: idle memory first, before anything was asked of the platform."""

from __future__ import annotations

from cases import capacity, create, memory, openclaw, recovery, route

CASES = (memory.CASE, create.CASE, route.CASE, recovery.CASE, openclaw.CASE, capacity.CASE)
