"""From kill -9 until the agent answers again through its address, against Docker's own policy and a hand-made route.

Docker answers the first exit on our side too; what is measured is that the platform does not stand in its way. Each
kill hits a pod that never ended before, at the usual AGENTPOD_TIME_SCALE, so every one is such a first exit: a second
one within ten minutes would be answered by the platform's own, slower policy. The case makes sure of it. Kills of one
side are 15 s apart, and the reference's container has lived for more than the 10 s after which Docker's backoff begins
anew. Both sides are asked every 10 ms, each through a Traefik of its own with the same static configuration.

On both sides other containers stay on the bridge. On one that loses its last container the kernel takes most of a
second more until packets flow again, whoever restarts it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from agentpod_echo import EchoAdapter
from harness import Case, Row, interleaved, ratio, times_at_most
from stage import Stage
from stage.asking import Question, answered_at
from stage.twin import ADDRESS, NEIGHBOUR, Twins, contents, workload

TITLE = "kill -9 → answers again through its address"
PAIRS = 15
APART = 15.0
TWIN, OTHER = "apbench-recovery", "apbench-neighbour"
HOST = "recovery.localhost"
ROUTE = {
    "http": {
        "routers": {"recovery": {"rule": f"Host(`{HOST}`)", "entryPoints": ["web"], "service": "recovery"}},
        "services": {"recovery": {"loadBalancer": {"servers": [{"url": f"http://{ADDRESS}:8080"}]}}},
    }
}


def run(stage: Stage) -> Sequence[Row]:
    """Kill in turn."""
    platform, engine = stage.platform, stage.engine
    count = stage.turns(PAIRS)
    pods = platform.crowd(count + 1)
    victims = iter(pods)
    twins = Twins(engine, engine.inspect(platform.container(pods[0])), contents(workload(EchoAdapter(), {})))
    for name, address in ((TWIN, ADDRESS), (OTHER, NEIGHBOUR)):
        twins.create(name, address)
        twins.send_files(name)
        twins.start(name)
    stage.router.write("recovery.yml", json.dumps(ROUTE))
    to_twin = Question(port=stage.router.http, host=HOST, path="/readyz")
    answered_at(to_twin)
    twins.prove(TWIN)

    def ours() -> float:
        pod = next(victims)
        container = platform.container(pod)
        killed = engine.kill(container)
        taken = answered_at(Question(port=platform.http, host=platform.host(pod), path="/readyz")) - killed
        seen = engine.inspect(container)
        if (seen["RestartCount"], seen["HostConfig"]["RestartPolicy"]["Name"]) != (1, "unless-stopped"):
            raise RuntimeError(f"not the first exit, or not answered by the engine: {container}")
        return taken

    def reference() -> float:
        killed = engine.kill(TWIN)
        return answered_at(to_twin) - killed

    taken = interleaved(spaced(ours), spaced(reference), count=count)
    engine.remove(TWIN)
    engine.remove(OTHER)
    stage.router.clear()
    return [ratio(TITLE, taken, times_at_most(1.1))]


def spaced(side: Callable[[], float]) -> Callable[[], float]:
    """Let a side's turns begin at least ``APART`` seconds after one another."""
    due = time.monotonic() + APART

    def turn() -> float:
        nonlocal due
        time.sleep(max(0.0, due - time.monotonic()))
        due = time.monotonic() + APART
        return side()

    return turn


CASE = Case(name="recovery", title=TITLE, run=run)
