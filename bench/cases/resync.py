"""A resync that finds nothing to do, over 50 and 300 real pods, against one list of the containers and one query.

Ours is the whole pass of the server that leads, as it counts it itself: list and query, and besides the volumes, the
networks, the tenants, the host's packet filter, and the comparison. The reference asks for the same list and sends the
same query on connections that are kept, and decodes the engine's JSON.

The passes for single pods that a resync asks for (for each tenth of them, to look deeply) come after it and are not in
it; so they are not in the figures of either side.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from agentpod_server.store.rows import POD_WITH_ENGINE_PART
from harness import Case, Row, interleaved, ratio, times_at_most
from stage import Stage
from stage.inside import Inside
from stage.platform import Platform
from stage.waiting import until

TITLE = "resync with nothing to do"
COUNTS = (50, 300)
QUICK = (5, 10)
TURNS = 15


def run(stage: Stage) -> Sequence[Row]:
    """Measure the smaller crowd, let it grow, and measure again."""
    rows = [measured(stage, count) for count in (QUICK if stage.is_quick else COUNTS)]
    stage.platform.disperse()
    return rows


def measured(stage: Stage, count: int) -> Row:
    """Compare the two over so many pods, or however many more there are."""
    platform, engine = stage.platform, stage.engine
    platform.crowd(count)
    labels = {"label": [f"agentpod.instance={platform.instance}", "agentpod.pod-id"]}
    seen = 0
    until(lambda: is_settled(platform), "nothing is left to do", seconds=120)

    with Inside(platform) as inside:

        def ours() -> float:
            begun, seconds = platform.passes("resync")
            inside.resync()
            until(lambda: platform.passes("resync")[0] > begun, "a resync ends", every=0.02)
            done, more = platform.passes("resync")
            return (more - seconds) / (done - begun)

        def reference() -> float:
            nonlocal seen
            at = time.perf_counter()
            listed = engine.call("GET", "containers/json", all=True, filters=json.dumps(labels))
            rows = inside.fetch(f"{POD_WITH_ENGINE_PART} order by p.id")
            taken = time.perf_counter() - at
            seen = len(listed)
            if seen < count or len(rows) != seen:
                raise RuntimeError(f"{seen} containers and {len(rows)} pods where {count} were made")
            return taken

        taken = interleaved(ours, reference, count=stage.turns(TURNS))
    return ratio(f"{TITLE}, {seen} pods", taken, times_at_most(2), note="against one list and one query")


def is_settled(platform: Platform) -> bool:
    """Say whether no pod's pass ran for a second."""
    before = platform.passes("pod")[0]
    time.sleep(1)
    return platform.passes("pod")[0] == before


CASE = Case(name="resync", title=TITLE, run=run)
