"""A probe that does it right passes the contract, and each test of it finds one that is broken in its way."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import msgspec
import pytest

from agentpod_core import AgentPodError, ConfigError, HealthProbe, ProbeResult, Problem, Reply
from agentpod_core.host import Host
from agentpod_core.testing import FakeLink, HealthProbeContract, probes
from agentpod_core.testing.teeth import Broken, Teeth


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


class TestPing(HealthProbeContract):
    kind = Ping
    offers: ClassVar = (Ping,)
    grace = 1.0

    @pytest.fixture
    def host(self):
        return Host(builtins=[one() for one in self.offers], entry_points=())

    @pytest.fixture
    def probe(self, monkeypatch):
        monkeypatch.setattr(probes, "TIMEOUT", 0.02)
        return self.kind()

    @pytest.fixture
    def settings(self):
        return {}

    @pytest.fixture
    def healthy(self):
        return FakeLink({"GET /": Reply(status=200)})

    @pytest.fixture
    def unhealthy(self):
        return FakeLink()

    @pytest.fixture
    def wrong_settings(self):
        return [{"path": "/"}]


class Untitled(Ping):
    title = ""


class ClosesOnce(Ping):
    is_closed = False

    async def close(self):
        if self.is_closed:
            raise RuntimeError("closed already")
        self.is_closed = True


def answering(accepts, **facts):
    """Make a probe that says something else of some agents."""

    class Broken(Ping):
        async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
            result = await super().check(link, settings, timeout=timeout)
            return msgspec.structs.replace(result, **facts) if accepts(result) else result

    return Broken


class Hanging(Ping):
    """It trusts the link to end in time."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        if settings:
            return await super().check(link, settings, timeout=timeout)
        try:
            reply = await link.http("GET", "/", timeout=timeout)
        except AgentPodError as error:
            return ProbeResult(alive=False, ready=False, reason=error.reason)
        return ProbeResult(alive=True, ready=reply.status == 200, reason="Answering")


class Overtime(Ping):
    """It takes as much time as it likes."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        return await super().check(link, settings, timeout=max(timeout, 5.0))


class Blaming(Ping):
    """It takes whatever went wrong for the agent's silence."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        result = await super().check(link, settings, timeout=timeout)
        return result if result.alive else msgspec.structs.replace(result, reason="Unreachable")


class Distracted(Ping):
    """It remembers one agent at a time."""

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        self.link = link
        await asyncio.sleep(0)
        return await super().check(self.link, settings, timeout=timeout)


class Swallowing(Ping):
    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        try:
            return await super().check(link, settings, timeout=timeout)
        except asyncio.CancelledError:
            return ProbeResult(alive=False, ready=False, reason="Timeout")


class TakesAnything(Ping):
    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        return await super().check(link, {}, timeout=timeout)


class NamesNoPlace(Ping):
    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        if settings:
            raise ConfigError([])
        return await super().check(link, settings, timeout=timeout)


class TestTeeth(Teeth):
    contract = TestPing
    broken: ClassVar = {
        "test_contract_is_intact": Broken(changes={"test_cancelled_check_ends": lambda self: None}),
        "test_no_part_is_hidden": [
            Broken(changes={"takes_settings": False}),
            Broken(changes={"is_installed": False}),
        ],
        "test_name_is_a_slug": Untitled,
        "test_is_offered_by_an_installed_plugin": Broken(changes={"offers": ()}),
        "test_closing_is_idempotent": ClosesOnce,
        "test_healthy_agent_is_alive_and_ready": [
            answering(lambda seen: seen.ready, reason="all is well"),
            answering(lambda seen: seen.ready, alive=False),
            answering(lambda seen: seen.ready, seconds=-1.0),
        ],
        "test_unhealthy_agent_is_not_ready": answering(lambda seen: seen.alive, ready=True),
        "test_unreachable_agent_is_not_alive": answering(lambda seen: seen.reason == "Unreachable", alive=True),
        "test_trouble_of_the_platform_keeps_its_name": Blaming,
        "test_slow_agent_never_hangs_the_probe": [Hanging, Overtime],
        "test_checks_do_not_disturb_one_another": Distracted,
        "test_cancelled_check_ends": Swallowing,
        "test_wrong_settings_are_refused": [TakesAnything, NamesNoPlace],
    }
