"""The notifier in memory passes the contract, and each test of it finds a notifier that is broken in its way."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import pytest

from agentpod_core.errors import ConfigError, PermanentError, Problem, TemporaryError
from agentpod_core.host import Host
from agentpod_core.testing import FakeNotifier, NotifierContract
from agentpod_core.testing.notifiers import alert
from agentpod_core.testing.teeth import Broken, Teeth

SECRET = "hunter2"


class TestFakeNotifier(NotifierContract):
    kind = FakeNotifier
    offers: ClassVar = (FakeNotifier,)

    @pytest.fixture
    def host(self):
        return Host(builtins=[one() for one in self.offers], entry_points=())

    @pytest.fixture
    def notifier(self):
        return self.kind()

    @pytest.fixture
    def settings(self):
        return {}

    @pytest.fixture
    def inbox(self, notifier):
        async def texts():
            return [msgspec.json.encode(one).decode() for one in notifier.sent]

        return texts

    @pytest.fixture
    def unreachable(self):
        return {"fails": "unreachable"}

    @pytest.fixture
    def refusing(self):
        return {"fails": "refuses"}

    @pytest.fixture
    def wrong_settings(self):
        return [{"url": SECRET}]

    @pytest.fixture
    def secret_texts(self):
        return [SECRET]


class Untitled(FakeNotifier):
    title = ""


class ClosesOnce(FakeNotifier):
    async def close(self):
        if self.sent is None:
            raise RuntimeError("closed already")
        self.sent = None


class Nameless(FakeNotifier):
    async def send(self, alert, settings):
        await super().send(msgspec.structs.replace(alert, tenant=""), settings)


class NeverOver(FakeNotifier):
    async def send(self, alert, settings):
        await super().send(msgspec.structs.replace(alert, recovered=False), settings)


class Races(FakeNotifier):
    """It looks, waits, and writes what was right when it looked."""

    async def send(self, alert, settings):
        before = self.sent
        self.sent = []
        await super().send(alert, settings)
        self.sent = [*before, alert]


class GivesUp(FakeNotifier):
    async def send(self, alert, settings):
        try:
            await super().send(alert, settings)
        except TemporaryError as error:
            raise PermanentError(error.reason) from None


class TriesForEver(FakeNotifier):
    async def send(self, alert, settings):
        try:
            await super().send(alert, settings)
        except PermanentError as error:
            raise TemporaryError(error.reason, **error.params) from None


class NamesNoPlace(FakeNotifier):
    async def send(self, alert, settings):
        try:
            await super().send(alert, settings)
        except ConfigError as error:
            raise ConfigError([msgspec.structs.replace(one, path="") for one in error.problems]) from None


class Leaky(FakeNotifier):
    async def send(self, alert, settings):
        if SECRET in settings.values():
            raise ConfigError([Problem(path="$.url", message=f"no URL: {SECRET}")])
        await super().send(alert, settings)


class LeaksItsCause(FakeNotifier):
    """Its own error is clean, and the one that led to it is not."""

    async def send(self, alert, settings):
        try:
            await super().send(alert, settings)
        except ConfigError as error:
            raise ConfigError(error.problems) from ValueError(f"no URL: {SECRET}")


class TestTeeth(Teeth):
    contract = TestFakeNotifier
    broken: ClassVar = {
        "test_contract_is_intact": Broken(changes={"test_recovery_reads_differently": lambda self: None}),
        "test_no_part_is_hidden": [
            Broken(changes={"can_refuse": False}),
            Broken(changes={"holds_secrets": False}),
            Broken(changes={"is_installed": False}),
        ],
        "test_name_is_a_slug": Untitled,
        "test_is_offered_by_an_installed_plugin": Broken(changes={"offers": ()}),
        "test_closing_is_idempotent": ClosesOnce,
        "test_alert_arrives_once_and_names_the_pod": Nameless,
        "test_recovery_reads_differently": NeverOver,
        "test_alerts_sent_together_all_arrive": Races,
        "test_unreachable_target_is_temporary": GivesUp,
        "test_refusing_target_is_permanent": TriesForEver,
        "test_wrong_settings_are_refused": NamesNoPlace,
        "test_errors_show_no_secret": [Leaky, LeaksItsCause],
    }


async def test_fake_keeps_what_it_was_told():
    """A test can read what was sent."""
    notifier = FakeNotifier()
    await notifier.send(alert(3), {})
    assert [one.pod for one in notifier.sent] == ["pod-3"]
