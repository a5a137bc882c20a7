"""OpenClaw from ``agentpod pod create`` until that says it is ready, against the same container until ``/readyz``.

Ours is the command line as an operator uses it, its own start included. The reference has its volume filled before
the clock starts, and is then created and started by the engine's bare API, which is what ``docker run`` does.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

from agentpod_openclaw import OpenClawAdapter
from harness import Case, Row, interleaved, more_by_at_most, ratio
from stage import Stage
from stage.asking import Question, answered_at
from stage.twin import ADDRESS, Twins, contents, workload

TITLE = "OpenClaw: pod create → ready"
TENANT = "openclaw"
PAIRS = 5
PORT = 18789
EVERY = 0.1
CONFIG = {"provider": "openai-compatible", "model": "scripted-1", "base_url": "http://model.invalid:8080/v1"}
# The engine's bridge is the one proxy that the gateway trusts, and it asks a proxy for whom it speaks.
HEADERS = ("X-Forwarded-For: 192.0.2.2",)


def run(stage: Stage) -> Sequence[Row]:
    """Let one boot at a time."""
    platform, engine = stage.platform, stage.engine
    platform.image("openclaw")
    platform.tenant(TENANT)
    options = [part for key, value in CONFIG.items() for part in ("--set", f"{key}={value}")]
    numbers = itertools.count()

    def ours(*, keep: bool = False) -> float:
        name = f"p{next(numbers)}"
        begun = time.time()
        platform.agentpod("pod", "create", f"{TENANT}/{name}", "--adapter", "openclaw", *options)
        taken = time.time() - begun
        if not keep:
            platform.delete(TENANT, name)
        return taken

    # The pattern is what warms the caches of our side.
    ours(keep=True)
    pattern = engine.inspect(platform.container(platform.pod(TENANT, "p0")))
    twins = Twins(engine, pattern, contents(workload(OpenClawAdapter(), CONFIG)))
    platform.delete(TENANT, "p0")

    def reference() -> float:
        name = f"apbench-openclaw-{next(numbers)}"
        twins.create(name)
        twins.send_files(name)
        engine.call("DELETE", f"containers/{name}")
        begun = time.time()
        twins.create(name)
        twins.start(name)
        question = Question(address=ADDRESS, port=PORT, host=ADDRESS, path="/readyz", headers=HEADERS)
        taken = answered_at(question, seconds=180, every=EVERY) - begun
        twins.prove(name)
        engine.remove(name)
        return taken

    reference()
    taken = interleaved(ours, reference, count=stage.turns(PAIRS), warm=0)
    platform.clear(TENANT)
    return [ratio(TITLE, taken, more_by_at_most(1))]


CASE = Case(name="openclaw", title=TITLE, run=run)
