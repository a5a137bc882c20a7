"""The probe contract finds probes that are broken, each in its own way."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest

from agentpod_core import AgentPodError, ConfigError, HealthProbe, ProbeResult, Problem
from agentpod_core.testing import FakeLink, HealthProbeContract


class Ping(HealthProbe):
    """A good probe, from which the broken ones differ."""

    name: ClassVar[str] = "ping"
    title: ClassVar[str] = "Ping"

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        if settings:
            raise ConfigError([Problem(path="$", message="takes none")])
        try:
            async with asyncio.timeout(timeout):
                reply = await link.http("GET", "/", timeout=timeout)
        except AgentPodError as error:
            return ProbeResult(alive=False, ready=False, reason=error.reason)
        except TimeoutError:
            return ProbeResult(alive=False, ready=False, reason="Timeout")
        is_ready = reply.status == 200
        return ProbeResult(alive=True, ready=is_ready, reason="Answering" if is_ready else "NotReady")


class Raising(Ping):
    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        await link.http("GET", "/", timeout=timeout)
        return ProbeResult(alive=True, ready=True, reason="Answering")


class Hanging(Ping):
    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        return await super().check(link, settings, timeout=3600.0)


class Swallowing(Ping):
    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        try:
            return await super().check(link, settings, timeout=timeout)
        except asyncio.CancelledError:
            return ProbeResult(alive=False, ready=False, reason="Timeout")


class Optimistic(Ping):
    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        return ProbeResult(alive=True, ready=True, reason="all is well")


class Contract(HealthProbeContract):
    """The contract as a probe's tests run it; its name keeps it from being collected."""


@pytest.mark.parametrize(
    ("probe", "test", "arguments", "failure"),
    [
        (Raising(), "test_unreachable_agent_is_not_alive", [{}], AgentPodError),
        (Optimistic(), "test_unreachable_agent_is_not_alive", [{}], AssertionError),
        (Optimistic(), "test_unhealthy_agent_is_not_ready", [{}, FakeLink()], AssertionError),
        (Optimistic(), "test_healthy_agent_is_alive_and_ready", [{}, FakeLink()], AssertionError),
        (Hanging(), "test_slow_agent_never_hangs_the_probe", [{}, "stuck"], TimeoutError),
        (Optimistic(), "test_checks_do_not_disturb_one_another", [{}, FakeLink()], AssertionError),
        (Swallowing(), "test_cancelled_check_ends", [{}], pytest.fail.Exception),
    ],
)
async def test_contract_has_teeth(probe, test, arguments, failure):
    """A broken probe fails the test that is about what is broken."""
    with pytest.raises(failure):
        await getattr(Contract(), test)(probe, *arguments)


async def test_good_probe_passes():
    """What the broken ones were made from has nothing wrong with it."""
    contract, probe = Contract(), Ping()
    await contract.test_unreachable_agent_is_not_alive(probe, {})
    await contract.test_unhealthy_agent_is_not_ready(probe, {}, FakeLink())
    await contract.test_slow_agent_never_hangs_the_probe(probe, {}, "stuck")
    await contract.test_cancelled_check_ends(probe, {})


@pytest.mark.parametrize("examples", [[], [{}]])
async def test_contract_wants_wrong_settings_refused(examples):
    """No example is no pass, and an example that is accepted is none either."""

    class Request:
        def getfixturevalue(self, name):
            return examples

    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await Contract().test_wrong_settings_are_refused(Optimistic(), Request())
