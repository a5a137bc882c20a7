"""What every notifier must do. Subclass ``NotifierContract`` in a test module and define its fixtures."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import jsonschema
import pytest

from agentpod_core import schema
from agentpod_core.errors import AgentPodError, ConfigError, PermanentError, TemporaryError
from agentpod_core.plugpoints.notifiers import Notifier
from agentpod_core.testing.offers import ImpureContract
from agentpod_core.testing.parts import Part, needs, to_define
from agentpod_core.values.reports import Alert
from agentpod_core.values.status import Severity
from agentpod_core.values.workload import SecretRef

Inbox = Callable[[], Awaitable[list[str]]]


def alert(number: int = 1, *, recovered: bool = False) -> Alert:
    """Give an alert to send."""
    subject = f"contract-tenant/pod-{number}"
    return Alert(
        id=f"message-{number}{'-over' if recovered else ''}",
        alert_id=f"alert-{number}",
        reason="CrashLoop",
        severity=Severity.ERROR,
        tenant="contract-tenant",
        pod=f"pod-{number}",
        at=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        title=f"{subject} is well again" if recovered else f"{subject}: crash loop",
        text="It <stays> up & running." if recovered else 'It ends again and again: "*why*" is in its logs.',
        url=f"https://agentpod.example/dashboard/pods/{number}",
        recovered=recovered,
    )


def gathered(count: int) -> Alert:
    """Give an alert that stands for so many."""
    alerts = tuple(alert(number) for number in range(1, count + 1))
    return Alert(
        id=alerts[0].id,
        alert_id=alerts[0].alert_id,
        reason="SeveralAlerts",
        severity=Severity.ERROR,
        tenant="contract-tenant",
        pod="",
        at=alerts[0].at,
        title=f"AgentPod: {count} alerts",
        text="\n".join(f"{one.title}." for one in alerts),
        url="https://agentpod.example/dashboard",
        alerts=alerts,
    )


def taken(notifier: Notifier[Any], given: Mapping[str, Any]) -> tuple[Any, dict[SecretRef, str]]:
    """Take a target as a person gives it, the way the platform does: its secrets go apart.

    Raises:
        ConfigError: its type does not allow it.
    """
    accepted = schema.accept(schema.json_schema(notifier.target_type), dict(given))
    if accepted.problems:
        raise ConfigError(accepted.problems)
    refs = {path: SecretRef(key=path, store="contract") for path in accepted.secrets}
    target = schema.build(notifier.target_type, schema.put_refs(accepted.value, refs))
    return target, {refs[path]: value for path, value in accepted.secrets.items()}


async def deliver(notifier: Notifier[Any], number: int, given: Mapping[str, Any], *, recovered: bool = False) -> None:
    """Send an alert to a target as a person gives it."""
    target, material = taken(notifier, given)
    await notifier.send(alert(number, recovered=recovered), target, material)


async def refusal(notifier: Notifier[Any], given: Mapping[str, Any]) -> ConfigError:
    """Give what is said about a target that is not to be stored; its type or its check says it."""
    with pytest.raises(ConfigError) as caught:
        await notifier.check(*taken(notifier, given))
    return caught.value


class NotifierContract(ImpureContract):
    """The facts that hold for every notifier.

    Fixtures: ``notifier`` (open), ``target`` that takes everything, ``inbox`` (gives the texts that arrived
    there), ``unreachable``, ``hanging`` (takes a connection and says nothing) and ``refusing`` (targets that fail),
    ``wrong_targets`` (a list of targets that make no sense), ``secret_texts`` (the secrets that stand in all of
    these but the first). Targets are given as a person types them in. Flags: ``can_hang`` False where no target
    can keep a notifier waiting, ``can_refuse`` False where none has a way to refuse for good, ``holds_secrets``
    False where targets have none, ``is_installed``. That messages gather shows by itself.
    ``patience`` is the number of seconds in which a send has to
    end one way or the other. The whole of what an author writes::

        class TestMyNotifier(NotifierContract):
            @pytest.fixture
            def notifier(self):
                return MyNotifier()

            @pytest.fixture
            def target(self, server):
                return {"url": server.url, "token": "hunter2"}

            @pytest.fixture
            def inbox(self, server):
                return server.texts  # an async function that gives a list of str

            @pytest.fixture
            def unreachable(self):
                return {"url": "http://127.0.0.1:1", "token": "hunter2"}

            @pytest.fixture
            def hanging(self, server):
                return {"url": f"{server.url}/hangs", "token": "hunter2"}

            @pytest.fixture
            def refusing(self, server):
                return {"url": f"{server.url}/gone", "token": "hunter2"}

            @pytest.fixture
            def wrong_targets(self):
                return [{"url": "no URL", "token": "hunter2"}]

            @pytest.fixture
            def secret_texts(self):
                return ["hunter2"]
    """

    can_hang: ClassVar[bool] = True
    can_refuse: ClassVar[bool] = True
    holds_secrets: ClassVar[bool] = True
    gathers: ClassVar[bool | None] = None
    patience: ClassVar[float] = 30.0

    parts: ClassVar[tuple[Part, ...]] = (
        Part(flag="can_hang", uncovered="what it does when its target never answers", fixtures=("hanging",)),
        Part(flag="can_refuse", uncovered="what it does when its target refuses for good", fixtures=("refusing",)),
        Part(flag="holds_secrets", uncovered="that targets and errors show no secret", fixtures=("secret_texts",)),
        Part(
            flag="gathers",
            uncovered="how it tells several alerts in one message",
            shown_by=lambda request: bool(request.getfixturevalue("notifier").gathers),
        ),
    )

    @to_define
    def notifier(self) -> Notifier[Any]:
        """The notifier, open."""
        raise NotImplementedError

    @to_define
    def target(self) -> dict[str, Any]:
        """A target that takes everything."""
        raise NotImplementedError

    @to_define
    def inbox(self) -> Inbox:
        """An async function that gives the texts that arrived at that target, oldest first."""
        raise NotImplementedError

    @to_define
    def unreachable(self) -> dict[str, Any]:
        """A target that cannot be reached."""
        raise NotImplementedError

    @to_define
    def hanging(self) -> dict[str, Any]:
        """A target that never answers."""
        raise NotImplementedError

    @to_define
    def refusing(self) -> dict[str, Any]:
        """A target that refuses for good."""
        raise NotImplementedError

    @to_define
    def wrong_targets(self) -> list[dict[str, Any]]:
        """Targets that make no sense, at least one."""
        raise NotImplementedError

    @to_define
    def secret_texts(self) -> list[str]:
        """The secrets that failing and wrong targets hold; none of them may show in an error."""
        raise NotImplementedError

    @pytest.fixture
    def failing(self, request: pytest.FixtureRequest, unreachable: dict[str, Any]) -> list[dict[str, Any]]:
        """The targets above to which nothing can be sent."""
        others = {"hanging": self.can_hang, "refusing": self.can_refuse}
        return [unreachable, *(request.getfixturevalue(name) for name, is_there in others.items() if is_there)]

    @pytest.fixture
    def implementation(self, notifier: Notifier[Any]) -> Notifier[Any]:
        """What is under contract."""
        return notifier

    def test_target_type_is_strict(self, notifier: Notifier[Any]) -> None:
        """A target cannot be changed in place, and a field that it does not know is an error."""
        kind = notifier.target_type
        assert kind.__struct_config__.frozen, f"{kind.__name__} must be frozen=True"
        assert kind.__struct_config__.forbid_unknown_fields, f"{kind.__name__} must forbid unknown fields"
        jsonschema.Draft202012Validator.check_schema(schema.json_schema(kind))

    async def test_good_target_is_taken(self, notifier: Notifier[Any], target: dict[str, Any]) -> None:
        """A target that works is not refused before it is stored."""
        await notifier.check(*taken(notifier, target))

    async def test_target_that_fails_now_is_taken(self, notifier: Notifier[Any], failing: list[dict[str, Any]]) -> None:
        """A target that cannot be reached today may be tomorrow: it is not refused before it is stored."""
        for one in failing:
            async with asyncio.timeout(self.patience):
                await notifier.check(*taken(notifier, one))

    async def test_wrong_target_is_refused(self, notifier: Notifier[Any], wrong_targets: list[dict[str, Any]]) -> None:
        """A target that makes no sense is refused before it is stored, with the place of each problem."""
        assert wrong_targets, "`wrong_targets` must give at least one example"
        for one in wrong_targets:
            refused = await refusal(notifier, one)
            assert refused.problems
            assert all(problem.path.startswith("$") for problem in refused.problems)

    async def test_alert_arrives_once_and_names_the_pod(
        self, notifier: Notifier[Any], target: dict[str, Any], inbox: Inbox
    ) -> None:
        """One send is one message, and it says which pod of which tenant."""
        await deliver(notifier, 1, target)
        (arrived,) = await inbox()
        assert "contract-tenant" in arrived
        assert "pod-1" in arrived

    async def test_recovery_reads_differently(
        self, notifier: Notifier[Any], target: dict[str, Any], inbox: Inbox
    ) -> None:
        """A reader can tell that it is over."""
        await deliver(notifier, 1, target)
        await deliver(notifier, 1, target, recovered=True)
        before, after = await inbox()
        assert before != after

    async def test_alerts_sent_together_all_arrive(
        self, notifier: Notifier[Any], target: dict[str, Any], inbox: Inbox
    ) -> None:
        """Alerts sent at the same time neither mix nor get lost."""
        await asyncio.gather(*(deliver(notifier, number, target) for number in range(5)))
        arrived = await inbox()
        assert len(arrived) == 5
        assert all(any(f"pod-{number}" in text for text in arrived) for number in range(5))

    @needs("gathers")
    async def test_gathered_alerts_are_one_message(
        self, notifier: Notifier[Any], target: dict[str, Any], inbox: Inbox
    ) -> None:
        """An alert that stands for fifty is one message, and it names every one of them."""
        target_, material = taken(notifier, target)
        await notifier.send(gathered(50), target_, material)
        (arrived,) = await inbox()
        assert [number for number in range(1, 51) if f"contract-tenant/pod-{number}: crash loop." not in arrived] == []

    async def test_unreachable_target_is_temporary(self, notifier: Notifier[Any], unreachable: dict[str, Any]) -> None:
        """A target that cannot be reached asks for another try, in bounded time."""
        with pytest.raises(TemporaryError):
            async with asyncio.timeout(self.patience):
                await deliver(notifier, 1, unreachable)

    @needs("can_hang")
    async def test_hanging_target_is_temporary(self, notifier: Notifier[Any], hanging: dict[str, Any]) -> None:
        """A target that never answers is given up in bounded time, for another try."""
        with pytest.raises(TemporaryError):
            async with asyncio.timeout(self.patience):
                await deliver(notifier, 1, hanging)

    @needs("can_hang")
    async def test_hanging_target_holds_up_no_other(
        self, notifier: Notifier[Any], hanging: dict[str, Any], target: dict[str, Any], inbox: Inbox
    ) -> None:
        """While some targets never answer, another gets its message."""
        stuck = [asyncio.create_task(deliver(notifier, 1, hanging)) for _ in range(5)]
        try:
            await asyncio.sleep(0)
            async with asyncio.timeout(self.patience):
                await deliver(notifier, 2, target)
            assert not any(one.done() for one in stuck), "it waited until the others were given up"
        finally:
            for one in stuck:
                one.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
        (arrived,) = await inbox()
        assert "pod-2" in arrived

    @needs("can_refuse")
    async def test_refusing_target_is_permanent(self, notifier: Notifier[Any], refusing: dict[str, Any]) -> None:
        """A target that refuses for good is not tried again."""
        with pytest.raises(PermanentError):
            await deliver(notifier, 1, refusing)

    @needs("holds_secrets")
    async def test_secrets_are_kept_apart(
        self, notifier: Notifier[Any], failing: list[dict[str, Any]], secret_texts: list[str]
    ) -> None:
        """What is secret of a target stands in a secret field: whoever looks at the rest does not see it."""
        for one in failing:
            target, material = taken(notifier, one)
            assert [text for text in secret_texts if text in repr(target)] == [], "the target shows a secret"
            assert any(text in value for text in secret_texts for value in material.values()), "it holds no secret"

    @needs("holds_secrets")
    async def test_errors_show_no_secret(
        self,
        notifier: Notifier[Any],
        failing: list[dict[str, Any]],
        wrong_targets: list[dict[str, Any]],
        secret_texts: list[str],
    ) -> None:
        """Whatever fails, and however it is printed, no secret of the target shows."""
        held = [text for text in secret_texts if text in repr(wrong_targets)]
        assert held, "the targets that make no sense hold none of `secret_texts`"
        errors: list[AgentPodError] = [await refusal(notifier, one) for one in wrong_targets]
        for one in failing:
            with pytest.raises(AgentPodError) as caught:
                async with asyncio.timeout(self.patience):
                    await deliver(notifier, 1, one)
            errors.append(caught.value)
        for error in errors:
            told = (error, error.params, error.detail, getattr(error, "problems", []))
            shown = "".join(traceback.format_exception(error)) + repr(told)
            assert [text for text in secret_texts if text in shown] == [], "the error shows a secret"
