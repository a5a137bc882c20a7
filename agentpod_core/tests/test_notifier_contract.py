"""The notifier contract: the fake passes it, and each test finds a notifier that is broken in its way."""

from __future__ import annotations

import msgspec
import pytest

from agentpod_core.errors import ConfigError, PermanentError, Problem, TemporaryError
from agentpod_core.testing import FakeNotifier, NotifierContract
from agentpod_core.testing.notifiers import alert

SECRET = "hunter2"


class TestFakeNotifier(NotifierContract):
    is_installed = False

    @pytest.fixture
    def notifier(self):
        return FakeNotifier()

    @pytest.fixture
    def settings(self):
        return {}

    @pytest.fixture
    def inbox(self, notifier):
        return inbox_of(notifier)

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


def inbox_of(notifier):
    """Give the inbox of a fake."""

    async def texts():
        return [msgspec.json.encode(one).decode() for one in notifier.sent]

    return texts


class Twice(FakeNotifier):
    async def send(self, alert, settings):
        await super().send(alert, settings)
        await super().send(alert, settings)


class Forgetful(FakeNotifier):
    async def send(self, alert, settings):
        await super().send(msgspec.structs.replace(alert, recovered=False), settings)
        self.sent = self.sent[-4:]


class Deaf(FakeNotifier):
    async def send(self, alert, settings):
        if not settings:
            await super().send(alert, settings)


class Leaky(FakeNotifier):
    async def send(self, alert, settings):
        if "fails" in settings:
            kind = TemporaryError if settings["fails"] == "unreachable" else PermanentError
            raise kind("Unreachable", url=f"https://{SECRET}@example.com")
        if settings:
            raise ConfigError([Problem(path="$.url", message=f"bad: {SECRET}")])


async def test_contract_has_teeth():
    """Each broken notifier fails the test that is about what is broken."""
    contract = type("Contract", (NotifierContract,), {})()
    broken = Twice()
    with pytest.raises(ValueError, match="too many values"):
        await contract.test_alert_arrives_once_and_names_the_pod(broken, {}, inbox_of(broken))
    broken = Forgetful()
    with pytest.raises(AssertionError):
        await contract.test_recovery_reads_differently(broken, {}, inbox_of(broken))
    broken = Forgetful()
    with pytest.raises(AssertionError):
        await contract.test_alerts_sent_together_all_arrive(broken, {}, inbox_of(broken))
    for unreachable in ({"fails": "unreachable"},):
        with pytest.raises(pytest.fail.Exception):
            await contract.test_unreachable_target_is_temporary(Deaf(), unreachable, [])
        with pytest.raises(AssertionError, match="secret"):
            await contract.test_unreachable_target_is_temporary(Leaky(), unreachable, [SECRET])
    with pytest.raises(pytest.fail.Exception):
        await contract.test_wrong_settings_are_refused(Deaf(), [{"url": 1}], [])
    with pytest.raises(AssertionError, match="secret"):
        await contract.test_wrong_settings_are_refused(Leaky(), [{"url": 1}], [SECRET])
    with pytest.raises(AssertionError):
        contract.test_is_offered_by_an_installed_plugin(FakeNotifier())


async def test_fake_keeps_what_it_was_told():
    """A test can read what was sent."""
    notifier = FakeNotifier()
    await notifier.send(alert(3), {})
    assert [one.pod for one in notifier.sent] == ["pod-3"]
