"""Passes: slow ones keep nobody waiting, what is in vain is let go of, and nothing that goes wrong ends in silence."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace

from agentpod_core import PermanentError, Repair
from agentpod_core.controller.passes import Passes
from agentpod_core.plan import Timings
from agentpod_core.ports import RESYNC
from agentpod_core.reconcile.parts import Silence
from agentpod_core.reconcile.turns import Turns
from agentpod_core.testing import VirtualClock, VirtualLoop
from agentpod_core.values.actions import RunOnce, StopContainer
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Phase


def test_however_many_are_stopped_a_dead_agent_is_started_at_once(live: Any) -> None:
    """Agents that take their time to end keep nobody from being mended."""

    async def history(rig: Any) -> None:
        real = type(rig.runtime).apply

        async def apply(action: Any, material: Any) -> None:
            if isinstance(action, StopContainer):
                await asyncio.sleep(action.timeout)
            await real(rig.runtime, action, material)

        rig.runtime.apply = apply
        workload = replace(rig.workload, stop_timeout=300)
        async with rig.running(workers=2):
            tenant = await rig.store.add_tenant("acme")
            pods = [await rig.store.add_pod(tenant, f"p{number}", workload=workload) for number in range(50)]
            for pod_id in pods:
                await rig.phase(pod_id, Phase.RUNNING)
            for pod_id in pods[1:]:
                await rig.store.want_pod(pod_id, Wanted.STOPPED)
            await asyncio.sleep(1)
            begun = rig.clock.monotonic()
            rig.engine.remove_by_hand(rig.name(pods[0]))
            await rig.until(lambda: rig.container(pods[0]))
            assert rig.clock.monotonic() - begun < 5

    live(history)


def test_a_repair_is_let_go_of_once_something_else_is_wanted(live: Any) -> None:
    """Who corrects the config has not to wait until the repair of the old one has given up."""

    async def history(rig: Any) -> None:
        real = type(rig.runtime).apply
        rig.repairs[78] = Repair(reason="PermanentExit", command=("fix",))

        async def apply(action: Any, material: Any) -> None:
            if isinstance(action, RunOnce):
                await asyncio.sleep(action.timeout)
            await real(rig.runtime, action, material)

        rig.runtime.apply = apply
        workload = replace(rig.workload, permanent_exits=(78,))
        async with rig.running():
            pod_id = await rig.add(workload=workload)
            await rig.phase(pod_id, Phase.RUNNING)
            rig.engine.holds_restarts = True
            rig.engine.kill(rig.name(pod_id), 78)
            await asyncio.sleep(10)
            assert (await rig.status(pod_id)).reason == "Repairing"
            begun = rig.clock.monotonic()
            await rig.store.change_pod(pod_id, workload=replace(workload, env={"corrected": "1"}))
            await rig.phase(pod_id, Phase.RUNNING)
            assert rig.clock.monotonic() - begun < 5

    live(history)


def test_who_leads_no_more_asks_no_agent(live: Any) -> None:
    """A pass that swallows its end, as a bad plugin may make it do, leaves nobody behind who asks its agent on."""

    async def history(rig: Any) -> None:
        asked: list[float] = []
        check, inspect = rig.health.check, rig.runtime.inspect

        async def counted(*args: Any, **kwargs: Any) -> Any:
            asked.append(rig.clock.monotonic())
            return await check(*args, **kwargs)

        async def stubborn(name: str) -> Any:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(5)
            return await inspect(name)

        rig.health.check = counted
        async with rig.running() as controller:
            pod_id = await rig.add()
            await rig.phase(pod_id, Phase.RUNNING)
            rig.runtime.inspect = stubborn
            controller.nudge(f"pod:{pod_id}")
            await asyncio.sleep(1)
        asked.clear()
        await asyncio.sleep(120)
        assert asked == []

    live(history)


class Lead:
    """Passes that a test hands out by itself; ``began`` are the keys of those that began."""

    def __init__(self, turns: int = 1) -> None:
        self.passes = Passes(VirtualClock(), Silence(), Timings())
        self.turns = Turns(turns)
        self.began: list[str] = []
        self.error: BaseException | None = None
        self._jobs: list[asyncio.Task[None]] = []

    async def handle(self, key: str) -> None:
        self.began.append(key)
        if self.error:
            raise self.error

    def start(self) -> None:
        jobs = self.passes.hand_out(self.handle, self.turns, 1), self.passes.look(self.handle, 1)
        self._jobs = [asyncio.create_task(job) for job in jobs]

    async def stop(self) -> None:
        left = [*self._jobs, *self.passes.under_way]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _lived(history: Any, **parts: Any) -> None:
    async def begin() -> None:
        lead = Lead(**parts)
        lead.start()
        try:
            await history(lead)
        finally:
            await lead.stop()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(begin())


def test_what_fails_for_ever_is_tried_for_ever() -> None:
    """However many failures came in a row: the pause is the longest, and then comes a try."""

    async def history(lead: Lead) -> None:
        lead.error = PermanentError("EngineRefused")
        lead.passes.add("pod:a")
        await asyncio.sleep(5000 * Timings().longest_backoff)
        tries = len(lead.began)
        assert tries > 4000
        lead.error = None
        await asyncio.sleep(2 * Timings().longest_backoff)
        assert len(lead.began) == tries + 1

    _lived(history)


def test_a_mistake_in_a_pass_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that is none of ours ends neither its key nor anybody else's passes."""

    async def history(lead: Lead) -> None:
        lead.error = ZeroDivisionError()
        lead.passes.add("pod:a")
        await asyncio.sleep(0.5)
        assert "pod:a" in caplog.text
        lead.error = None
        lead.passes.add("pod:b")
        await asyncio.sleep(2)
        assert lead.began == ["pod:a", "pod:b", "pod:a"]

    _lived(history)


