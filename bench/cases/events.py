"""A change in Docker until it is on the platform's event stream, against Docker's own event of it.

One program follows both streams, the engine's ``/events`` and ours, and reads them the same way; both count from before
the change. Ours is the first event that names the pod: by then the platform has looked at the container, concluded what
that means, and written it down. Two changes: a container paused by hand, and an agent killed as by ``kill -9``. While
the engine takes a killed one's network down it answers no look at that container; that wait is in the second line.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from harness import Case, Row, Turns, more_by_at_most, ratio
from stage import Stage
from stage.following import Following
from stage.platform import CROWD
from stage.waiting import until

TITLE = "change in Docker → on the event stream"
PODS = 15
REST = 0.5


def run(stage: Stage) -> Sequence[Row]:
    """Pause one after the other, then kill one after the other; each ends once only, so that no backoff is in it."""
    platform, engine = stage.platform, stage.engine
    # Not the first ones of the crowd: those end in other cases.
    pods = platform.crowd(2 * PODS)[-stage.turns(PODS) :]

    def paused(container: str) -> float:
        at = time.time()
        engine.call("POST", f"containers/{container}/pause")
        return at

    with (
        Following(*engine.events(event=["pause", "die"], type=["container"])) as of_engine,
        Following(*platform.stream(f"/events?tenant={CROWD}")) as of_platform,
    ):

        def measured(change: Callable[[str], float]) -> Turns:
            ours, theirs = [], []
            for pod in pods:
                container = platform.container(pod)
                at = change(container)
                theirs.append(of_engine.first(lambda line, name=container: is_of_container(line, name), since=at) - at)
                ours.append(of_platform.first(lambda line, name=pod["name"]: is_of_pod(line, name), since=at) - at)
                until(lambda name=container: engine.inspect(name)["State"]["Status"] == "running", "it runs again")
                time.sleep(REST)
                platform.until_ready(CROWD, pod["name"])
            return Turns(ours=ours, reference=theirs)

        taken = {"paused": measured(paused), "kill -9": measured(engine.kill)}
    return [
        ratio(f"{TITLE}, {what}", turns, more_by_at_most(0.1), note="against Docker's own event")
        for what, turns in taken.items()
    ]


def is_of_container(line: bytes, name: str) -> bool:
    """Say whether a line of the engine's stream is about that container."""
    return bool(json.loads(line)["Actor"]["Attributes"]["name"] == name)


def is_of_pod(line: bytes, name: str) -> bool:
    """Say whether a line of the platform's stream is about that pod."""
    kind, _, data = line.partition(b": ")
    event: dict[str, Any] = json.loads(data) if kind == b"data" else {}
    return event.get("pod") == name


CASE = Case(name="events", title=TITLE, run=run)
