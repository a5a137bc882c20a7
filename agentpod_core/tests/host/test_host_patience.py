"""What a plugin does wrong costs its callers no more than it must: ends, pauses, streams, log and memory."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from agentpod_core import ProbeResult, SecretRef, SecretStore
from agentpod_core.errors import AgentPodError, ConfigError, Problem, TemporaryError
from agentpod_core.host import Host
from agentpod_core.testing import FakeRuntime

SECRET = "sk-do-not-tell"
FINE = ProbeResult(alive=True, ready=True, reason="Answering")


@pytest.mark.parametrize("error", [GeneratorExit, StopAsyncIteration])
async def test_no_exception_of_a_plugin_passes_as_something_of_the_language(stage, error):
    """Not even one that would end its caller's task, and with it a worker, without a word."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        raise error

    host = Host(builtins=[stage.probe(check)], entry_points=[])
    await stage.opened(host)
    with pytest.raises(TemporaryError) as caught:
        await host.probe("ping").check(None, {}, timeout=1)
    assert (caught.value.reason, caught.value.params["error"]) == ("PluginFailed", error.__name__)


async def test_calls_that_end_when_they_are_told_to_count_for_nothing(stage):
    """Many that are cancelled at once, as when the lease is lost, keep nobody from asking meanwhile."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        if settings:
            return FINE
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0.1)

    host = Host(builtins=[stage.probe(check)], entry_points=[])
    await stage.opened(host)
    probe = host.probe("ping")
    tasks = [asyncio.ensure_future(probe.check(None, {}, timeout=30)) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await probe.check(None, {"quick": True}, timeout=30) == FINE
    await asyncio.gather(*tasks, return_exceptions=True)


class Following(FakeRuntime):
    """Yields an event, then waits; notes that it was closed, and fails while it is."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    async def watch(self):
        try:
            yield "event"
            await asyncio.get_running_loop().create_future()
        finally:
            self.closed = True
            raise KeyError(SECRET)


async def test_follower_that_is_ended_ends_whatever_the_plugin_does_then(stage):
    """Neither a failure in its last words nor a pause that it earned meanwhile swallows a cancellation."""
    runtime = Following()
    host = Host(builtins=[runtime], entry_points=[])
    await stage.opened(host)
    events = aiter(host.runtime("fake").watch())
    await anext(events)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    offer = next(one for one in host._offers.values() if one.name == "fake")
    host._guard.blocked(offer, "stats", 5.0, blocks=True)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert runtime.closed


async def test_stream_that_is_given_up_is_closed_although_its_plugin_pauses(stage):
    """What a plugin holds open for a reader is let go when the reader leaves, and the reader leaves in peace."""
    runtime = Following()
    host = Host(builtins=[runtime], entry_points=[])
    await stage.opened(host)
    events = aiter(host.runtime("fake").watch())
    await anext(events)
    offer = next(one for one in host._offers.values() if one.name == "fake")
    host._guard.blocked(offer, "stats", 5.0, blocks=True)
    await events.aclose()
    assert runtime.closed


def test_pause_grows_with_every_stall_and_is_forgotten_in_time(stage, monkeypatch):
    """Once is short, for a machine may have been slow; calls that stalled side by side count once; good days count."""
    now = 1000.0
    monkeypatch.setattr("agentpod_core.host.guarding.time.monotonic", lambda: now)
    host = Host(builtins=[stage.probe(None)], entry_points=[])
    (offer,) = host._offers.values()

    def wait() -> float:
        with pytest.raises(TemporaryError) as caught, host._guard.running(offer, "check"):
            pass
        return caught.value.retry_after

    waits = []
    for later in (0.0, 1.0, 20.0, 30.0, 10_000.0):
        now += later
        host._guard.blocked(offer, "check", 5.0, blocks=True)
        waits.append(round(wait()))
    assert waits == [10, 9, 20, 40, 10]


async def test_a_stall_is_told_each_time_that_it_begins(stage, caplog, monkeypatch):
    """A call that worked since and hangs again is in the log again, not only at the first time ever."""
    monkeypatch.setattr("agentpod_core.host.fencing._ABOVE", 0.01)
    hangs = iter([True, True, False, True])

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        if next(hangs):
            await asyncio.get_running_loop().create_future()
        return FINE

    host = Host(builtins=[stage.probe(check)], entry_points=[])
    await stage.opened(host)
    with caplog.at_level(logging.INFO):
        for is_answering in (False, False, True, False):
            with contextlib.nullcontext() if is_answering else pytest.raises(TemporaryError):
                await host.probe("ping").check(None, {}, timeout=0.01)
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_error_that_is_given_again_and_again_does_not_grow():
    """Who asks every second for what nobody offers does not fill the memory with tracebacks."""
    host = Host(entry_points=[], builtins=[])
    refused = AgentPodError("NameOfferedTwice")
    host._refused["probe", "gone"] = refused
    for _ in range(50):
        with pytest.raises(AgentPodError):
            host.probe("gone")
    depth, frame = 0, refused.__traceback__
    while frame is not None:
        depth, frame = depth + 1, frame.tb_next
    assert depth < 10


