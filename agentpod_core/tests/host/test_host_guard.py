"""Whatever a plugin's code does when it is called, its caller gets an error of ours that names it, in time."""

from __future__ import annotations

import asyncio
import logging
import sys
import time

import pytest

from agentpod_core import ProbeResult, SecretRef, SecretStore
from agentpod_core.errors import AgentPodError, ConfigError, PermanentError, Problem, TemporaryError
from agentpod_core.host import Host, current_call
from agentpod_core.testing import FakeRuntime

SECRET = "sk-do-not-tell"
OFFERING = """
from agentpod_core import hookimpl
offered = []

@hookimpl
def agentpod_health_probes():
    return offered
"""
FINE = ProbeResult(alive=True, ready=True, reason="Answering")


async def asked(stage, check, *, times=1):
    """Ask a probe that checks so; gives the error, and the host."""
    point = stage.distribution("bad-probes", OFFERING)
    point.load().offered.append(stage.probe(check))
    host = Host(entry_points=[point], stall_seconds=0.2)
    assert await stage.opened(host) == []
    error = None
    for _ in range(times):
        with pytest.raises(AgentPodError) as caught:
            await host.probe("ping").check(None, {}, timeout=0.1)
        error = caught.value
    return error, host


async def test_exception_of_a_plugin_becomes_ours_with_its_name(stage, caplog):
    """What it did not mean to raise is temporary, names plugin, distribution, version and call; its words stay in."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        raise KeyError(SECRET)

    with caplog.at_level(logging.ERROR):
        error, _ = await asked(stage, check)
    assert isinstance(error, TemporaryError)
    assert (error.reason, error.params) == (
        "PluginFailed",
        {"plugin": "bad-probes", "distribution": "bad-probes", "version": "1.0", "call": "check", "error": "KeyError"},
    )
    assert SECRET not in caplog.text
    assert "test_host_guard.py" in caplog.text


async def test_exit_of_a_plugin_ends_nothing(stage):
    """Even ``sys.exit`` in the midst of a probe is only that probe's failure."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        sys.exit(3)

    error, _ = await asked(stage, check)
    assert (error.reason, error.params["error"]) == ("PluginFailed", "SystemExit")


