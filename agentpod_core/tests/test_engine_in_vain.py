"""A change that fails once its agent was ended for it: that is back, looked after, and not ended again too soon."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from registry import AWAY, refusing, well, with_config

from agentpod_core import ContainerState, TemporaryError
from agentpod_core.values.actions import RemoveContainer, StartContainer, StopContainer, UpdateLimits, WriteFiles
from agentpod_core.values.status import Phase

BUSY = TemporaryError("EngineRefused", message="busy")


@pytest.mark.parametrize("trouble", ["limit", "file", "removal"])
def test_no_agent_is_ended_again_and_again_for_a_change(live: Any, trouble: str) -> None:
    """Where a change fails once its agent was ended for it, that is back at once and left alone for ever longer."""

    async def history(rig: Any) -> None:
        refuses = {
            "limit": lambda action: isinstance(action, UpdateLimits) and action.limits.memory == 4_000_000,
            "file": lambda action: (
                isinstance(action, WriteFiles) and rig.container(pod_id).state is not ContainerState.RUNNING
            ),
            "removal": lambda action: isinstance(action, RemoveContainer),
        }[trouble]
        broken = refusing(rig, refuses, BUSY)
        stops, real = [], rig.runtime.apply

        async def apply(action: Any, material: Any) -> None:
            if isinstance(action, StopContainer):
                stops.append(rig.clock.monotonic())
            if len(stops) > 50:
                broken.clear()
            await real(action, material)

        rig.runtime.apply = apply
        async with rig.running():
            pod_id = await well(rig)
            broken.append(True)
            await rig.store.change_pod(pod_id, workload=_changed(rig.workload, trouble))
            await asyncio.sleep(3600)
            assert 2 <= len(stops) <= 5
            assert stops[-1] - stops[-2] > stops[1] - stops[0] >= 300
            status = await rig.status(pod_id)
            assert (status.phase, status.reason, status.ready) == (Phase.DEGRADED, "EngineRefused", True)
            broken.clear()
            await asyncio.sleep(3600)
            assert (await rig.status(pod_id)).observed_generation == 2

    live(history)


@pytest.mark.parametrize("trouble", ["hang", "crash"])
def test_who_was_ended_in_vain_is_looked_after_meanwhile(live: Any, trouble: str) -> None:
    """However long the change has to wait, a hang does not wait for it, be it the first one or that of its restart."""

    async def history(rig: Any) -> None:
        broken = refusing(rig, lambda action: isinstance(action, RemoveContainer), BUSY)
        starts, begin = [], rig.engine.begin

        def begun(container: Any) -> None:
            begin(container)
            starts.append(rig.clock.monotonic())

        rig.engine.begin = begun
        async with rig.running():
            pod_id = await well(rig)
            broken.append(True)
            await rig.store.change_pod(pod_id, workload=_changed(rig.workload, "removal"))
            await asyncio.sleep(5400)
            began = len(starts)
            rig.health.ill.add(pod_id)
            if trouble == "crash":
                rig.engine.kill(rig.name(pod_id), 1)
            await asyncio.sleep(1200)
            assert len(starts) - began >= 4
            rig.health.ill.discard(pod_id)
            await rig.until(lambda: rig.container(pod_id).state is ContainerState.RUNNING)
            await asyncio.sleep(60)
            assert (await rig.status(pod_id)).ready

    live(history)


@pytest.mark.parametrize("how", ["env", "file"])
@pytest.mark.parametrize("trouble", ["stop refused", "engine away"])
def test_a_change_that_ended_nobody_in_vain_is_soon_tried_again(live: Any, how: str, trouble: str) -> None:
    """The long pause is for changes that are refused, not for an end that did not come or an engine that was away."""

    async def history(rig: Any) -> None:
        hit, real = [], rig.runtime.apply
        kinds = (StopContainer,) if trouble == "stop refused" else (RemoveContainer, StartContainer)
        error = BUSY if trouble == "stop refused" else AWAY

        async def apply(action: Any, material: Any) -> None:
            if begun and not hit and isinstance(action, kinds):
                hit.append(True)
                raise error
            await real(action, material)

        rig.runtime.apply, begun = apply, []
        async with rig.running():
            pod_id = await well(rig)
            begun.append(True)
            await rig.store.change_pod(pod_id, workload=_changed(rig.workload, "removal" if how == "env" else "file"))
            await asyncio.sleep(60)
            status = await rig.status(pod_id)
            assert hit
            assert (status.phase, status.observed_generation) == (Phase.RUNNING, 2)

    live(history)


def test_a_clock_that_is_set_back_holds_up_no_change(live: Any) -> None:
    """A date that was written by a clock that was ahead is none to wait for."""

    async def history(rig: Any) -> None:
        broken = refusing(rig, lambda action: isinstance(action, RemoveContainer), BUSY)
        now, back = rig.clock.now, [timedelta()]
        rig.clock.now = lambda: now() - back[0]
        async with rig.running():
            pod_id = await well(rig)
            broken.append(True)
            await rig.store.change_pod(pod_id, workload=_changed(rig.workload, "removal"))
            await asyncio.sleep(30)
            broken.clear()
            back[0] = timedelta(days=1)
            await asyncio.sleep(900)
            assert (await rig.status(pod_id)).observed_generation == 2

    live(history)


def _changed(workload: Any, how: str) -> Any:
    if how == "removal":
        return replace(workload, env={"A": "B"})
    memory = 4_000_000 if how == "limit" else workload.resources.memory
    return replace(workload, files=with_config(workload, "2"), resources=replace(workload.resources, memory=memory))
