"""An adapter's code is called beside the event loop, for as long as it may take, and what it gives is checked."""

from __future__ import annotations

import asyncio
import time

import pytest

from agentpod_core import Workload
from agentpod_core.errors import ConfigError, TemporaryError
from agentpod_core.host import Host

SECRET = "sk-do-not-tell"


async def test_synchronous_code_that_blocks_holds_up_neither_caller_nor_loop(stage):
    """An adapter that sleeps is given up in time, while the loop goes on; then it is left alone for a while."""

    def workload(self, config, pod, package):
        time.sleep(60)

    host = Host(builtins=[stage.agent(workload=workload)], entry_points=[], stall_seconds=0.2)
    beats = 0

    async def beat():
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.01)

    beating = asyncio.ensure_future(beat())
    with pytest.raises(TemporaryError) as caught:
        await host.ask(host.agent("one"), "workload", None, None, None)
    beating.cancel()
    assert caught.value.reason == "PluginBlocked"
    assert beats > 5
    with pytest.raises(TemporaryError) as again:
        await host.ask(host.agent("one"), "workload", None, None, None)
    assert again.value.reason == "PluginPaused"
    assert again.value.retry_after


async def test_workload_that_cannot_be_stored_is_no_workload(stage):
    """A rendering with values of wrong types is the adapter's failure, not the store's."""
    agent = stage.agent(workload=lambda self, config, pod, package: Workload(image=["x"]))
    host = Host(builtins=[agent], entry_points=[])
    with pytest.raises(TemporaryError) as caught:
        await host.ask(agent, "workload", None, None, None)
    assert caught.value.reason == "PluginAnsweredWrong"


def test_code_run_here_and_now_raises_only_our_errors(stage):
    """Our errors pass; anything else becomes temporary with the plugin's name."""
    host = Host(entry_points=[stage.plugin("zoo", agentpod_agents=lambda: [stage.agent("cat")])])
    cat = host.agent("cat")
    with pytest.raises(ConfigError), host.guarded(cat, "upgrade"):
        raise ConfigError([])
    with pytest.raises(TemporaryError) as caught, host.guarded(cat, "upgrade"):
        raise KeyError(SECRET)
    assert (caught.value.reason, caught.value.params["plugin"]) == ("PluginFailed", "zoo")


async def test_code_that_ended_while_the_loop_stood_still_is_not_blamed(stage):
    """When somebody else holds up the loop beyond the time, an answer that was there is an answer."""

    def workload(self, config, pod, package):
        time.sleep(0.05)
        return Workload(image="x:1")

    host = Host(builtins=[stage.agent(workload=workload)], entry_points=[], stall_seconds=0.1)
    asyncio.get_running_loop().call_soon(time.sleep, 0.3)
    found = await host.ask(host.agent("one"), "workload", None, None, None)
    assert found == Workload(image="x:1")
