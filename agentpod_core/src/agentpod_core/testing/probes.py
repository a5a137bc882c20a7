"""What every health probe must do. Subclass ``HealthProbeContract`` in a test module and define its fixtures."""

from __future__ import annotations

import asyncio
import re
from typing import Any, ClassVar

import pytest

from agentpod_core.errors import AgentPodError, ConfigError, TemporaryError
from agentpod_core.plugpoints.link import Link
from agentpod_core.plugpoints.probes import HealthProbe
from agentpod_core.testing.fake_link import FakeLink
from agentpod_core.testing.offers import ImpureContract
from agentpod_core.testing.parts import Part, needs, to_define

TIMEOUT = 0.2
TROUBLE = TemporaryError("SecretNotRead", secret="token", cause="Timeout")  # noqa: S106 - the name of one

_REASON = re.compile(r"[A-Z][A-Za-z0-9]*")


class HealthProbeContract(ImpureContract):
    """The facts that hold for every health probe.

    Fixtures: ``probe`` (open), ``settings`` as a workload would give them, ``healthy`` and ``unhealthy``
    (links to agents), ``wrong_settings`` (a list of settings that make no sense). Flags: ``takes_settings``
    False for a probe that has none to get wrong, ``is_installed``. ``grace`` is how many seconds after
    its timeout a check may come back on a busy machine. The whole of what an author writes::

        class TestMyProbe(HealthProbeContract):
            @pytest.fixture
            def probe(self):
                return MyProbe()

            @pytest.fixture
            def settings(self):
                return {"path": "/healthz"}

            @pytest.fixture
            def healthy(self):
                return FakeLink({"GET /healthz": Reply(status=200)})

            @pytest.fixture
            def unhealthy(self):
                return FakeLink({"GET /healthz": Reply(status=503)})

            @pytest.fixture
            def wrong_settings(self):
                return [{"pth": "/healthz"}]
    """

    takes_settings: ClassVar[bool] = True
    grace: ClassVar[float] = 2.0

    parts: ClassVar[tuple[Part, ...]] = (
        Part(
            flag="takes_settings",
            uncovered="what it does with settings that make no sense",
            fixtures=("wrong_settings",),
            shown_by=lambda request: bool(request.getfixturevalue("settings")),
        ),
    )

    @to_define
    def probe(self) -> HealthProbe:
        """The probe, open."""
        raise NotImplementedError

    @to_define
    def settings(self) -> dict[str, Any]:
        """Settings as a workload would give them, for the agents below; ``{}`` for a probe that needs none."""
        raise NotImplementedError

    @to_define
    def healthy(self) -> Link:
        """A link to an agent that is well."""
        raise NotImplementedError

    @to_define
    def unhealthy(self) -> Link:
        """A link to an agent that answers and is not ready."""
        raise NotImplementedError

    @to_define
    def wrong_settings(self) -> list[dict[str, Any]]:
        """Settings that make no sense, at least one."""
        raise NotImplementedError

    @pytest.fixture
    def implementation(self, probe: HealthProbe) -> HealthProbe:
        """What is under contract."""
        return probe

    async def test_healthy_agent_is_alive_and_ready(
        self, probe: HealthProbe, settings: dict[str, Any], healthy: Link
    ) -> None:
        """An agent that is well is alive and ready, with a reason and the time it took."""
        result = await probe.check(healthy, settings, timeout=5.0)
        assert (result.alive, result.ready) == (True, True)
        assert _REASON.fullmatch(result.reason)
        assert 0.0 <= result.seconds <= 5.0

    async def test_unhealthy_agent_is_not_ready(
        self, probe: HealthProbe, settings: dict[str, Any], unhealthy: Link
    ) -> None:
        """An agent that says it is unwell is a result, no exception."""
        result = await probe.check(unhealthy, settings, timeout=5.0)
        assert result.ready is False
        assert _REASON.fullmatch(result.reason)

    async def test_unreachable_agent_is_not_alive(self, probe: HealthProbe, settings: dict[str, Any]) -> None:
        """An agent that cannot be reached is neither alive nor ready."""
        result = await probe.check(FakeLink(unreachable=True), settings, timeout=5.0)
        assert (result.alive, result.ready) == (False, False)
        assert _REASON.fullmatch(result.reason)

    async def test_trouble_of_the_platform_keeps_its_name(self, probe: HealthProbe, settings: dict[str, Any]) -> None:
        """What the link says of the platform, and not of the agent, is the reason of the result, or raised as it is."""
        try:
            reason = (await probe.check(FakeLink(trouble=TROUBLE), settings, timeout=5.0)).reason
        except AgentPodError as error:
            reason = error.reason
        assert reason == TROUBLE.reason

    @pytest.mark.parametrize("fault", ["silent", "stuck"])
    async def test_slow_agent_never_hangs_the_probe(
        self, probe: HealthProbe, settings: dict[str, Any], fault: str
    ) -> None:
        """A check ends in time, also over a link that does not keep its own bounds."""
        link = FakeLink(silent=fault == "silent", stuck=fault == "stuck")
        async with asyncio.timeout(TIMEOUT + self.grace):
            result = await probe.check(link, settings, timeout=TIMEOUT)
        assert (result.alive, result.ready) == (False, False)

    async def test_checks_do_not_disturb_one_another(
        self, probe: HealthProbe, settings: dict[str, Any], healthy: Link
    ) -> None:
        """One probe serves many agents at once."""
        agents: list[Link] = [healthy, FakeLink(unreachable=True)] * 5
        results = await asyncio.gather(*(probe.check(agent, settings, timeout=5.0) for agent in agents))
        assert [result.ready for result in results] == [True, False] * 5

    async def test_cancelled_check_ends(self, probe: HealthProbe, settings: dict[str, Any]) -> None:
        """A check that is cancelled ends at once and swallows nothing."""
        check = asyncio.ensure_future(probe.check(FakeLink(stuck=True), settings, timeout=60.0))
        await asyncio.sleep(0)
        check.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(self.grace):
                await check

    @needs("takes_settings")
    async def test_wrong_settings_are_refused(self, probe: HealthProbe, wrong_settings: list[dict[str, Any]]) -> None:
        """Settings that make no sense are a ConfigError with the place of each problem."""
        assert wrong_settings, "`wrong_settings` must give at least one example"
        for settings in wrong_settings:
            with pytest.raises(ConfigError) as caught:
                await probe.check(FakeLink(), settings, timeout=5.0)
            assert caught.value.problems
            assert all(problem.path.startswith("$") for problem in caught.value.problems)
