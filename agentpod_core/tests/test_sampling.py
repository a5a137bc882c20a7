"""Who is measured when, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from agentpod_core import NotFoundError, TemporaryError
from agentpod_core.controller.sampling import Sampler
from agentpod_core.plan import Timings
from agentpod_core.testing import FakeClock
from agentpod_core.testing.fake_clock import START
from agentpod_core.values.resources import Resources
from agentpod_core.values.status import Phase
from agentpod_core.values.world import Container, ContainerState, Usage

MIB = 1024 * 1024


class Engine:
    """As much of a runtime and a store as a sampler uses: every look takes a second."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.looks: list[tuple[float, str]] = []
        self.rounds: list[list[Any]] = []
        self.changed: list[str] = []
        self.usage = Usage(cpu=7, memory=100 * MIB, limit=1000 * MIB)
        self.errors: dict[str, Exception] = {}
        self.stopped: set[str] = set()
        self.sizes: dict[str, int] = {}
        self.sizings = 0
        self.sizing = 0.0
        self.unsized: Exception | None = None
        self.refuses = False
        self.sampler = Sampler(
            runtime=self,  # type: ignore[arg-type]
            store=self,  # type: ignore[arg-type]
            clock=self.clock,
            timings=Timings(),
            changed=self.changed.append,
        )

    async def stats(self, container: str) -> Usage | None:
        self.looks.append((self.clock.monotonic(), container))
        await self.clock.sleep(1)
        if container in self.errors:
            raise self.errors[container]
        return None if container in self.stopped else self.usage

    async def storage(self) -> dict[str, int]:
        self.sizings += 1
        await self.clock.sleep(self.sizing)
        if self.unsized:
            raise self.unsized
        return self.sizes

    async def sampled(self, samples: list[Any]) -> None:
        if self.refuses:
            raise TemporaryError("StoreUnreachable")
        self.rounds.append(samples)

    def start(self, pod_id: str, start: int = 0) -> None:
        """Let a pod's container have started for the so-manieth time."""
        at = START + timedelta(seconds=start)
        self.sampler.follow(
            pod_id, Container(id=f"c-{pod_id}", name=pod_id, state=ContainerState.RUNNING, started_at=at)
        )


@pytest.fixture
async def engine():
    """Give an engine whose pods are measured while the test runs."""
    engine = Engine()
    tasks: list[asyncio.Task[None]] = []

    async def run() -> None:
        tasks.extend(asyncio.create_task(job()) for job in (engine.sampler.run, engine.sampler.measure_volumes))

    engine.run = run
    yield engine
    engine.sampler.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_each_pod_is_looked_at_once_a_minute_and_not_all_at_once(engine: Any) -> None:
    """Three hundred looks are spread over the minute, each round anew."""
    for number in range(300):
        engine.start(f"p{number}")
    await engine.run()
    await engine.clock.advance(119)
    looks = Counter(container for _, container in engine.looks)
    each_second = Counter(int(at) for at, _ in engine.looks)
    assert (set(looks.values()), max(each_second.values()) <= 6) == ({2}, True)


async def test_a_round_is_handed_on_as_one_with_one_minute(engine: Any) -> None:
    """Its samples have the minute in which the round began, whenever each was taken."""
    for pod_id in ("a", "b"):
        engine.start(pod_id)
    await engine.run()
    await engine.clock.advance(125)
    told = [[(one.pod_id, one.at, one.cpu, one.memory, one.limit) for one in samples] for samples in engine.rounds]
    expected = [
        [(pod, START + timedelta(minutes=minute), 7, 100 * MIB, 1000 * MIB) for pod in ("a", "b")] for minute in (0, 1)
    ]
    assert told == expected


async def test_who_cannot_be_measured_has_no_sample(engine: Any) -> None:
    """Whoever ended, is gone or is beyond reach leaves a gap, and disturbs nobody else."""
    engine.stopped.add("c-ended")
    engine.errors |= {"c-gone": NotFoundError("ContainerNotFound"), "c-away": TemporaryError("EngineUnreachable")}
    for pod_id in ("ended", "gone", "well", "away", "left"):
        engine.start(pod_id)
    engine.sampler.leave("left")
    await engine.run()
    await engine.clock.advance(65)
    assert [[one.pod_id for one in samples] for samples in engine.rounds] == [["well"]]


async def test_starts_are_counted_until_they_are_kept(engine: Any) -> None:
    """Each start again counts once, also over a stop; what the store did not take is told again."""
    engine.start("a")
    engine.start("a", start=1)
    engine.sampler.leave("a")
    engine.start("a", start=2)
    engine.start("a", start=2)
    engine.refuses = True
    task = asyncio.create_task(engine.sampler.run())
    await engine.clock.advance(2)
    with pytest.raises(TemporaryError):
        await task
    engine.refuses = False
    await engine.run()
    await engine.clock.advance(65)
    assert [one.restarts for samples in engine.rounds for one in samples] == [2, 0]


