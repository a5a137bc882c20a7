"""While a change waits or is refused, what is there is looked after, and a person hears of it once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from registry import NOWHERE, PULL, refused, slow, well, with_image

from agentpod_core import AgentPodError, ContainerState, PermanentError, ProbeResult, TemporaryError
from agentpod_core.values.actions import UpdateLimits
from agentpod_core.values.alerts import Clear, Raise
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import ConditionType, Phase

AWAY = TemporaryError("EngineRefused", message="the registry does not answer")


@pytest.mark.parametrize(("error", "phase"), [(NOWHERE, Phase.BLOCKED), (AWAY, Phase.DEGRADED)])
def test_a_refused_image_is_told_once(live: Any, error: AgentPodError, phase: Phase) -> None:
    """However long it is refused while the agent runs on: one alert, and one end once it is mended."""

    async def history(rig: Any) -> None:
        tries, changes = refused(rig, error), rig.changes_of_alerts()
        reason = "Blocked" if phase is Phase.BLOCKED else "Degraded"
        async with rig.running():
            pod_id = await well(rig)
            await with_image(rig, pod_id, "typo:1")
            await asyncio.sleep(2 * 3600)
            status = await rig.status(pod_id)
            assert (status.phase, status.reason, status.ready) == (phase, error.reason, True)
            assert changes == [(Raise, reason)]
            assert 20 < len(tries) < 40
            rig.engine.images.add("good:1")
            await with_image(rig, pod_id, "good:1")
            await asyncio.sleep(100)
            assert changes == [(Raise, reason), (Clear, reason)]

    live(history)


@pytest.mark.parametrize("trouble", ["hang", "end", "pause"])
def test_what_is_there_is_mended_while_the_next_image_is_fetched(live: Any, trouble: str) -> None:
    """An agent that hangs, ends or is paused meanwhile comes back within its usual time, and its status says so."""

    async def history(rig: Any) -> None:
        slow(rig, "-", "big:1")
        async with rig.running():
            pod_id = await well(rig)
            await with_image(rig, pod_id, "big:1")
            await asyncio.sleep(10)
            status = await rig.status(pod_id)
            applied = status.condition(ConditionType.APPLIED)
            assert (status.phase, status.ready, status.observed_generation) == (Phase.RUNNING, True, 1)
            assert (applied.status, applied.reason) == (False, "WaitingForImage")
            started = rig.container(pod_id).started_at
            match trouble:
                case "hang":
                    rig.health.ill.add(pod_id)
                    await rig.until(lambda: rig.container(pod_id).started_at != started)
                    rig.health.ill.clear()
                case "end":
                    rig.container(pod_id).limits = replace(rig.container(pod_id).limits, restart=False)
                    rig.engine.kill(rig.name(pod_id))
                case _:
                    rig.engine.pause(rig.name(pod_id))
            await asyncio.sleep(60)
            assert rig.container(pod_id).state is ContainerState.RUNNING
            assert (await rig.status(pod_id)).ready
            assert len(rig.healed) == (trouble != "pause")
            assert rig.container(pod_id).workload.image == "fake:1"
            await asyncio.sleep(PULL)
            assert rig.container(pod_id).workload.image == "big:1"

    live(history)


def test_an_agent_beside_a_refused_image_comes_back_each_time(live: Any) -> None:
    """It may hang or crash again and again: the usual rules hold, its policy among them, and it is told afterwards."""

    async def history(rig: Any) -> None:
        refused(rig, NOWHERE)
        async with rig.running():
            pod_id = await well(rig)
            await with_image(rig, pod_id, "typo:1")
            await rig.phase(pod_id, Phase.BLOCKED)
            for _ in range(2):
                rig.health.ill.add(pod_id)
                await asyncio.sleep(60)
                rig.health.ill.clear()
                await asyncio.sleep(120)
                assert rig.container(pod_id).state is ContainerState.RUNNING
            assert rig.container(pod_id).limits.restart is False
            for _ in range(4):
                if rig.container(pod_id).state is ContainerState.RUNNING:
                    rig.engine.kill(rig.name(pod_id), 1)
                await asyncio.sleep(30)
            await asyncio.sleep(1200)
            healed = len(rig.healed)
            assert (rig.container(pod_id).state, healed > 2) == (ContainerState.RUNNING, True)
            rig.engine.pause(rig.name(pod_id))
            await asyncio.sleep(5)
            status = await rig.status(pod_id)
            assert rig.container(pod_id).state is ContainerState.RUNNING
            assert (status.phase, status.reason) == (Phase.BLOCKED, "ImageNotFound")

    live(history)


def test_whether_an_image_is_there_ends_no_pass(live: Any) -> None:
    """An engine that does not say so has the rest looked after; what it says when asked to get it is told."""

    async def history(rig: Any) -> None:
        broken = PermanentError("EngineRefused", message="invalid reference format")
        has_image = rig.runtime.has_image

        async def unsure(image: str) -> bool:
            if image == "Typo:1":
                raise broken
            return bool(await has_image(image))

        async def silent(_image: str) -> bool:
            raise TemporaryError("EngineRefused", message="layer does not exist")

        async with rig.running():
            rig.runtime.has_image = unsure
            refused(rig, broken, "Typo:1")
            pod_id = await well(rig)
            await with_image(rig, pod_id, "Typo:1")
            await rig.phase(pod_id, Phase.BLOCKED)
            assert (await rig.status(pod_id)).observed_generation == 2
            rig.health.ill.add(pod_id)
            await rig.until(lambda: rig.told("NotAnswering"))
            rig.health.ill.clear()
            rig.runtime.has_image = silent
            rig.engine.pullable.add("new:1")
            # That it was got is enough to try, where no agent is ended for it.
            new = await rig.add("other", workload=replace(rig.workload, image="new:1"))
            await rig.phase(new, Phase.RUNNING)
            assert rig.container(new).workload.image == "new:1"

    live(history)


def test_a_refused_limit_undoes_nothing_and_is_told_once(live: Any) -> None:
    """Files are written, the agent is told that it was healed, and the alert is open until a good spell after it."""

    async def history(rig: Any) -> None:
        refuses, real, changes = [True], rig.runtime.apply, rig.changes_of_alerts()

        async def apply(action: Any, material: Any) -> None:
            if refuses[0] and isinstance(action, UpdateLimits) and action.limits.memory:
                raise TemporaryError("EngineRefused", message="in use")
            await real(action, material)

        rig.runtime.apply = apply
        async with rig.running():
            pod_id = await well(rig)
            live_file = replace(rig.workload.files[0], parts=("2",))
            small = replace(rig.workload.resources, memory=64 * 1024 * 1024)
            workload = replace(rig.workload, files=(live_file, *rig.workload.files[1:]), resources=small)
            await rig.store.change_pod(pod_id, workload=workload)
            await asyncio.sleep(3600)
            assert rig.engine.look(rig.container(pod_id), live_file.path).content == b"2"
            rig.engine.kill(rig.name(pod_id))
            await asyncio.sleep(360)
            assert len(rig.healed) == 1
            await asyncio.sleep(3600)
            status = await rig.status(pod_id)
            assert (status.phase, status.reason, status.ready) == (Phase.DEGRADED, "EngineRefused", True)
            assert changes == [(Raise, "Degraded")]
            refuses[0] = False
            await rig.phase(pod_id, Phase.RUNNING)
            # The last refusal may have been five minutes before.
            await asyncio.sleep(250)
            assert changes == [(Raise, "Degraded")]
            await asyncio.sleep(400)
            assert changes == [(Raise, "Degraded"), (Clear, "Degraded")]

    live(history)


def test_who_was_stopped_is_started_as_it_is_wanted_now(live: Any) -> None:
    """A change made while it was down is waited for: the image that a person wanted no more is not started."""

    async def history(rig: Any) -> None:
        slow(rig, "-", "big:1")
        async with rig.running():
            pod_id = await well(rig)
            await rig.store.want_pod(pod_id, Wanted.STOPPED)
            await rig.phase(pod_id, Phase.STOPPED)
            await with_image(rig, pod_id, "big:1")
            await rig.store.want_pod(pod_id, Wanted.RUNNING)
            await asyncio.sleep(PULL / 2)
            status = await rig.status(pod_id)
            assert (status.phase, status.reason) == (Phase.CREATING, "WaitingForImage")
            assert rig.container(pod_id).state is ContainerState.EXITED
            await asyncio.sleep(PULL)
            assert (await rig.status(pod_id)).ready
            assert rig.container(pod_id).workload.image == "big:1"

    live(history)


@pytest.mark.parametrize("is_taken_over", [False, True])
def test_an_agent_is_asked_its_own_question_while_its_next_version_waits(live: Any, is_taken_over: bool) -> None:
    """The next one's probe says nothing of it: it is neither ended nor failed, also by a leader that knows no other."""

    async def history(rig: Any) -> None:
        slow(rig, "-", "big:1")

        async def check(link: Any, settings: dict[str, Any], *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
            await asyncio.sleep(timeout / 10)
            fits = settings == rig.container(link.pod_id).workload.probe.settings
            return ProbeResult(alive=fits, ready=fits, reason="Answering" if fits else "Timeout")

        rig.health.check = check
        async with rig.running("one"):
            pod_id = await well(rig)
            workload = replace(rig.workload, image="big:1", probe=replace(rig.workload.probe, settings={"path": "/v2"}))
            await rig.store.change_pod(pod_id, workload=workload)
            await asyncio.sleep(PULL / 6)
            assert (await rig.status(pod_id)).ready
            if not is_taken_over:
                rig.engine.kill(rig.name(pod_id))
                await asyncio.sleep(PULL / 6)
                assert (await rig.status(pod_id)).ready
                assert (len((await rig.store.pod(pod_id)).record.failures), await rig.told("NotAnswering")) == (1, 0)
                await asyncio.sleep(PULL)
        if is_taken_over:
            started = rig.container(pod_id).started_at
            async with rig.running("two"):
                await asyncio.sleep(PULL / 2)
                pod = await rig.store.pod(pod_id)
                ready = pod.status.condition(ConditionType.READY)
                assert (pod.status.phase, ready.status, ready.reason) == (Phase.RUNNING, None, "NotAskedYet")
                assert (rig.container(pod_id).started_at, pod.record.failures) == (started, ())
                await asyncio.sleep(PULL)
        assert (await rig.status(pod_id)).ready
        assert rig.container(pod_id).workload.image == "big:1"

    live(history)
