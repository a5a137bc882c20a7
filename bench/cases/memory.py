"""What the platform itself takes while nothing is asked of it: a fresh one without pods, some time after its start.

Proportional set size: memory that processes share is counted once. Megabytes are 10^6 bytes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness import Case, Row, at_most, figure
from stage import Stage, processes

TITLE = "idle platform memory"
SETTLED = 15.0
LOOKS = 5


def run(stage: Stage) -> Sequence[Row]:
    """Look a few times, a second apart."""
    platform = stage.platform
    time.sleep(SETTLED)
    looks = []
    for _ in range(LOOKS):
        time.sleep(1)
        found = processes.of(platform.state)
        looks.append({kind: processes.memory(pids) / 1e6 for kind, pids in sorted(found.items())})
    rows = [figure(f"{TITLE}: {kind}", [look[kind] for look in looks], "MB") for kind in looks[0]]
    together = figure(f"{TITLE}: together", [sum(look.values()) for look in looks], "MB", goal=at_most(250, "MB"))
    return [*rows, together]


CASE = Case(name="memory", title=TITLE, run=run)
