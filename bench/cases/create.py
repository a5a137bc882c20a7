"""An echo pod from the request to its container running, against the engine's bare API making the same container.

Ours counts from before the request is sent, the reference from before its first call. Both end with the moment at
which the engine itself saw the container run, so nobody's polling is in the figures. Deleting does not count.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

from agentpod_echo import EchoAdapter
from harness import Case, Row, interleaved, ratio, times_at_most
from stage import Stage
from stage.asking import Question, answered_at
from stage.twin import ADDRESS, Twins, contents, workload
from stage.waiting import until

TITLE = "echo pod: request → running"
TENANT = "create"
PAIRS = 15
PORT = 8080


def run(stage: Stage) -> Sequence[Row]:
    """Measure against the API alone, and against what root can do on the engine's own machine besides."""
    platform, engine = stage.platform, stage.engine
    platform.image("echo")
    platform.tenant(TENANT)
    platform.call("POST", f"/tenants/{TENANT}/pods", {"name": "pattern", "adapter": "echo"})
    pattern = platform.until_ready(TENANT, "pattern")
    twins = Twins(engine, engine.inspect(platform.container(pattern)), contents(workload(EchoAdapter(), {})))
    numbers = itertools.count()

    def ours() -> float:
        name = f"p{next(numbers)}"
        begun = time.time()
        made = platform.call("POST", f"/tenants/{TENANT}/pods", {"name": name, "adapter": "echo"})
        container = platform.container(made)
        until(lambda: engine.is_running(container), f"{container} runs")
        taken = engine.started_at(container) - begun
        platform.until_ready(TENANT, name)
        platform.delete(TENANT, name)
        return taken

    def reference(write: Callable[[str], None]) -> float:
        name = f"apbench-create-{next(numbers)}"
        begun = time.time()
        twins.create(name)
        write(name)
        twins.start(name)
        taken = engine.started_at(name) - begun
        twins.prove(name)
        answered_at(Question(address=ADDRESS, port=PORT, host=ADDRESS, path="/readyz"))
        engine.remove(name)
        return taken

    count = stage.turns(PAIRS)
    by_api = interleaved(ours, lambda: reference(twins.send_files), count=count)
    by_hand = interleaved(ours, lambda: reference(twins.place_files), count=count)
    platform.clear(TENANT)
    return [
        ratio(TITLE, by_api, times_at_most(1.15), note="against the raw Docker API"),
        ratio(TITLE, by_hand, note="against the same with files written straight into the volumes' folders"),
    ]


CASE = Case(name="create", title=TITLE, run=run)
