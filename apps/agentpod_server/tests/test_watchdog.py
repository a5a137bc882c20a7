"""Code of a plugin that blocks the event loop is broken out of, and becomes that plugin's failure."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

import pytest

from agentpod_core import HealthProbe, ProbeResult, TemporaryError
from agentpod_core.embedding import SystemClock
from agentpod_core.host import Host
from agentpod_server.watchdog import Watchdog

STALL = 0.3
FINE = ProbeResult(alive=True, ready=True, reason="Answering")


def sleeps() -> None:
    """Sleep."""
    time.sleep(60)


def loops() -> None:
    """Be busy."""
    while True:
        pass


def catches() -> None:
    """Catch what a careless plugin catches."""
    for _ in range(600):
        with contextlib.suppress(Exception):
            time.sleep(0.1)


async def asked(block: Any, folder: Any) -> Any:
    """Give a probe that blocks, opened."""

    class Probe(HealthProbe):
        name = "blocking"
        title = "Blocking"

        async def check(self, link: Any, settings: Any, *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
            await asyncio.sleep(0)
            block()
            return FINE

    host = Host(builtins=[Probe()], entry_points=[], stall_seconds=STALL)
    await host.open(folder=folder, instance="x", settings=lambda *_: {}, clock=SystemClock())
    return host


@pytest.mark.parametrize("block", [sleeps, loops, catches])
async def test_a_call_that_blocks_the_loop_is_interrupted(tmp_path, block) -> None:
    """Sleeping or busy, it ends in time with its plugin's name, is listed, and is left alone for a while."""
    host = await asked(block, tmp_path)
    begun = time.monotonic()
    with Watchdog(asyncio.get_running_loop(), STALL).watching():
        with pytest.raises(TemporaryError) as caught:
            await host.probe("blocking").check(None, {}, timeout=30)
        with pytest.raises(TemporaryError) as again:
            await host.probe("blocking").check(None, {}, timeout=30)
    assert (caught.value.reason, caught.value.params["call"]) == ("PluginBlocked", "check")
    assert again.value.reason == "PluginPaused"
    assert time.monotonic() - begun < 10
    (info,) = host.plugins()
    assert [(one.call, one.error.reason) for one in info.incidents] == [("check", "PluginBlocked")]


async def test_a_call_that_takes_less_is_left_alone(tmp_path) -> None:
    """Work that holds the loop up for a moment is no reason to interrupt it."""
    host = await asked(lambda: time.sleep(STALL / 2), tmp_path)
    with Watchdog(asyncio.get_running_loop(), STALL).watching():
        for _ in range(3):
            assert await host.probe("blocking").check(None, {}, timeout=30) == FINE


async def test_a_task_of_a_plugin_is_interrupted_too(tmp_path) -> None:
    """What a plugin leaves behind in the loop is its own, after the call that made it."""
    made: list[asyncio.Task[None]] = []

    async def later() -> None:
        sleeps()

    host = await asked(lambda: made.append(asyncio.get_running_loop().create_task(later())), tmp_path)
    with Watchdog(asyncio.get_running_loop(), STALL).watching():
        assert await host.probe("blocking").check(None, {}, timeout=30) == FINE
        outcome = await asyncio.gather(*made, return_exceptions=True)
    assert type(outcome[0]).__name__ == "Interrupted"
    assert [one.error.reason for one in host.plugins()[0].incidents] == ["PluginBlocked"]


async def test_our_own_code_that_blocks_is_named_and_not_interrupted(caplog) -> None:
    """Nothing of the server is broken off; the log says where it stands."""
    with caplog.at_level(logging.ERROR), Watchdog(asyncio.get_running_loop(), 0.1).watching():
        time.sleep(0.6)  # noqa: ASYNC251 - that is the point
        await asyncio.sleep(0.05)
    assert "test_watchdog.py" in caplog.text
