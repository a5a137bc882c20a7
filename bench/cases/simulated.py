"""A resync with nothing to do over pods in memory, for each pod: as much with 50,000 of them as with 500.

The controller is the real one; engine, store and agents are memory, so that what is counted is its own work, as
processor time: the look at everything, and the passes for single pods, each tenth, that it asks for, with what the
garbage collector takes for what the controller keeps of each pod. Each crowd is in a process of its own, which unlike a
server's takes its memory from malloc in huge pages, and they take turns. Ours is the larger crowd, the reference the
smallest.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

from harness import Case, Row, Turns, ratio, within
from stage import Stage
from stage.simulated import Elsewhere

TITLE = "resync with nothing to do, for each pod"
COUNTS = (500, 5_000, 50_000)
QUICK = (500, 5_000)
TURNS = 15
REST = 0.2


def run(stage: Stage) -> Sequence[Row]:
    """Let one after the other look at all that it has."""
    counts = QUICK if stage.is_quick else COUNTS
    with ExitStack() as made:
        crowds = {}
        for count in counts:
            crowds[count] = Elsewhere(count)
            made.callback(crowds[count].end)
        for crowd in crowds.values():
            crowd.begin()
        taken: dict[int, list[float]] = {count: [] for count in counts}
        for _ in range(stage.turns(TURNS)):
            for count, crowd in crowds.items():
                time.sleep(REST)
                taken[count].append(crowd.resync() / count * 1e6)
    least, *more = counts
    return [
        ratio(
            f"{TITLE}: {count:,} simulated",
            Turns(ours=taken[count], reference=taken[least]),
            within(0.2),
            unit="µs",
            note=f"against {least:,}; both with malloc and huge pages",
        )
        for count in more
    ]


CASE = Case(name="simulated", title=TITLE, run=run)