async def test_secret_is_learnt_however_it_is_handed_over(stage):
    """By name or by position."""

    class Store(SecretStore):
        name = "kept"
        title = "Kept"

        async def put(self, tenant, key, value):
            return SecretRef(key=key)

        async def get(self, tenant, ref):
            return ""

        async def delete(self, tenant, key):
            pass

        async def list(self, tenant):
            return []

    host = Host(builtins=[Store()], entry_points=[])
    await stage.opened(host)
    await host.secret_store("kept").put("t", "the-key", value="put-secret")
    assert host.redactor.clean("the-key put-secret") == "the-key ***"


@pytest.mark.parametrize("wait", ["5", -3, float("nan"), float("inf"), 1e9, None, "missing"])
async def test_wait_that_a_plugin_asks_for_is_one(stage, wait):
    """Nobody has to reckon with what is no time, or with one without end."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        error = TemporaryError("Refused", retry_after=wait)
        if wait == "missing":
            del error.retry_after
        raise error

    host = Host(builtins=[stage.probe(check)], entry_points=[])
    await stage.opened(host)
    with pytest.raises(TemporaryError) as caught:
        await host.probe("ping").check(None, {}, timeout=1)
    assert caught.value.retry_after == (3600.0 if wait in {1e9, float("inf")} else None)


@pytest.mark.parametrize("without", ["detail", "problems"])
async def test_error_that_lacks_a_part_is_still_one_of_ours(stage, without):
    """A plugin that passed over a constructor of ours breaks nothing with it."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        error = ConfigError([])
        delattr(error, without)
        raise error

    host = Host(builtins=[stage.probe(check)], entry_points=[])
    await stage.opened(host)
    with pytest.raises(ConfigError) as caught:
        await host.probe("ping").check(None, {}, timeout=1)
    assert (caught.value.detail, caught.value.problems) == (None, [])


async def test_what_no_database_keeps_is_taken_out(stage):
    """A null character or half a pair in an answer or an error does not make every write of it fail."""
    wrong = Problem(path="$.\x00url", reason="Odd", message="a\x00b\udc80")
    said = iter([TemporaryError("Refused", value="a\x00b\udc80"), ConfigError([wrong])])

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        if error := next(said, None):
            raise error
        return ProbeResult(alive=True, ready=False, reason="Refused", params={"v\x00": "a\x00b"})

    host = Host(builtins=[stage.probe(check)], entry_points=[])
    await stage.opened(host)
    with pytest.raises(TemporaryError) as caught:
        await host.probe("ping").check(None, {}, timeout=1)
    assert caught.value.params == {"value": "ab?"}
    with pytest.raises(ConfigError) as told:
        await host.probe("ping").check(None, {}, timeout=1)
    assert [(one.path, one.message) for one in told.value.problems] == [("$.url", "ab?")]
    assert (await host.probe("ping").check(None, {}, timeout=1)).params == {"v": "ab"}


class ExplodingError(AgentPodError):
    """An error whose parts are code."""

    def __init__(self) -> None:
        Exception.__init__(self)

    @property
    def reason(self):
        raise SystemExit(4)


async def test_error_whose_parts_explode_is_told_as_any_other(stage):
    """To look at a plugin's exception is to run its code."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        raise ExplodingError

    host = Host(builtins=[stage.probe(check)], entry_points=[])
    await stage.opened(host)
    with pytest.raises(TemporaryError) as caught:
        await host.probe("ping").check(None, {}, timeout=1)
    assert (caught.value.reason, caught.value.params["error"]) == ("PluginFailed", "ExplodingError")


class Richer(ProbeResult):
    """An answer that says more than is asked for."""

    more: str = SECRET


async def test_answer_of_a_class_of_its_own_is_made_the_one_that_was_promised(stage):
    """What a plugin adds to an answer is neither checked nor cleaned by anybody, so it stays outside."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        return Richer(alive=True, ready=True, reason="Answering", params={"said": SECRET})

    host = Host(builtins=[stage.probe(check)], entry_points=[])
    host.redactor.learn(SECRET)
    await stage.opened(host)
    found = await host.probe("ping").check(None, {}, timeout=1)
    assert found == ProbeResult(alive=True, ready=True, reason="Answering", params={"said": "***"})
    assert type(found) is ProbeResult


async def test_offers_that_do_not_close_cost_the_time_of_one(stage, monkeypatch):
    """A server with several stuck plugins still ends before whoever told it to loses patience."""
    monkeypatch.setattr("agentpod_core.host.registry.CLOSE_SECONDS", 0.3)

    async def close(self):
        await asyncio.get_running_loop().create_future()

    stuck = [type("Stuck", (stage.Probe,), {"name": f"stuck-{number}", "close": close})() for number in range(10)]
    host = Host(builtins=stuck, entry_points=[])
    await stage.opened(host)
    begun = asyncio.get_running_loop().time()
    await host.close()
    assert asyncio.get_running_loop().time() - begun < 1.5
