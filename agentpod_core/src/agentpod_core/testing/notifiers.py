"""What every notifier must do. Subclass ``NotifierContract`` in a test module and define its fixtures."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from agentpod_core.errors import AgentPodError, ConfigError, PermanentError, TemporaryError
from agentpod_core.plugpoints.notifiers import Notifier
from agentpod_core.testing.offers import ImpureContract
from agentpod_core.testing.parts import Part, needs, to_define
from agentpod_core.values.reports import Alert
from agentpod_core.values.status import Severity

Inbox = Callable[[], Awaitable[list[str]]]


def alert(number: int = 1, *, recovered: bool = False) -> Alert:
    """Give an alert to send."""
    return Alert(
        id=f"alert-{number}",
        reason="Unreachable",
        severity=Severity.ERROR,
        tenant="contract-tenant",
        pod=f"pod-{number}",
        at=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        recovered=recovered,
    )


class NotifierContract(ImpureContract):
    """The facts that hold for every notifier.

    Fixtures: ``notifier`` (open), ``settings`` of a target that takes everything, ``inbox`` (gives the
    texts that arrived there), ``unreachable`` and ``refusing`` (settings of targets that fail),
    ``wrong_settings`` (a list of settings that make no sense), ``secret_texts`` (the secrets that stand in
    the last three). Flags: ``can_refuse`` False where the target has no way to refuse for good,
    ``holds_secrets`` False where settings hold none, ``is_installed``. ``patience`` is the number of
    seconds in which a send has to end one way or the other. The whole of what an author writes::

        class TestMyNotifier(NotifierContract):
            @pytest.fixture
            def notifier(self):
                return MyNotifier()

            @pytest.fixture
            def settings(self, server):
                return {"url": server.url, "token": "hunter2"}

            @pytest.fixture
            def inbox(self, server):
                return server.texts  # an async function that gives a list of str

            @pytest.fixture
            def unreachable(self):
                return {"url": "http://127.0.0.1:1", "token": "hunter2"}

            @pytest.fixture
            def refusing(self, server):
                return {"url": f"{server.url}/gone", "token": "hunter2"}

            @pytest.fixture
            def wrong_settings(self):
                return [{"url": "hunter2"}]

            @pytest.fixture
            def secret_texts(self):
                return ["hunter2"]
    """

    can_refuse: ClassVar[bool] = True
    holds_secrets: ClassVar[bool] = True
    patience: ClassVar[float] = 30.0

    parts: ClassVar[tuple[Part, ...]] = (
        Part(flag="can_refuse", uncovered="what it does when its target refuses for good", fixtures=("refusing",)),
        Part(flag="holds_secrets", uncovered="that errors show no secret", fixtures=("secret_texts",)),
    )

    @to_define
    def notifier(self) -> Notifier:
        """The notifier, open."""
        raise NotImplementedError

    @to_define
    def settings(self) -> dict[str, Any]:
        """Settings of a target that takes everything."""
        raise NotImplementedError

    @to_define
    def inbox(self) -> Inbox:
        """An async function that gives the texts that arrived at that target, oldest first."""
        raise NotImplementedError

    @to_define
    def unreachable(self) -> dict[str, Any]:
        """Settings of a target that cannot be reached."""
        raise NotImplementedError

    @to_define
    def refusing(self) -> dict[str, Any]:
        """Settings of a target that refuses for good."""
        raise NotImplementedError

    @to_define
    def wrong_settings(self) -> list[dict[str, Any]]:
        """Settings that make no sense, at least one."""
        raise NotImplementedError

    @to_define
    def secret_texts(self) -> list[str]:
        """The secrets that the settings of failing targets hold; none of them may show in an error."""
        raise NotImplementedError

    @pytest.fixture
    def failing(
        self, request: pytest.FixtureRequest, unreachable: dict[str, Any], wrong_settings: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """The settings above with which a send fails."""
        refusing = [request.getfixturevalue("refusing")] if self.can_refuse else []
        return [unreachable, *refusing, *wrong_settings]

    @pytest.fixture
    def implementation(self, notifier: Notifier) -> Notifier:
        """What is under contract."""
        return notifier

    async def test_alert_arrives_once_and_names_the_pod(
        self, notifier: Notifier, settings: dict[str, Any], inbox: Inbox
    ) -> None:
        """One send is one message, and it says which pod of which tenant."""
        await notifier.send(alert(), settings)
        (arrived,) = await inbox()
        assert "contract-tenant" in arrived
        assert "pod-1" in arrived

    async def test_recovery_reads_differently(self, notifier: Notifier, settings: dict[str, Any], inbox: Inbox) -> None:
        """A reader can tell that it is over."""
        await notifier.send(alert(), settings)
        await notifier.send(alert(recovered=True), settings)
        before, after = await inbox()
        assert before != after

    async def test_alerts_sent_together_all_arrive(
        self, notifier: Notifier, settings: dict[str, Any], inbox: Inbox
    ) -> None:
        """Alerts sent at the same time neither mix nor get lost."""
        await asyncio.gather(*(notifier.send(alert(number), settings) for number in range(5)))
        arrived = await inbox()
        assert len(arrived) == 5
        assert all(any(f"pod-{number}" in text for text in arrived) for number in range(5))

    async def test_unreachable_target_is_temporary(self, notifier: Notifier, unreachable: dict[str, Any]) -> None:
        """A target that cannot be reached asks for another try, in bounded time."""
        with pytest.raises(TemporaryError):
            async with asyncio.timeout(self.patience):
                await notifier.send(alert(), unreachable)

    @needs("can_refuse")
    async def test_refusing_target_is_permanent(self, notifier: Notifier, refusing: dict[str, Any]) -> None:
        """A target that refuses for good is not tried again."""
        with pytest.raises(PermanentError):
            await notifier.send(alert(), refusing)

    async def test_wrong_settings_are_refused(self, notifier: Notifier, wrong_settings: list[dict[str, Any]]) -> None:
        """Settings that make no sense are a ConfigError with the place of each problem."""
        assert wrong_settings, "`wrong_settings` must give at least one example"
        for settings in wrong_settings:
            with pytest.raises(ConfigError) as caught:
                await notifier.send(alert(), settings)
            assert caught.value.problems
            assert all(problem.path.startswith("$") for problem in caught.value.problems)

    @needs("holds_secrets")
    async def test_errors_show_no_secret(
        self, notifier: Notifier, failing: list[dict[str, Any]], secret_texts: list[str]
    ) -> None:
        """Whatever fails, and however it is printed, no secret of the settings shows."""
        assert any(text in repr(failing) for text in secret_texts), "the settings that fail hold none of `secret_texts`"
        for settings in failing:
            with pytest.raises(AgentPodError) as caught:
                await notifier.send(alert(), settings)
            shown = "".join(traceback.format_exception(caught.value)) + _told(caught.value)
            assert [text for text in secret_texts if text in shown] == [], "the error shows a secret"


def _told(error: AgentPodError) -> str:
    problems = error.problems if isinstance(error, ConfigError) else []
    return f"{error!r} {error.params!r} {error.detail} {problems!r}"