async def test_cancellation_that_nobody_asked_for_is_a_failure(stage):
    """A plugin that raises CancelledError by itself does not end its caller."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        raise asyncio.CancelledError

    error, _ = await asked(stage, check)
    assert error.reason == "PluginFailed"


async def test_call_that_waits_for_ever_is_ended_in_time(stage):
    """A probe gets its timeout and a little more, then it is cancelled and named."""
    ended = []

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    begun = time.monotonic()
    error, _ = await asked(stage, check)
    assert error.reason == "PluginBlocked"
    assert ended == [True]
    assert time.monotonic() - begun < 5


async def test_call_that_ignores_its_end_is_left_behind_and_gets_few_further_ones(stage, monkeypatch):
    """One that swallows its cancellation holds up nobody, and is not asked without end."""
    monkeypatch.setattr("agentpod_core.host.guarding._GRACE", 0.01)
    monkeypatch.setattr("agentpod_core.host.fencing._ABOVE", 0.01)
    free = asyncio.Event()
    began = 0

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        nonlocal began
        began += 1
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue
        return FINE

    error, _ = await asked(stage, check, times=10)
    assert error.reason == "PluginPaused"
    assert began == 8
    free.set()


async def test_callers_end_reaches_the_plugin(stage):
    """Who is cancelled while a plugin works cancels it."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        began.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    host = Host(builtins=[stage.probe(check)], entry_points=[])
    await stage.opened(host)
    task = asyncio.ensure_future(host.probe("ping").check(None, {}, timeout=30))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "fine",
        FINE.reason,
        ProbeResult(alive=True, ready=True, reason="not a slug"),
        ProbeResult(alive="yes", ready=True, reason="Answering"),  # type: ignore[arg-type]
        ProbeResult(alive=True, ready=True, reason="Odd", params={"object": object()}),
    ],
)
async def test_answer_of_a_wrong_kind_is_no_answer(stage, answer):
    """What would break whoever stores or shows it is turned away at the border."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        return answer

    error, _ = await asked(stage, check)
    assert (error.reason, error.params["call"]) == ("PluginAnsweredWrong", "check")


async def test_probe_that_forgot_to_be_a_coroutine_still_answers(stage):
    """A plain function that gives a result does no harm."""

    def check(self, link, settings, *, timeout):
        return FINE

    host = Host(builtins=[stage.probe(check)], entry_points=[])
    await stage.opened(host)
    assert await host.probe("ping").check(None, {}, timeout=1) == FINE


async def test_what_a_plugin_says_is_cleaned_of_secrets(stage):
    """Params, details, problems and results of a plugin show no secret that the platform knows."""
    said = iter(
        [
            PermanentError("Refused", detail=SECRET, value=SECRET, deep=[{SECRET: (SECRET,)}], thing=object()),
            ConfigError([Problem(path=f"$.{SECRET}", message=SECRET, params={"value": SECRET})]),
            AgentPodError(SECRET),
        ]
    )

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        if error := next(said, None):
            raise error
        return ProbeResult(alive=True, ready=False, reason="Refused", params={"said": f"<{SECRET}>"})

    host = Host(builtins=[stage.probe(check)], entry_points=[])
    host.redactor.learn(SECRET)
    await stage.opened(host)
    probe = host.probe("ping")
    with pytest.raises(PermanentError) as refused:
        await probe.check(None, {}, timeout=1)
    assert refused.value.params == {"value": "***", "deep": [{"***": ["***"]}], "thing": "object"}
    assert refused.value.detail == "***"
    with pytest.raises(ConfigError) as wrong:
        await probe.check(None, {}, timeout=1)
    assert SECRET not in str(wrong.value)
    with pytest.raises(TemporaryError) as odd:
        await probe.check(None, {}, timeout=1)
    assert odd.value.reason == "PluginFailed"
    assert (await probe.check(None, {}, timeout=1)).params == {"said": "<***>"}


async def test_secrets_that_pass_a_store_are_learnt(stage):
    """What is put into a store or read from one is masked from then on, whoever says it."""

    class Store(SecretStore):
        name = "kept"
        title = "Kept"

        async def put(self, tenant, key, value):
            raise PermanentError("Refused", value=value)

        async def get(self, tenant, ref):
            return "read-secret"

        async def delete(self, tenant, key):
            raise PermanentError("Refused", value="read-secret")

        async def list(self, tenant):
            return []

    host = Host(builtins=[Store()], entry_points=[])
    await stage.opened(host)
    store = host.secret_store("kept")
    with pytest.raises(PermanentError) as put:
        await store.put("t", "key", "put-secret")
    assert put.value.params == {"value": "***"}
    assert await store.get("t", SecretRef(key="key")) == "read-secret"
    with pytest.raises(PermanentError) as said:
        await store.delete("t", "key")
    assert said.value.params == {"value": "***"}


async def test_failure_in_use_is_kept_with_time_and_count_until_it_works_again(stage):
    """The list of plugins shows what went wrong last, how often, and whether it is over."""
    failing = [True, True, False]

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        if failing.pop(0):
            raise KeyError("x")
        return FINE

    _, host = await asked(stage, check, times=2)
    (info,) = host.plugins()
    (incident,) = info.incidents
    assert (incident.offer, incident.call, incident.error.reason, incident.count, incident.is_over) == (
        "probe:ping",
        "check",
        "PluginFailed",
        2,
        False,
    )
    assert info.state == "partly"
    await host.probe("ping").check(None, {}, timeout=1)
    (info,) = host.plugins()
    assert (info.incidents[0].is_over, info.incidents[0].count, info.state) == (True, 2, "ok")


async def test_code_knows_in_whose_call_it_runs(stage):
    """Within a plugin's call, and in tasks that it makes, it can be seen whose it is."""
    seen = []

    async def note():
        seen.append(current_call())

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        await note()
        await asyncio.create_task(note())
        return FINE

    host = Host(builtins=[stage.probe(check)], entry_points=[])
    await stage.opened(host)
    await host.probe("ping").check(None, {}, timeout=1)
    assert [(call.offer.label, call.name) for call in seen] == [("probe:ping", "check")] * 2
    assert current_call() is None


async def test_events_of_a_runtime_pass_and_its_failure_is_named(stage):
    """A watch that breaks is its plugin's failure; what it yielded before has arrived."""

    class Broken(FakeRuntime):
        async def watch(self):
            yield "event"
            raise KeyError(SECRET)

    host = Host(builtins=[Broken()], entry_points=[])
    await stage.opened(host)
    events = aiter(host.runtime("fake").watch())
    assert await anext(events) == "event"
    with pytest.raises(TemporaryError) as caught:
        await anext(events)
    assert caught.value.params["call"] == "watch"


async def test_stand_in_says_what_is_missing_at_every_call():
    """A runtime that nobody offers answers each question with the reason."""
    host = Host(entry_points=[])
    missing = host.why_missing("runtime", "nowhere")
    runtime = host.absent("runtime", "nowhere", missing)
    for call in (runtime.observe(), runtime.inspect("x"), runtime.images()):
        with pytest.raises(TemporaryError) as caught:
            await call
        assert caught.value.reason == "UnknownRuntime"


async def test_failure_that_goes_on_is_logged_once(stage, caplog):
    """What is asked every few seconds and fails every time does not fill the log."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109
        raise KeyError("x")

    with caplog.at_level(logging.INFO):
        await asked(stage, check, times=5)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
