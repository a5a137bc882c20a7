"""Many agents that boot at once share the processors, and none of them is blamed for taking its time."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from agentpod_core import Probe
from agentpod_core.values.actions import StartContainer
from agentpod_core.values.status import Phase

PODS = 20
SLOTS = 2
BURNS = 30.0
"""Seconds of a processor that each boot takes."""
DEADLINE = 60.0
"""Seconds that a boot may take which has a processor to itself."""


def test_a_crowd_that_an_engine_starts_at_once_has_the_time_it_takes(live: Any) -> None:
    """Twenty agents on two processors take ten times as long as one, far beyond the deadline of a lone one.

    That holds while they boot. Who is not up by then has no more of an excuse, and is found out within its own time.
    """

    async def history(rig: Any) -> None:
        workload = replace(rig.workload, boot_cost=20.0, probe=Probe(probe="any", start_deadline=DEADLINE))
        tenant = await rig.store.add_tenant("acme")
        async with rig.running(slots=SLOTS):
            pods = [await rig.store.add_pod(tenant, f"p{number}", workload=workload) for number in range(PODS)]
            for pod_id in pods:
                await rig.phase(pod_id, Phase.RUNNING)
            rig.engine.applied.clear()
            rig.health.ill.update(pods)
            rig.engine.reboot()
            # Each has its share of the processors, and all come up at once in the end.
            await asyncio.sleep(PODS * BURNS / SLOTS)
            rig.health.ill.intersection_update({pods[0]})
            for pod_id in pods[1:]:
                await rig.phase(pod_id, Phase.RUNNING)
            assert [one for one in rig.engine.applied if isinstance(one, StartContainer)] == []
            assert await rig.told("StartTooSlow") == 0
            assert all(pod.record.failures == () for pod in await rig.store.pods())

            await asyncio.sleep(DEADLINE)
            assert await rig.told("StartTooSlow") == 1
            rig.health.ill.clear()
            await rig.phase(pods[0], Phase.RUNNING)

    live(history)
