"""The notifier in memory passes the contract, and each test of it finds a notifier that is broken in its way."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import msgspec
import pytest

from agentpod_core.errors import ConfigError, PermanentError, Problem, TemporaryError
from agentpod_core.host import Host
from agentpod_core.testing import FakeNotifier, NotifierContract
from agentpod_core.testing.fake_notifier import FakeTarget
from agentpod_core.testing.notifiers import deliver
from agentpod_core.testing.teeth import Broken, Teeth
from agentpod_core.values.workload import SecretRef

SECRET = "hunter2"


class Chat(FakeNotifier):
    """One whose messages people read."""

    gathers = True


class TestFakeNotifier(NotifierContract):
    kind = Chat
    offers: ClassVar = (Chat,)
    patience = 0.5

    @pytest.fixture
    def host(self):
        return Host(builtins=[one() for one in self.offers], entry_points=())

    @pytest.fixture
    def notifier(self):
        return self.kind()

    @pytest.fixture
    def target(self):
        return {}

    @pytest.fixture
    def inbox(self, notifier):
        async def texts():
            return [msgspec.json.encode(one).decode() for one in notifier.sent]

        return texts

    @pytest.fixture
    def unreachable(self):
        return {"fails": "unreachable", "password": SECRET}

    @pytest.fixture
    def hanging(self):
        return {"fails": "hangs", "password": SECRET}

    @pytest.fixture
    def refusing(self):
        return {"fails": "refuses", "password": SECRET}

    @pytest.fixture
    def wrong_targets(self):
        return [{"url": SECRET}, {"password": f"{SECRET} "}]

    @pytest.fixture
    def secret_texts(self):
        return [SECRET]


class Untitled(Chat):
    title = ""


class ClosesOnce(Chat):
    async def close(self):
        if self.sent is None:
            raise RuntimeError("closed already")
        self.sent = None


class LooseTarget(msgspec.Struct, frozen=True, kw_only=True):
    fails: str | None = None
    password: SecretRef | None = None
    url: str | None = None


class TakesAnyField(Chat):
    """It takes a field that it does not know for one that is none of its business."""

    target_type = LooseTarget

    async def check(self, target, material):
        if target.url:
            raise ConfigError([Problem(path="$.url", message="no field of it")])
        await super().check(target, material)


class Doubts(Chat):
    """It refuses whatever it is not told to fail with."""

    async def check(self, target, material):
        await super().check(target, material)
        if target == FakeTarget():
            raise ConfigError([Problem(path="$", message="what is this?")])

    async def send(self, alert, target, material):
        if target == FakeTarget():
            self.sent.append(alert)
        else:
            await super().send(alert, target, material)


class TriesFirst(Chat):
    """It refuses a target that fails at the moment."""

    async def check(self, target, material):
        await super().check(target, material)
        if target.fails:
            raise ConfigError([Problem(path="$.fails", message="it does not work")])

    async def send(self, alert, target, material):
        match target.fails:
            case "unreachable":
                raise TemporaryError("Unreachable")
            case "hangs":
                await self._wait()
            case "refuses":
                raise PermanentError("NotAccepted", message="the target refuses")
        self.sent.append(alert)


class NamesNoPlace(Chat):
    async def check(self, target, material):
        try:
            await super().check(target, material)
        except ConfigError as error:
            raise ConfigError([msgspec.structs.replace(one, path="") for one in error.problems]) from None


class TakesAnything(Chat):
    """It finds out when it sends."""

    async def check(self, target, material):
        pass


class Nameless(Chat):
    async def send(self, alert, target, material):
        await super().send(msgspec.structs.replace(alert, tenant="", title=""), target, material)


class NeverOver(Chat):
    async def send(self, alert, target, material):
        if not alert.alerts:
            title = "contract-tenant/pod-1 contract-tenant"
            alert = msgspec.structs.replace(alert, id="message", recovered=False, title=title, text="")
        await super().send(alert, target, material)


class Races(Chat):
    """It looks, waits, and writes what was right when it looked."""

    async def send(self, alert, target, material):
        before = self.sent
        self.sent = []
        await super().send(alert, target, material)
        self.sent = [*before, alert]


class OneByOne(Chat):
    """It takes the several for as many messages."""

    async def send(self, alert, target, material):
        for one in alert.alerts or (alert,):
            await super().send(one, target, material)


class NamesTheFirst(Chat):
    """It has no room for more than a line."""

    async def send(self, alert, target, material):
        text = alert.text.partition("\n")[0]
        await super().send(msgspec.structs.replace(alert, text=text, alerts=()), target, material)


class GivesUp(Chat):
    async def send(self, alert, target, material):
        try:
            await super().send(alert, target, material)
        except TemporaryError as error:
            raise (PermanentError(error.reason) if error.reason == "Unreachable" else error) from None


class GivesUpWhenItHangs(Chat):
    async def send(self, alert, target, material):
        try:
            await super().send(alert, target, material)
        except TemporaryError as error:
            raise (PermanentError(error.reason) if error.reason == "Timeout" else error) from None


class WaitsForEver(Chat):
    def __init__(self):
        super().__init__(patience=3600)


class OneAtATime(Chat):
    """It sends one message after another."""

    def __init__(self):
        super().__init__()
        self.turn = asyncio.Lock()

    async def send(self, alert, target, material):
        async with self.turn:
            await super().send(alert, target, material)


class TriesForEver(Chat):
    async def send(self, alert, target, material):
        try:
            await super().send(alert, target, material)
        except PermanentError as error:
            raise TemporaryError(error.reason, **error.params) from None


class OpenTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fails: str | None = None
    password: str | None = None


class KeepsNothingApart(Chat):
    """Its password is a text as any other."""

    target_type = OpenTarget

    async def check(self, target, material):
        if " " in (target.password or ""):
            raise ConfigError([Problem(path="$.password", message="must have no spaces")])


class Leaky(Chat):
    async def check(self, target, material):
        try:
            await super().check(target, material)
        except ConfigError:
            raise ConfigError([Problem(path="$.password", message=f"spaces: {[*material.values()]}")]) from None


class LeaksItsCause(Chat):
    """Its own error is clean, and the one that led to it is not."""

    async def send(self, alert, target, material):
        try:
            await super().send(alert, target, material)
        except PermanentError as error:
            raise PermanentError(error.reason, **error.params) from ValueError(f"refused: {[*material.values()]}")


class TestTeeth(Teeth):
    contract = TestFakeNotifier
    broken: ClassVar = {
        "test_contract_is_intact": Broken(changes={"test_recovery_reads_differently": lambda self: None}),
        "test_no_part_is_hidden": [
            Broken(changes={"can_hang": False}),
            Broken(changes={"can_refuse": False}),
            Broken(changes={"holds_secrets": False}),
            Broken(changes={"gathers": False}),
            Broken(changes={"is_installed": False}),
        ],
        "test_name_is_a_slug": Untitled,
        "test_is_offered_by_an_installed_plugin": Broken(changes={"offers": ()}),
        "test_closing_is_idempotent": ClosesOnce,
        "test_target_type_is_strict": TakesAnyField,
        "test_good_target_is_taken": Doubts,
        "test_target_that_fails_now_is_taken": TriesFirst,
        "test_wrong_target_is_refused": [
            NamesNoPlace,
            Broken(
                kind=TakesAnything,
                also=("test_errors_show_no_secret",),
                because="it asks to be told what is wrong with the same targets",
            ),
        ],
        "test_alert_arrives_once_and_names_the_pod": Nameless,
        "test_recovery_reads_differently": NeverOver,
        "test_alerts_sent_together_all_arrive": Races,
        "test_gathered_alerts_are_one_message": [OneByOne, NamesTheFirst],
        "test_unreachable_target_is_temporary": GivesUp,
        "test_hanging_target_is_temporary": [
            GivesUpWhenItHangs,
            Broken(
                kind=WaitsForEver,
                also=("test_errors_show_no_secret",),
                because="there is no error to look at",
            ),
        ],
        "test_hanging_target_holds_up_no_other": OneAtATime,
        "test_refusing_target_is_permanent": TriesForEver,
        "test_secrets_are_kept_apart": KeepsNothingApart,
        "test_errors_show_no_secret": [Leaky, LeaksItsCause],
    }


async def test_fake_keeps_what_it_was_told():
    """A test can read what was sent."""
    notifier = FakeNotifier()
    await deliver(notifier, 3, {})
    assert [one.pod for one in notifier.sent] == ["pod-3"]