def test_a_pass_that_is_cancelled_from_within_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that cancels what it runs in takes nobody's worker away, and its key comes again."""

    async def history(lead: Lead) -> None:
        lead.error = asyncio.CancelledError()
        lead.passes.add("pod:a")
        await asyncio.sleep(1)
        assert [one.message for one in caplog.records if one.levelno == logging.ERROR] == [
            "pod:a: it was cancelled from within"
        ]
        lead.error = None
        lead.passes.add("pod:b")
        await asyncio.sleep(2 * Timings().longest_backoff)
        assert lead.began == ["pod:a", "pod:b", "pod:a"]

    _lived(history)


def test_a_pass_that_was_ended_before_it_began_leaves_its_key_free() -> None:
    """Who loses the lead in that very moment can have a pass for that key when it leads again."""

    async def history(lead: Lead) -> None:
        lead.passes.add("pod:a")
        for _ in range(10):
            # As soon as the pass is there it has not had its first step.
            if lead.passes.under_way:
                break
            await asyncio.sleep(0)
        await lead.stop()
        assert lead.began == []
        lead.start()
        lead.passes.add("pod:a")
        await asyncio.sleep(1)
        assert lead.began == ["pod:a"]

    _lived(history)


def test_who_lent_its_turn_gets_it_back_while_nobody_asks_for_one() -> None:
    """Handing out holds no turn while there is no key: the only pass goes on once it has waited."""

    async def history(lead: Lead) -> None:
        went_on = []

        async def handle(key: str) -> None:
            async with lead.turns.lent():
                await asyncio.sleep(10)
            went_on.append(key)

        lead.handle = handle  # type: ignore[method-assign]
        await lead.stop()
        lead.start()
        lead.passes.add("pod:a")
        await asyncio.sleep(11)
        assert went_on == ["pod:a"]

    _lived(history)


def test_keys_wait_in_the_queue_for_their_turn() -> None:
    """What cannot be at work yet is counted as waiting; the look at everything needs no turn."""

    async def history(lead: Lead) -> None:
        async def handle(key: str) -> None:
            lead.began.append(key)
            await asyncio.sleep(10)

        lead.handle = handle  # type: ignore[method-assign]
        await lead.stop()
        lead.start()
        for key in ("pod:a", "pod:b", "pod:c", RESYNC):
            lead.passes.add(key)
        await asyncio.sleep(4)
        assert (sorted(lead.began, reverse=True), lead.passes.depth) == ([RESYNC, "pod:a"], 2)
        assert lead.passes.oldest == pytest.approx(4, abs=0.1)

    _lived(history)


def test_a_leader_whose_job_is_over_begins_anew(live: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A runtime may end that somebody follows it: that is told, and the leader goes on with all jobs."""

    async def history(rig: Any) -> None:
        real, calls = type(rig.runtime).watch, []

        async def watch() -> Any:
            calls.append(rig.clock.monotonic())
            if len(calls) == 1:
                await asyncio.sleep(60)
                raise asyncio.CancelledError
            async for event in real(rig.runtime):
                yield event

        rig.runtime.watch = watch
        async with rig.running() as controller:
            pod_id = await rig.add()
            await rig.phase(pod_id, Phase.RUNNING)
            await asyncio.sleep(65)
            assert controller.epoch is not None
            assert "engine events: it was cancelled from within" in caplog.text
            begun = rig.clock.monotonic()
            rig.engine.remove_by_hand(rig.name(pod_id))
            await rig.until(lambda: rig.container(pod_id))
            assert rig.clock.monotonic() - begun < 2

    live(history)
