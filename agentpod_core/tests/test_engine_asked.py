"""Looks come by themselves as often as is said; whoever asks for one is told when it was had, and how it ended."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentpod_core.errors import ConflictError, TemporaryError
from agentpod_core.ports import pod_key
from agentpod_core.values.status import Phase


async def test_a_look_ends_with_a_pass_that_began_after_it(rig: Any) -> None:
    """Once the look is over, what was removed by hand just before it is there again."""
    pod_id = await rig.add()
    async with rig.running(resync=60.0) as controller:
        await rig.until(lambda: rig.store.status(pod_id).phase is Phase.RUNNING)
        rig.engine.remove_by_hand(rig.name(pod_id))
        await asyncio.wait_for(controller.look(pod_key(pod_id)), 5)

        assert rig.container(pod_id) is not None


async def test_a_look_that_fails_says_why(rig: Any) -> None:
    """What the pass ended with is raised; it is tried again by itself."""
    pod_id = await rig.add()
    async with rig.running(resync=60.0) as controller:
        await rig.until(lambda: rig.store.status(pod_id).phase is Phase.RUNNING)
        rig.store.fail(TemporaryError("StoreUnreachable"))
        with pytest.raises(TemporaryError, match="StoreUnreachable"):
            await asyncio.wait_for(controller.look(pod_key(pod_id)), 5)


async def test_who_does_not_lead_looks_at_nothing(rig: Any) -> None:
    """A controller that stands by refuses at once."""
    pod_id = await rig.add()

    with pytest.raises(ConflictError, match="NotLeader"):
        await rig.controller().look(pod_key(pod_id))


async def test_who_loses_the_lead_answers_the_questions(rig: Any) -> None:
    """A look that nobody will have is refused when the controller ends, not left waiting."""
    pod_id = await rig.add()
    async with rig.running(resync=60.0, workers=1) as controller:
        await rig.until(lambda: rig.store.status(pod_id).phase is Phase.RUNNING)
        waiting = [asyncio.create_task(controller.look(f"tenant:{number}")) for number in range(50)]
        await asyncio.sleep(0)
    answers = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)

    assert {getattr(one, "reason", "had") for one in answers} <= {"NotLeader", "had"}
    assert any(getattr(one, "reason", "") == "NotLeader" for one in answers)


@pytest.mark.parametrize("seconds", [5.0, 30.0])
def test_everything_is_looked_at_as_often_as_the_pace_says(live: Any, seconds: float) -> None:
    """Also where nothing happens at all."""

    async def history(rig: Any) -> None:
        looks, observe = 0, rig.runtime.observe

        async def counted() -> Any:
            nonlocal looks
            looks += 1
            return await observe()

        async with rig.running(resync=seconds):
            await rig.phase(await rig.add(), Phase.RUNNING)
            await asyncio.sleep(100)
            rig.runtime.observe = counted
            await asyncio.sleep(10.5 * seconds)
        assert looks in {10, 11}

    live(history)
