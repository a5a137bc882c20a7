"""What the platform takes while it looks after 50 pods that want nothing: processor time over 5 minutes, and memory.

Every agent is asked for a page every 10 s and shakes hands every 60 s, as OpenClaw's do. The agents are echo pods: what
agents themselves take is not counted, and fifty OpenClaws would not fit. The engine's own share is a line beside it.
Memory is the proportional set size after those 5 minutes; megabytes are 10^6 bytes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness import Case, Row, at_most, figure
from stage import Stage, processes
from stage.plugins.handshaking import NAME

TITLE = "idle with 50 pods"
TENANT = "idle"
PODS = 50
SETTLED = 45.0
SECONDS = 300.0
LOOKS = 5


def run(stage: Stage) -> Sequence[Row]:
    """Leave a platform with its pods alone, and look what it took."""
    count, settled, seconds = (3, 2.0, 10.0) if stage.is_quick else (PODS, SETTLED, SECONDS)
    # Pages that two servers share count half for each.
    stage.clear()
    platform = stage.another(plugin=NAME)
    platform.crowd(count, of=TENANT, adapter=NAME)
    time.sleep(settled)
    kinds = processes.of(platform.state)

    def spent() -> dict[str, float]:
        found = processes.of(platform.state) | {"engine": processes.of_engine()}
        return {kind: processes.processor(pids) for kind, pids in found.items()}

    before, begun = spent(), time.monotonic()
    time.sleep(seconds)
    after, over = spent(), time.monotonic() - begun
    shares = {kind: 100 * (after[kind] - before[kind]) / over for kind in after}
    looks = processes.server_memory(platform.state, stage.turns(LOOKS))
    platform.end()
    note = f"of one core, over {over:.0f} s"
    rows = [figure(f"{TITLE}: {kind}", [shares[kind]], "%", note=note) for kind in sorted(shares)]
    together = [sum(shares[kind] for kind in kinds)]
    return [
        *rows,
        figure(f"{TITLE}: server, Traefik and PostgreSQL", together, "%", goal=at_most(3, "%"), note=note),
        figure(f"{TITLE}: memory of the server", looks, "MB", goal=at_most(120, "MB")),
    ]


CASE = Case(name="idle", title=TITLE, run=run)
