"""A pod's container removed by hand until a new one runs, against the engine's bare API making the same container.

Both count from the moment at which the engine has removed the old one: its name and its address are free then. Both
end with the moment at which the engine itself saw the new one run. The volumes stay, and with them, on the reference's
side, the files: ours writes them anew. Nobody asks ours to do anything.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

from agentpod_echo import EchoAdapter
from harness import Case, Row, interleaved, ratio, times_at_most
from stage import Stage
from stage.asking import Question, answered_at
from stage.platform import CROWD
from stage.twin import ADDRESS, Twins, contents, workload
from stage.waiting import until

TITLE = "docker rm -f → running"
PAIRS = 15
VICTIMS = 5
PORT = 8080
TWIN = "apbench-healing"


def run(stage: Stage) -> Sequence[Row]:
    """Remove one after the other, and the twin."""
    platform, engine = stage.platform, stage.engine
    pods = platform.crowd(VICTIMS)
    victims = itertools.cycle(pods)
    twins = Twins(engine, engine.inspect(platform.container(pods[0])), contents(workload(EchoAdapter(), {})))
    twins.create(TWIN)
    twins.send_files(TWIN)
    twins.start(TWIN)
    twins.prove(TWIN)
    to_twin = Question(address=ADDRESS, port=PORT, host=ADDRESS, path="/readyz")

    def removed(container: str) -> float:
        engine.call("DELETE", f"containers/{container}", force=True)
        return time.time()

    def ours() -> float:
        pod = next(victims)
        container = platform.container(pod)
        before = engine.inspect(container)["Id"]
        gone = removed(container)
        until(lambda: engine.is_running(container), f"{container} runs again")
        taken = engine.started_at(container) - gone
        if engine.inspect(container)["Id"] == before:
            raise RuntimeError(f"{container} was not removed")
        platform.until_ready(CROWD, pod["name"])
        return taken

    def reference() -> float:
        gone = removed(TWIN)
        twins.create(TWIN)
        twins.start(TWIN)
        taken = engine.started_at(TWIN) - gone
        answered_at(to_twin)
        return taken

    taken = interleaved(ours, reference, count=stage.turns(PAIRS))
    engine.remove(TWIN)
    return [ratio(TITLE, taken, times_at_most(1.15, more=0.1), note="against the raw Docker API")]


CASE = Case(name="healing", title=TITLE, run=run)
