"""A hung agent until the platform acts on it, against what its probe allows: interval × threshold + timeout.

All processes of a container are stopped as by ``kill -STOP``: it still runs, and answers nobody. The platform acts
when the engine says that it was asked to end the container. Agents hang at different moments of their probes' rounds;
what counts is the one that hung the longest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from agentpod_echo import EchoAdapter
from harness import Case, Row, Turns, figure, more_by_at_most, ratio
from stage import Stage
from stage.following import Following
from stage.platform import CROWD
from stage.twin import workload

TITLE = "kill -STOP → acted on"
PODS = 10
APART = 1.0


def run(stage: Stage) -> Sequence[Row]:
    """Let all of them hang, one shortly after the other, and wait for each."""
    platform, engine = stage.platform, stage.engine
    probe = workload(EchoAdapter(), {}).probe
    assert probe is not None
    allowed = probe.interval * probe.failures + probe.timeout
    pods = platform.crowd(stage.turns(PODS))
    stopped: dict[str, float] = {}
    with Following(*engine.events(event=["kill"], type=["container"])) as events:
        for pod in pods:
            stopped[platform.container(pod)] = engine.freeze(platform.container(pod))
            time.sleep(APART)
        taken = [
            events.first(lambda line, name=name: _names(line, name), since=since, seconds=3 * allowed) - since
            for name, since in stopped.items()
        ]
    for pod in pods:
        platform.until_ready(CROWD, pod["name"])
    why = f"{probe.interval:g} s × {probe.failures} + {probe.timeout:g} s"
    return [
        ratio(f"{TITLE}, the slowest", Turns(ours=[max(taken)], reference=[allowed]), more_by_at_most(1), note=why),
        figure(TITLE, taken, "s"),
    ]


def _names(line: bytes, container: str) -> bool:
    return bool(json.loads(line)["Actor"]["Attributes"]["name"] == container)


CASE = Case(name="hung", title=TITLE, run=run)
