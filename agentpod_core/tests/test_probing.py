"""How often agents are asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from agentpod_core import Probe
from agentpod_core.controller.probing import Prober
from agentpod_core.embedding import SystemClock
from agentpod_core.reconcile.parts import Silence
from agentpod_core.testing import FakeLink
from agentpod_core.values.world import Container, ContainerState

PROBE = Probe(probe="any", interval=10.0, start_interval=0.2, timeout=1)


class Noted(SystemClock):
    """A clock that notes the first pause of each sleeper, and lets it sleep for good."""

    def __init__(self, sleepers: int) -> None:
        self.pauses: list[float] = []
        self.all_asleep = asyncio.Event()
        self._sleepers = sleepers

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == self._sleepers:
            self.all_asleep.set()
        await asyncio.Event().wait()


class Links:
    def link(self, pod: Any, endpoint: Any, container: str) -> FakeLink:
        link = FakeLink()
        link.pod_id = pod.id
        return link


@pytest.mark.parametrize(("count", "expected"), [(1, 0.2), (2, 0.2), (6, 0.6), (400, 10.0)])
async def test_a_crowd_that_boots_is_asked_less_often_each(rig: Any, count: int, expected: float) -> None:
    """Alone a booting agent is asked at its own pace; many share what the processors can bear."""
    workload = replace(rig.workload, probe=PROBE, boot_cost=20.0)
    tenant = await rig.store.add_tenant("acme")
    pod = await rig.store.pod(await rig.store.add_pod(tenant, "one", workload=workload))
    container = Container(id="1", name="one", state=ContainerState.RUNNING, address="10.0.0.4")
    clock = Noted(count)
    rig.health.ill.update(f"pod-{number}" for number in range(count))
    prober = Prober(
        probe=lambda _: rig.health,
        links=Links(),
        clock=clock,
        telemetry=Silence(),
        changed=lambda _: None,
        slots=2,
    )
    for number in range(count):
        prober.follow(replace(pod, id=f"pod-{number}"), container)
    async with asyncio.timeout(20):
        await clock.all_asleep.wait()
    prober.close()
    assert {round(pause, 3) for pause in clock.pauses} == {expected}
