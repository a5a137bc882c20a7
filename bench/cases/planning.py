"""How long ``plan`` takes for 10,000 pods, in processor time of one core.

What is counted is the pass that nearly every one is: a pod that runs, answers, and is as it should be. A second line,
for reading, counts pods of which nothing is there yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from agentpod_core import Container, ContainerState, ProbeResult
from agentpod_core.desired import Desired, desire
from agentpod_core.observed import Observed, Probed
from agentpod_core.plan import plan
from agentpod_core.values.status import PodStatus, Record
from agentpod_core.values.world import Protection
from harness import Case, Row, at_most, figure
from stage import Stage
from stage.simulated import INSTANCE, world

TITLE = "plan(), 10,000 pods"
PODS = 10_000
LOOKS = 9


def run(stage: Stage) -> Sequence[Row]:
    """Plan for all of them, a few times."""
    now = datetime.now(UTC)
    wanted = [desire(INSTANCE, pod) for pod in world(PODS).pods]
    seen = [well(desired, now) for desired in wanted]
    records, statuses = [Record()] * PODS, [PodStatus()] * PODS
    # The first pass takes note that the pod is there, the second has nothing to say any more.
    for _ in range(2):
        plans = [
            plan(desired, observed, record, now, before=before)
            for desired, observed, record, before in zip(wanted, seen, records, statuses, strict=True)
        ]
        records, statuses = [one.record for one in plans], [one.status for one in plans]
    if any(one.actions or one.status.phase != "running" for one in plans):
        raise RuntimeError(f"there is something to do: {plans[0]}")

    def quiet() -> None:
        for desired, observed, record, before in zip(wanted, seen, records, statuses, strict=True):
            plan(desired, observed, record, now, before=before)

    def nothing() -> None:
        for desired in wanted:
            plan(desired, Observed(), Record(), now)

    return [
        figure(f"{TITLE}: nothing to do", timed(stage, quiet), "ms", goal=at_most(200, "ms")),
        figure(f"{TITLE}: all to be made", timed(stage, nothing), "ms"),
    ]


def well(desired: Desired, now: datetime) -> Observed:
    """Give what is seen of a pod that has run and answered for an hour."""
    began = now - timedelta(hours=1)
    container = Container(
        id=desired.container,
        name=desired.container,
        state=ContainerState.RUNNING,
        labels=desired.labels,
        network=desired.network,
        address=desired.address,
        image=desired.workload.image,
        deep=True,
        started_at=began,
        limits=desired.limits,
    )
    result = ProbeResult(alive=True, ready=True, reason="Answering")
    return Observed(
        containers=(container,),
        probed=Probed(result=result, failures=0, at=now, started_at=began),
        routed=True,
        protection=Protection(active=True),
    )


def timed(stage: Stage, work: Callable[[], None]) -> list[float]:
    """Give the milliseconds of processor time that some work takes, each time."""
    taken = []
    for _ in range(stage.turns(LOOKS)):
        begun = time.process_time()
        work()
        taken.append((time.process_time() - begun) * 1000)
    return taken


CASE = Case(name="planning", title=TITLE, run=run)
