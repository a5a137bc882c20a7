"""What one probe costs where hundreds of pods are asked by one event loop: no more with 500 of them than with 100.

The prober, its links and the HTTP probe are the server's own, on the event loop that the server runs on; the agent is
one process on loopback that answers at once, under the address of every pod. Each pod is asked once a second, ten times
as often as by default. What is counted is this process's time on the processor, divided by the probes that were
answered meanwhile. Ours is the larger crowd, the reference the smaller; they take turns. The figure is what the larger
would cost at the default pace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import uvloop
from msgspec.structs import replace

from agentpod_core import Container, ContainerState, Probe
from agentpod_core.controller.probing import Prober
from agentpod_core.embedding import PodInput, Silence, SystemClock
from agentpod_core.plugpoints.link import Link
from agentpod_core.values.world import Endpoint
from agentpod_http_probe import HttpProbe
from agentpod_server.links import AgentLinks
from harness import Case, Row, Turns, figure, interleaved, ratio, times_at_most
from stage import Stage
from stage.answering import answering
from stage.simulated import Filled, runtime, world

TITLE = "probe of a pod that is well"
LESS, MORE = 100, 500
TURNS = 5
SETTLE = 2.0
SECONDS = 8.0
DEFAULT_INTERVAL = 10.0
PROBE = Probe(probe="http", settings={"path": "/readyz"}, interval=1.0, start_interval=1.0, timeout=1.0)


def run(stage: Stage) -> Sequence[Row]:
    """Ask the one crowd and the other."""
    with answering() as agent:
        taken = interleaved(lambda: asked(MORE, agent), lambda: asked(LESS, agent), count=stage.turns(TURNS))
    micro = Turns(ours=[one * 1e6 for one in taken.ours], reference=[one * 1e6 for one in taken.reference])
    percent = [one * MORE / DEFAULT_INTERVAL * 100 for one in taken.ours]
    return [
        ratio(
            f"{TITLE}, of {MORE}", micro, times_at_most(1.2), unit="µs", note=f"of processor time, against {LESS} pods"
        ),
        figure(f"{MORE} pods asked every {DEFAULT_INTERVAL:g} s", percent, "%", note="of one core"),
    ]


def asked(count: int, agent: Endpoint) -> float:
    """Give the seconds of processor time that each probe of so many pods takes."""
    return uvloop.run(_asked(count, agent))


class _Links(AgentLinks):
    """Links that all lead to one agent."""

    def __init__(self, crowd: Filled, agent: Endpoint) -> None:
        super().__init__(runtime(world(1)), crowd.secret)
        self._agent = agent

    def link(self, pod: PodInput, endpoint: Endpoint, container: str) -> Link:  # noqa: ARG002 - wherever it is
        return super().link(pod, self._agent, container)


class _Counted(Silence):
    """Counts probes."""

    count = 0

    def probed(self, pod_id: str, seconds: float, outcome: str, *, ready: bool) -> None:
        super().probed(pod_id, seconds, outcome, ready=ready)
        self.count += 1


async def _asked(count: int, agent: Endpoint) -> float:
    crowd, counted, probe = world(count), _Counted(), HttpProbe()
    prober = Prober(
        probe=lambda _: probe,
        links=_Links(Filled(crowd), agent),
        clock=SystemClock(),
        telemetry=counted,
        changed=lambda _: None,
    )
    for pod in crowd.pods:
        container = Container(id=pod.id, name=pod.name, state=ContainerState.RUNNING, address=pod.address)
        workload = replace(pod.workload, probe=PROBE, boot_cost=0.0)
        prober.follow(replace(pod, workload=workload), container)
    await asyncio.sleep(SETTLE)
    before, begun = counted.count, time.process_time()
    await asyncio.sleep(SECONDS)
    probes, taken = counted.count - before, time.process_time() - begun
    well = [said.result.ready for pod in crowd.pods if (said := prober.last(pod.id))]
    prober.close()
    if probes < 0.9 * count * SECONDS or well != [True] * count:
        raise RuntimeError(f"{probes} probes of {count} pods in {SECONDS:g} s, {sum(well)} of them well")
    return taken / probes


CASE = Case(name="probing", title=TITLE, run=run)
