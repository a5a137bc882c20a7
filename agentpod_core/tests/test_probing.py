"""How often agents are asked."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace

from agentpod_core import ConfigError, Probe, ProbeResult, Problem, TemporaryError
from agentpod_core.controller.probing import Prober
from agentpod_core.embedding import SystemClock
from agentpod_core.observed import Lack, Probed
from agentpod_core.reconcile.parts import Silence
from agentpod_core.testing import FakeClock, FakeLink
from agentpod_core.testing.fake_clock import START
from agentpod_core.values.world import Container, ContainerState

PROBE = Probe(probe="any", interval=10.0, start_interval=0.2, timeout=1)
CONTAINER = Container(id="1", name="one", state=ContainerState.RUNNING, address="10.0.0.4")
WELL = ProbeResult(alive=True, ready=True, reason="Answering")
NOT_YET = ProbeResult(alive=True, ready=False, reason="NotReady")
SILENT = ProbeResult(alive=False, ready=False, reason="Timeout")
UNREAD = ProbeResult(alive=False, ready=False, reason="SecretNotRead", params={"secret": "token"})


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


class Stage:
    """One ready pod under a clock of the test's own, asked by a probe that takes what the test says."""

    def __init__(
        self, pod: Any, answer: ProbeResult | BaseException | None = None, *, slots: int = 1, **probe: Any
    ) -> None:
        self.clock = FakeClock()
        self.asked: list[float] = []
        self.asked_with: list[Any] = []
        self.news: list[float] = []
        self.silences: list[int] = []
        self.late: list[float] = []
        self.answer: ProbeResult | BaseException = answer or WELL
        self.takes = 0.0
        self.prober = Prober(
            probe=lambda _: self,
            links=Links(),
            clock=self.clock,
            telemetry=Silence(),
            changed=self._changed,
            late=lambda _: self.late.append(self.clock.monotonic()),
            slots=slots,
            spec_hash=lambda pod: pod.workload.env.get("hash", ""),
        )
        self.pod = replace(pod, workload=replace(pod.workload, probe=Probe(probe="any", **probe)))
        self.prober.follow(self.pod, CONTAINER)

    def _changed(self, _pod_id: str) -> None:
        self.news.append(self.clock.monotonic())
        self.silences.append(self.word.silences)

    def follow(self, generation: int, spec_hash: str, container: Container = CONTAINER) -> None:
        """Have it be of that generation, each of which has a probe of its own."""
        probe = replace(self.pod.workload.probe, settings={"generation": generation})
        workload = replace(self.pod.workload, probe=probe, env={"hash": spec_hash})
        self.prober.follow(replace(self.pod, generation=generation, workload=workload), container)

    async def check(self, _link: Any, settings: Any, *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        self.asked_with.append(settings.get("generation"))
        self.asked.append(self.clock.monotonic())
        await self.clock.sleep(min(self.takes, timeout))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    @property
    def word(self) -> Probed:
        word = self.prober.last(self.pod.id)
        assert word is not None
        return word


@pytest.fixture
async def pod(rig: Any) -> Any:
    """Give a pod as the store knows it."""
    return await rig.store.pod(await rig.add())


@pytest.mark.parametrize("phase", [0.0, 0.3, 4.9, 5.1, 9.9])
async def test_a_silence_is_found_out_in_the_products_time(pod: Any, phase: float) -> None:
    """However it lies, an agent that falls silent is acted on within interval * failures + timeout."""
    stage = Stage(pod, interval=10.0, timeout=5.0, failures=3)
    await stage.clock.advance(40)
    stopped = stage.asked[-1] + phase + 0.001
    await stage.clock.advance(stopped - stage.clock.monotonic())
    stage.answer, stage.takes = SILENT, 60.0
    stage.news.clear()
    stage.silences.clear()
    await stage.clock.advance(60)
    known = stage.silences.index(3)
    stage.prober.close()
    assert stage.news[known] - stopped <= 10 * 3 + 5


async def test_each_silence_takes_no_more_than_its_interval(pod: Any) -> None:
    """Questions come every interval, also while each waits for its timeout in vain."""
    stage = Stage(pod, interval=10.0, timeout=5.0)
    await stage.clock.advance(20)
    stage.answer, stage.takes = SILENT, 60.0
    asked = len(stage.asked)
    await stage.clock.advance(50)
    stage.prober.close()
    pauses = {round(b - a, 6) for a, b in itertools.pairwise(stage.asked[asked:])}
    assert pauses == {10.0}


async def test_pods_that_come_together_are_asked_apart(pod: Any) -> None:
    """Three hundred pods of one moment are spread over the interval after their first answer."""
    stage = Stage(pod, interval=10.0)
    for number in range(299):
        stage.prober.follow(replace(stage.pod, id=f"pod-{number}"), CONTAINER)
    await stage.clock.advance(30)
    stage.asked.clear()
    await stage.clock.advance(10)
    stage.prober.close()
    each_second = Counter(int(at) for at in stage.asked)
    assert (len(stage.asked), max(each_second.values()) < 60) == (300, True), each_second


async def test_a_start_is_told_as_late_before_its_deadline_and_after(pod: Any) -> None:
    """Whoever watches its processor time hears of it before the end of its time, and goes on hearing."""
    stage = Stage(pod, NOT_YET, start_interval=1.0, start_deadline=60.0)
    await stage.clock.advance(80)
    stage.prober.close()
    assert [round(at) for at in stage.late] == [48, 54, 60, 66, 72, 78]


async def test_a_start_at_its_deadline_is_looked_at(pod: Any) -> None:
    """A pass comes at once when a start has had its time."""
    stage = Stage(pod, NOT_YET, start_interval=1.0, start_deadline=60.0)
    await stage.clock.advance(80)
    stage.prober.close()
    assert [round(at) for at in stage.news if at > 10] == [60]


@pytest.mark.parametrize(("count", "crowd"), [(1, 1), (2, 1), (6, 3), (50, 25)])
async def test_a_start_has_as_much_more_time_as_those_beside_it_take(pod: Any, count: int, crowd: int) -> None:
    """Those that boot share two processors: the deadline stretches by how many there are for each of them."""
    booting = replace(pod, workload=replace(pod.workload, boot_cost=20.0))
    stage = Stage(booting, NOT_YET, slots=2, start_interval=1.0, start_deadline=60.0)
    for number in range(1, count):
        stage.prober.follow(replace(stage.pod, id=f"pod-{number}"), CONTAINER)
    await stage.clock.advance(60)
    after_its_deadline = stage.word.waited, min(stage.late, default=None)
    await stage.clock.advance(60 * crowd)
    stage.prober.close()
    assert after_its_deadline == (pytest.approx(60 / crowd), None if crowd > 1 else 48.0)
    # It is looked at more closely at four fifths of its time, however long that is.
    assert 48 * crowd <= min(stage.late) < 54 * crowd


async def test_an_agent_that_says_not_ready_is_alive(pod: Any) -> None:
    """Failures count and silences do not: it answers, whatever it says."""
    stage = Stage(pod)
    await stage.clock.advance(20)
    stage.answer = NOT_YET
    await stage.clock.advance(100)
    word = stage.word
    stage.prober.close()
    assert (word.failures > 3, word.silences) == (True, 0)


async def test_a_machine_that_slept_is_held_against_nobody(pod: Any) -> None:
    """The time for which a machine was asleep is no part of a start."""
    stage = Stage(pod, NOT_YET, start_interval=1.0, start_deadline=60.0)
    await stage.clock.advance(5)
    stage.clock.jump(3600)
    await stage.clock.advance(2)
    waited = stage.word.waited
    stage.prober.close()
    assert waited < 10


async def test_settings_that_the_probe_refuses_are_a_lack(pod: Any) -> None:
    """What only the probe knows to be wrong keeps nobody from running: nobody can ask, and it says why."""
    problems = [Problem(path="$.path", message="required"), Problem(path="$.port", message="no")]
    stage = Stage(pod, ConfigError(problems))
    await stage.clock.advance(1)
    lack = stage.word.lack
    stage.prober.close()
    assert lack == Lack(
        reason="WrongProbeSettings", params={"probe": "any", "problems": "$.path: required; $.port: no"}
    )


async def test_a_word_says_since_when_and_when_next(pod: Any) -> None:
    """The word on a pod names when it was first given and when it is asked again."""
    stage = Stage(pod, interval=10.0)
    await stage.clock.advance(30)
    word = stage.word
    stage.prober.close()
    assert word.next_at is not None
    assert word.since is not None
    assert ((word.next_at - word.at).total_seconds(), (word.since - START).total_seconds()) == (10.0, 0.0)


@pytest.mark.parametrize("trouble", [UNREAD, TemporaryError("PluginFailed"), ValueError("?")])
async def test_what_goes_wrong_with_us_is_neither_failure_nor_silence(pod: Any, trouble: Any) -> None:
    """An agent that cannot be asked keeps what is held against it, and after a time the probe is lacking."""
    stage = Stage(pod, interval=10.0, failures=3)
    await stage.clock.advance(20)
    stage.answer = SILENT
    await stage.clock.advance(20)
    held = (stage.word.failures, stage.word.silences)
    stage.answer = trouble
    await stage.clock.advance(20)
    soon = (stage.word.failures, stage.word.silences, stage.word.lack)
    await stage.clock.advance(3600)
    later = (stage.word.failures, stage.word.silences)
    lack = stage.word.lack
    stage.prober.close()
    assert (held, soon, later) == ((2, 2), (2, 2, None), (2, 2))
    assert lack is not None
    assert lack.reason == (getattr(trouble, "reason", None) or "ProbeFailed")


async def test_a_start_that_cannot_be_asked_is_lacking_from_its_deadline_on(pod: Any) -> None:
    """Nobody holds a place among those that boot for longer than its start may take, and is not late for our sake."""
    stage = Stage(pod, UNREAD, interval=10.0, start_interval=1.0, start_deadline=60.0)
    await stage.clock.advance(58)
    before = stage.word.lack
    await stage.clock.advance(4)
    word, crowd = stage.word, stage.prober._booting
    stage.prober.close()
    assert (before, word.lack) == (None, Lack(reason="SecretNotRead", params={"secret": "token"}))
    assert (word.waited, stage.late, crowd) == (0.0, [], set())


async def test_an_answer_ends_a_lack(pod: Any) -> None:
    """Once it can be asked again, what it says counts, from the first bad answer on."""
    stage = Stage(pod, UNREAD, interval=10.0, failures=3)
    await stage.clock.advance(200)
    stage.answer = SILENT
    await stage.clock.advance(10)
    word = stage.word
    stage.prober.close()
    assert (word.lack, word.unasked, word.silences) == (None, 0.0, 1)


async def test_a_lack_that_lasts_is_told_once(pod: Any) -> None:
    """A vault that is sealed for a day is no reason for passes, and a count that stands still is none either."""
    stage = Stage(pod, interval=10.0, failures=3)
    await stage.clock.advance(20)
    stage.answer = SILENT
    await stage.clock.advance(30)
    stage.answer = UNREAD
    await stage.clock.advance(60)
    stage.news.clear()
    await stage.clock.advance(3600)
    stage.prober.close()
    assert stage.news == []


@pytest.mark.parametrize("part", ["changed", "telemetry", "links"])
async def test_asking_outlives_whatever_goes_wrong(
    pod: Any, part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody foresaw is told, and the pod is asked on."""
    stage = Stage(pod, interval=10.0)

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(stage.prober, f"_{part}", Broken(fail) if part != "changed" else fail)
    await stage.clock.advance(15)
    monkeypatch.undo()
    await stage.clock.advance(60)
    word = stage.word
    stage.prober.close()
    assert word.result.ready
    assert part == "links" or "went wrong; it is asked again" in caplog.text


class Broken:
    """A part of which every call fails."""

    def __init__(self, fail: Any) -> None:
        self.link = self.probed = fail


async def test_a_task_that_was_ended_is_made_anew(pod: Any) -> None:
    """A probe that cancels itself ends its task; the next pass begins another."""
    stage = Stage(pod, asyncio.CancelledError(), interval=10.0)
    await stage.clock.advance(30)
    asked = len(stage.asked)
    stage.answer = WELL
    stage.prober.follow(stage.pod, CONTAINER)
    await stage.clock.advance(30)
    word = stage.word
    stage.prober.close()
    assert (asked, word.result.ready) == (1, True)


async def test_the_crowd_is_those_that_boot(pod: Any) -> None:
    """Who is ready or left is no part of it, and who begins anew is once."""
    stage = Stage(pod, NOT_YET, start_interval=1.0)
    booting = replace(stage.pod, workload=replace(stage.pod.workload, boot_cost=1.0))
    for number in range(3):
        stage.prober.follow(replace(booting, id=f"pod-{number}"), CONTAINER)
    stage.prober.follow(replace(booting, id="pod-2", generation=9), CONTAINER)
    stage.prober.leave("pod-1")
    crowd = set(stage.prober._booting)
    stage.answer = WELL
    await stage.clock.advance(30)
    after = set(stage.prober._booting)
    stage.prober.close()
    assert (crowd, after) == ({"pod-0", "pod-2"}, set())


async def test_a_container_of_an_earlier_spec_is_asked_as_before(pod: Any) -> None:
    """Also after another start of it; one of the wanted spec is asked as the wanted one."""
    stage = Stage(pod, interval=10.0)
    stage.follow(2, "")
    await stage.clock.advance(25)
    stage.follow(3, "new")
    await stage.clock.advance(30)
    stage.prober.leave(pod.id)
    stage.follow(3, "new", replace(CONTAINER, started_at=START))
    await stage.clock.advance(30)
    assert set(stage.asked_with) == {2}
    assert stage.word.started_at == START
    stage.asked_with.clear()
    stage.follow(3, "new", replace(CONTAINER, id="2", labels={"agentpod.spec-hash": "new"}, started_at=None))
    await stage.clock.advance(30)
    stage.prober.close()
    assert set(stage.asked_with) == {3}


async def test_a_silence_that_may_be_ours_counts_for_nobody(pod: Any) -> None:
    """Asked as one of another spec, an agent is unknown until it is well; then that was how to ask it."""
    stage = Stage(pod, SILENT, interval=10.0)
    stage.prober.forget(pod.id)
    stage.follow(2, "new")
    await stage.clock.advance(60)
    word = stage.word
    assert (word.lack, word.silences, word.failures, word.result.alive) == (Lack(reason="NotAskedYet"), 0, 0, True)
    stage.answer = WELL
    await stage.clock.advance(20)
    assert (stage.word.lack, stage.word.result) == (None, replace(WELL, seconds=stage.word.result.seconds))
    stage.answer = SILENT
    await stage.clock.advance(30)
    assert (stage.word.lack, stage.word.silences) == (None, 3)
    stage.follow(3, "newer", replace(CONTAINER, started_at=START))
    await stage.clock.advance(1)
    stage.prober.close()
    assert set(stage.asked_with) == {2}


async def test_who_is_asked_nothing_is_not_asked_for_the_next_one_either(pod: Any) -> None:
    """A spec without a probe ends the asking, and its agent stays unasked while one with a probe is waited for."""
    stage = Stage(pod, interval=10.0)
    stage.prober.follow(replace(stage.pod, workload=replace(stage.pod.workload, probe=None), generation=2), CONTAINER)
    assert stage.prober.last(pod.id) is None
    stage.answer = SILENT
    stage.follow(3, "new")
    await stage.clock.advance(15)
    stage.prober.close()
    assert (stage.prober.last(pod.id), stage.asked_with) == (None, [])
