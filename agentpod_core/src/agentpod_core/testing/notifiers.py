"""What every notifier must do. Subclass ``NotifierContract`` in a test module and define its fixtures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec
import pytest

from agentpod_core.errors import AgentPodError, ConfigError, PermanentError, TemporaryError
from agentpod_core.host import Host
from agentpod_core.plugpoints.notifiers import Notifier
from agentpod_core.testing.intact import IntactContract
from agentpod_core.values.names import SLUG
from agentpod_core.values.reports import Alert
from agentpod_core.values.status import Severity

PATIENCE = 30.0
"""Within how many seconds a send has to end one way or the other."""

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


class NotifierContract(IntactContract):
    """The facts that hold for every notifier.

    Define ``notifier`` (open), ``settings`` of a target that takes everything, ``inbox`` (gives
    the texts that arrived there), and settings of targets that fail. ``can_refuse`` False is for
    a notifier whose target has no way to refuse for good. ``is_installed`` False is for one that
    no entry point offers.
    """

    can_refuse: ClassVar[bool] = True
    is_installed: ClassVar[bool] = True

    @pytest.fixture
    def notifier(self) -> Notifier:
        """The notifier, open."""
        return pytest.fail("the contract's subclass must define the fixture `notifier`")

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        """Settings of a target that takes everything."""
        return pytest.fail("the contract's subclass must define the fixture `settings`")

    @pytest.fixture
    def inbox(self) -> Inbox:
        """Gives the texts that arrived at that target, oldest first."""
        return pytest.fail("the contract's subclass must define the fixture `inbox`")

    @pytest.fixture
    def unreachable(self) -> dict[str, Any]:
        """Settings of a target that cannot be reached."""
        return pytest.fail("the contract's subclass must define the fixture `unreachable`")

    @pytest.fixture
    def refusing(self) -> dict[str, Any]:
        """Settings of a target that refuses for good."""
        return pytest.fail("the contract's subclass must define the fixture `refusing`")

    @pytest.fixture
    def wrong_settings(self) -> list[dict[str, Any]]:
        """Settings that make no sense, at least one."""
        return pytest.fail("the contract's subclass must define the fixture `wrong_settings`")

    @pytest.fixture
    def secret_texts(self) -> list[str]:
        """The secrets that the settings above hold; none of them may show in an error."""
        return []

    def test_name_is_a_slug(self, notifier: Notifier) -> None:
        """It has a slug for settings and a title for people."""
        assert SLUG.fullmatch(notifier.name)
        assert notifier.title

    def test_is_offered_by_an_installed_plugin(self, notifier: Notifier) -> None:
        """The host finds the notifier by its entry point."""
        if not self.is_installed:
            pytest.skip("not installed by an entry point")
        assert notifier.name in Host().names("notifier")

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

    async def test_unreachable_target_is_temporary(
        self, notifier: Notifier, unreachable: dict[str, Any], secret_texts: list[str]
    ) -> None:
        """A target that cannot be reached asks for another try, in bounded time."""
        with pytest.raises(TemporaryError) as caught:
            async with asyncio.timeout(PATIENCE):
                await notifier.send(alert(), unreachable)
        assert_keeps_secrets(caught.value, secret_texts)

    async def test_refusing_target_is_permanent(
        self, notifier: Notifier, request: pytest.FixtureRequest, secret_texts: list[str]
    ) -> None:
        """A target that refuses for good is not tried again."""
        if not self.can_refuse:
            pytest.skip("this target cannot refuse")
        refusing: dict[str, Any] = request.getfixturevalue("refusing")
        with pytest.raises(PermanentError) as caught:
            await notifier.send(alert(), refusing)
        assert_keeps_secrets(caught.value, secret_texts)

    async def test_wrong_settings_are_refused(
        self, notifier: Notifier, wrong_settings: list[dict[str, Any]], secret_texts: list[str]
    ) -> None:
        """Settings that make no sense are a ConfigError with the place of each problem."""
        assert wrong_settings, "`wrong_settings` must give at least one example"
        for settings in wrong_settings:
            with pytest.raises(ConfigError) as caught:
                await notifier.send(alert(), settings)
            assert caught.value.problems
            assert_keeps_secrets(caught.value, secret_texts)

    async def test_closing_is_idempotent(self, notifier: Notifier) -> None:
        """A notifier can be closed twice."""
        await notifier.close()
        await notifier.close()


def assert_keeps_secrets(error: AgentPodError, secret_texts: list[str]) -> None:
    """Check that an error shows none of these texts, whichever way it is printed."""
    shown = [str(error), repr(error), msgspec.json.encode(error.params, enc_hook=repr).decode()]
    for text in secret_texts:
        assert not any(text in one for one in shown), "the error shows a secret"