async def test_volumes_are_measured_once_an_hour(engine: Any) -> None:
    """The last known size goes into every sample; before it is known there is none."""
    engine.sizes["a"] = 5
    engine.start("a")
    await engine.run()
    await engine.clock.advance(60 * 60 + 30)
    sizes = [one.storage for samples in engine.rounds for one in samples]
    once = engine.sizings
    await engine.clock.advance(60)
    assert (sizes[:3], once, engine.sizings) == ([None, 5, 5], 1, 2)


async def test_measuring_volumes_holds_up_no_round(engine: Any) -> None:
    """However long the engine walks through its files, every minute has its sample, and the size follows."""
    engine.sizes["a"], engine.sizing = 5, 140.0
    engine.start("a")
    await engine.run()
    await engine.clock.advance(6 * 60 + 30)
    told = [(one.at, one.storage) for samples in engine.rounds for one in samples]
    expected = [(START + timedelta(minutes=minute), 5 if minute > 3 else None) for minute in range(7)]
    assert told == expected


async def test_volumes_that_cannot_be_measured_are_tried_again(engine: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is told, and the rounds go on."""
    engine.unsized = TemporaryError("EngineUnreachable")
    engine.start("a")
    caplog.set_level("INFO")
    await engine.run()
    await engine.clock.advance(125 * 60)
    assert (engine.sizings, len(engine.rounds) > 100, caplog.text.count("cannot measure volumes")) == (3, True, 3)


async def test_a_trend_is_of_one_start(engine: Any) -> None:
    """What was seen of an earlier start says nothing of the present one."""
    engine.start("a")
    await engine.run()
    await engine.clock.advance(2)
    before = engine.sampler.trend("a", START)
    later = START + timedelta(seconds=9)
    missing = engine.sampler.trend("a", later)
    engine.start("a", start=9)
    assert (before is not None, missing, engine.sampler.trend("a", later)) == (True, None, None)


async def test_an_old_trend_is_none(engine: Any) -> None:
    """Where an engine has not answered for minutes, nobody knows where its pods are heading."""
    engine.start("a")
    await engine.run()
    await engine.clock.advance(2)
    engine.errors["c-a"] = TemporaryError("EngineUnreachable")
    known = engine.sampler.last("a")
    await engine.clock.advance(200)
    assert (known is not None, engine.sampler.last("a")) == (True, None)


async def test_a_pod_can_be_looked_at_out_of_turn(engine: Any) -> None:
    """One that is about to be judged is measured at once, one look at a time; that is no point of its history."""
    engine.start("a")
    engine.usage = replace(engine.usage, cpu=800)
    for _ in range(3):
        engine.sampler.ask("a")
    engine.sampler.ask("nobody")
    await engine.clock.advance(2)
    trend = engine.sampler.trend("a", START)
    assert (len(engine.looks), trend is not None and trend.is_busy, engine.rounds) == (1, True, [])


async def test_a_pod_that_fills_up_gets_a_pass(engine: Any) -> None:
    """Steady growth toward the limit is worth a pass, every minute while it goes on; any other use is none."""
    engine.start("a")
    engine.usage = replace(engine.usage, memory=700 * MIB)
    await engine.run()
    for _ in range(9):
        await engine.clock.advance(60)
        engine.usage = replace(engine.usage, memory=engine.usage.memory + 20 * MIB)
    early = list(engine.changed)
    await engine.clock.advance(60)
    assert (early, engine.changed) == ([], ["a"])


async def test_growing_memory_is_reported_and_relieved(rig: Any) -> None:
    """A growing pod is reported long before it is full, and restarted where that is allowed; that is no failure."""
    workload = replace(rig.workload, resources=Resources(memory=1000 * MIB), restart_when_full=True)
    rig.engine.usage = Usage(cpu=1, memory=700 * MIB)

    async def grow() -> None:
        while True:
            await asyncio.sleep(0.02)
            rig.engine.usage = replace(rig.engine.usage, memory=rig.engine.usage.memory + 5 * MIB)

    growing = asyncio.create_task(grow())
    try:
        async with rig.running(sample=2.0):
            pod_id = await rig.add(workload=workload)
            await rig.phase(pod_id, Phase.RUNNING)
            await rig.until(lambda: rig.told("RestartedBeforeFull"), "it is restarted")
            rig.engine.usage = Usage(cpu=1, memory=100 * MIB)
            await rig.phase(pod_id, Phase.RUNNING)
            pod = await rig.store.pod(pod_id)
            assert (await rig.told("MemoryGrowing"), pod.record.failures) == (1, ())
            assert rig.store.samples(pod_id) != []
    finally:
        growing.cancel()


async def test_a_start_that_still_works_is_not_given_up(rig: Any) -> None:
    """An agent that is late and burns processor time goes on; once it does not, its start has failed."""
    probe = replace(rig.workload.probe, start_deadline=0.3)
    rig.engine.usage = Usage(cpu=700, memory=MIB)
    async with rig.running():
        pod_id = await rig.add(workload=replace(rig.workload, probe=probe))
        rig.health.ill.add(pod_id)
        await asyncio.sleep(0.6)
        patient = await rig.told("StartTooSlow")
        rig.engine.usage = Usage(cpu=0, memory=MIB)
        await rig.until(lambda: rig.told("StartTooSlow"), "the start has failed")
    assert patient == 0
