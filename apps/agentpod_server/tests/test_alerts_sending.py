"""Sending on a real PostgreSQL: in which order, how often, when not, and that nothing that is to be told is lost."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from agentpod_core.errors import ConfigError, PermanentError, TemporaryError
from agentpod_core.values.alerts import Clear, Raise
from agentpod_core.values.status import Severity
from agentpod_server.services.alerts import delivery as delivering
from agentpod_server.services.alerts.testing import ALL, AWAY, DOWN, GROWS
from agentpod_server.services.alerts.turns import OF_A_TENANT, Turns
from agentpod_server.store import events, sending
from agentpod_server.store.listen import Listener
from agentpod_server.testing import eventually

HUNG = Raise(reason="Hung", severity=Severity.ERROR)
OVER = Clear(reason="CrashLoop")


def away(retry_after=None):
    """Give the error of a target that cannot be reached."""
    return TemporaryError("TargetUnreachable", retry_after=retry_after, host="ops.example", cause="refused")


def gone():
    """Give the error of a target that is gone for good."""
    return PermanentError("TargetRefused", host="ops.example", answer="410")


async def _pause_of(stage, name):
    """Give for how many seconds nothing is sent to a target."""
    async with stage.database.transaction(ALL) as transaction:
        until = await transaction.value("select not_before - now() from alert_routes where name = $1", name)
    return until.total_seconds()


@asynccontextmanager
async def _running(delivery):
    work = asyncio.create_task(delivery.run())
    try:
        yield work
    finally:
        work.cancel()
        await asyncio.wait([work])


# What fails is tried again.


async def test_a_target_that_is_away_is_tried_again(stage):
    """A message waits a while after an error that may pass, longer each time, and is shown at its target."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    stage.box.errors = [away() for _ in range(3)]
    for _ in range(3):
        await stage.drain()
        await stage.drain()
        await stage.make_due()

    target = await stage.targets.get(ALL, "ops")
    assert target.failure.reason == "TargetUnreachable"
    await stage.drain()
    assert len(stage.box.tried) == 4
    assert len({one.id for one in stage.box.tried}) == 1
    assert stage.sent() == [("acme/bot", "CrashLoop", False)]
    assert (await stage.targets.get(ALL, "ops")).failure is None


def test_pauses_grow_to_an_hour(stage):
    """The pause doubles from 5 s up to an hour, with some chance."""
    found = [stage.delivery()._pause(tries) for tries in (1, 2, 5, 12, 400)]
    for pause, middle in zip(found, (5, 10, 80, 3600, 3600), strict=True):
        assert 0.8 * middle <= pause <= min(1.2 * middle, 3600)
    assert stage.delivery(scale=0.01)._pause(1) <= 0.06


async def test_a_target_that_is_busy_is_left_alone(stage):
    """It is asked for the first of its messages only, and not before the time that it asked for; others are told."""
    await stage.target("busy")
    await stage.target("ops", reasons=("EngineUnreachable",))
    names = await stage.storm(10)
    stage.box.errors = [away(retry_after=300.0)]
    await stage.drain()
    await stage.drain()
    assert len(stage.box.tried) == 1
    assert 250 < await _pause_of(stage, "busy") <= 300

    await stage.store.report((), alerts=(AWAY,))
    await stage.drain()
    assert [one.reason for one in stage.box.sent] == ["EngineUnreachable"]
    await stage.make_due()
    await stage.drain()
    assert sorted(stage.sent()[1:]) == sorted(
        [("/", "EngineUnreachable", False)] + [(name, "CrashLoop", False) for name in names]
    )


async def test_a_target_that_is_away_is_asked_ever_more_rarely(stage):
    """The pause grows with each message that fails there, and ends with the first that arrives."""
    await stage.target("ops")
    await stage.storm(4)
    stage.box.errors = [away() for _ in range(3)]
    pauses = []
    for _ in range(3):
        await stage.drain()
        pauses.append(await _pause_of(stage, "ops"))
        await stage.execute("update alert_routes set not_before = null")

    assert [3 < pauses[0] <= 6, 7 < pauses[1] <= 12, 15 < pauses[2] <= 24] == [True, True, True]
    assert len({one.pod for one in stage.box.tried}) == 3
    await stage.drain()
    assert len(stage.box.sent) == 4


async def test_a_message_that_no_target_takes_holds_up_no_other(stage):
    """However often one message is refused, the others go out a few seconds later at most."""
    await stage.target("ops")
    stage.box.refused_pods, stage.box.refusal = {"bot"}, away()
    await stage.change("acme/bot", DOWN)
    for _ in range(8):
        await stage.drain()
        await stage.make_due()
    await stage.drain()
    assert await _pause_of(stage, "ops") <= 6

    await stage.storm(2)
    await stage.execute("update alert_routes set not_before = null")
    await stage.drain()

    assert sorted(one.pod for one in stage.box.sent) == ["bot-0", "bot-1"]
    assert ("ops", "raised", "pending") in await stage.deliveries()


@pytest.mark.parametrize(
    "error", [ConfigError([]), TemporaryError("TargetRefused", host="ops.example", answer="404")], ids=["wrong", "404"]
)
async def test_what_may_be_mended_is_no_end(stage, error):
    """A target that does not answer as it should is tried again, and shown as it is meanwhile."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    stage.box.errors = [error]
    await stage.drain()
    assert (await stage.targets.get(ALL, "ops")).failure is not None
    await stage.make_due()
    await stage.drain()

    assert await stage.deliveries() == [("ops", "raised", "delivered")]


async def test_a_secret_that_cannot_be_read_is_no_end(stage, monkeypatch):
    """Whoever took the key away may put it back."""
    await stage.target("ops", secret="pw")
    await stage.change("acme/bot", DOWN)

    async def unreadable(*_):
        raise PermanentError("SecretUnreadable", key="x")

    with monkeypatch.context() as patch:
        patch.setattr(stage.vault, "material", unreadable)
        await stage.drain()
    assert (await stage.targets.get(ALL, "ops")).failure.reason == "SecretUnreadable"
    await stage.make_due()
    await stage.drain()

    assert stage.sent() == [("acme/bot", "CrashLoop", False)]


# What is given up.


async def test_what_is_refused_for_good_fails_at_once(stage):
    """It is tried once, and its target says why."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    stage.box.errors = [gone()]
    await stage.drain()
    await stage.make_due()
    await stage.drain()

    assert len(stage.box.tried) == 1
    assert await stage.deliveries() == [("ops", "raised", "failed")]
    assert (await stage.targets.get(ALL, "ops")).failure.reason == "TargetRefused"


async def test_a_target_that_is_there_again_hears_what_is_still_wrong(stage):
    """After a test that arrives it is told what it refused, as far as that is not over; what waits goes out at once."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.change("globex/bot", DOWN)
    stage.box.errors = [gone(), gone()]
    await stage.drain()
    await stage.make_due()
    await stage.drain()
    await stage.change("globex/bot", OVER)
    await stage.change("globex/bot", GROWS)
    assert (await stage.targets.test(ALL, "ops")).failure is None

    await stage.drain()

    assert sorted(stage.sent()[1:]) == [("acme/bot", "CrashLoop", False), ("globex/bot", "MemoryGrowing", False)]


async def test_a_message_is_given_up_in_the_end(stage, monkeypatch):
    """After many tries in vain what is over has failed; that is an event, and nobody hears that it is over either."""
    monkeypatch.setattr(delivering, "PATIENCE", 2)
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    stage.box.errors = [away(), away()]
    await stage.drain()
    await stage.change("acme/bot", OVER)
    await stage.make_due()
    await stage.drain()

    assert await stage.deliveries() == [("ops", "raised", "failed"), ("ops", "recovered", "failed")]
    assert stage.sent() == []
    async with stage.database.transaction(ALL):
        told = [one for one in await events.latest() if one.reason == "AlertNotDelivered"]
    assert [(one.params["target"], one.params["attempts"]) for one in told] == [("ops", 2)]


async def test_what_is_still_wrong_is_never_given_up(stage, monkeypatch):
    """However often it was tried, whoever should know of it is told in the end."""
    monkeypatch.setattr(delivering, "PATIENCE", 2)
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    stage.box.errors = [away() for _ in range(5)]
    for _ in range(6):
        await stage.drain()
        await stage.make_due()

    assert await stage.deliveries() == [("ops", "raised", "delivered")]


async def test_nothing_is_given_up_for_its_age(stage):
    """After a day without power the first try may fail, and the message is not lost."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.change("acme/bot", OVER)
    await stage.execute("update alerts_outbox set created_at = now() - interval '25 hours'")
    stage.box.errors = [away()]
    await stage.drain()
    await stage.make_due()
    await stage.drain()

    assert stage.sent() == [("acme/bot", "CrashLoop", False), ("acme/bot", "CrashLoop", True)]


async def test_what_waits_for_a_target_that_stays_away_is_given_up_with_it(stage, monkeypatch):
    """A target that is away for good is not asked for each of its messages as often as for one."""
    monkeypatch.setattr(delivering, "PATIENCE", 3)
    await stage.target("ops")
    for name in await stage.storm(6):
        await stage.change(name, OVER)
    stage.box.errors = [away() for _ in range(4)]
    for _ in range(4):
        await stage.drain()
        await stage.execute("update alert_routes set not_before = null")

    assert {state for *_, state in await stage.deliveries()} == {"failed"}
    assert len(stage.box.tried) == 4


async def test_an_end_is_told_to_whoever_heard_of_a_part(stage, monkeypatch):
    """Of two alerts that end together the later one never arrived; the end speaks of the one that did."""
    monkeypatch.setattr(delivering, "PATIENCE", 1)
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.drain()
    await stage.change("acme/bot", HUNG)
    await stage.change("acme/bot", OVER, Clear(reason="Hung"))
    stage.box.errors = [away()]
    await stage.drain()
    await stage.make_due()
    await stage.drain()

    assert stage.sent() == [("acme/bot", "CrashLoop", False), ("acme/bot", "CrashLoop", True)]
    raised, over = stage.box.sent
    assert raised.alert_id == over.alert_id
    assert len(over.params["ends"]) == 2


# Order, and whose turn it is.


async def test_the_end_waits_for_the_beginning(stage):
    """While the first message of a pod waits, its end does too; other pods' go out."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    stage.box.errors = [away()]
    await stage.drain()
    await stage.change("acme/bot", OVER)
    await stage.change("globex/bot", DOWN)
    await stage.execute("update alert_routes set not_before = null")
    await stage.drain()
    assert stage.sent() == [("globex/bot", "CrashLoop", False)]

    await stage.make_due()
    await stage.drain()

    assert stage.sent()[1:] == [("acme/bot", "CrashLoop", False), ("acme/bot", "CrashLoop", True)]


async def test_a_clock_that_is_set_back_stops_and_turns_nothing(stage):
    """What was put off by the old time is due, and what was written later by the new time is sent later."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.change("acme/bot", OVER)
    await stage.execute("update alerts_outbox set due_at = now() + interval '1 day'")
    await stage.execute("update alert_routes set not_before = now() + interval '1 day'")
    await stage.execute("update alerts_outbox set created_at = now() - interval '1 day' where kind = 'recovered'")

    await stage.drain()

    assert stage.sent() == [("acme/bot", "CrashLoop", False), ("acme/bot", "CrashLoop", True)]


async def test_a_slow_target_holds_up_nobody(stage):
    """While one target takes its time, the others are told."""
    stage.box.hold = asyncio.Event()
    await stage.target("slow", secret="pw")
    await stage.target("quick")
    await stage.change("acme/bot", DOWN)
    async with _running(stage.delivery()):
        await eventually(lambda: len(stage.box.sent) == 1)
        await stage.change("globex/bot", DOWN)
        await eventually(lambda: len(stage.box.sent) == 2)
        assert sorted(stage.sent()) == [("acme/bot", "CrashLoop", False), ("globex/bot", "CrashLoop", False)]
        stage.box.hold.set()
        await eventually(lambda: len(stage.box.sent) == 4)


async def test_targets_that_never_answer_leave_turns_to_others(stage):
    """However many of them a tenant has, one more of the platform's and one of another tenant are told."""
    stage.box.hold = asyncio.Event()
    acme, globex = await stage.theirs("acme"), await stage.theirs("globex")
    for number in range(OF_A_TENANT + 2):
        await stage.target(f"a-slow-{number}", scope=acme, secret="pw")
    await stage.target("own", scope=globex)
    await stage.target("ops")
    for pod in ("acme/bot", "globex/bot"):
        await stage.change(pod, DOWN)
    async with _running(stage.delivery()):
        await eventually(lambda: len(stage.box.sent) == 3 and len(stage.box.tried) == 3 + OF_A_TENANT)
        await stage.change("globex/bot", HUNG)
        await eventually(lambda: len(stage.box.sent) == 5, seconds=8)

    assert len(stage.box.tried) == 5 + OF_A_TENANT


async def test_a_turn_is_for_one_message():
    """Whoever waits for a turn has it after the one message of whoever had it, in the order of asking."""
    turns, order = Turns(), []

    async def talk(name):
        for _ in range(2):
            async with turns.taken("tenant"):
                order.append(name)
                await asyncio.sleep(0)

    await asyncio.gather(*(talk(number) for number in range(OF_A_TENANT + 1)))

    assert order.index(OF_A_TENANT) <= OF_A_TENANT


# Whatever happens, it goes on.


async def test_a_message_that_was_cut_short_is_sent_by_the_next_leader(stage):
    """A process that ends between sending and crossing out leads to a second copy with the same id, never to none."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    first = stage.delivery()

    async def never(*_):
        await asyncio.get_running_loop().create_future()

    first._note = never
    async with _running(first):
        await eventually(lambda: len(stage.box.sent) == 1)
    await stage.store.step_down("one")
    await stage.lead("two")

    await stage.drain()
    await stage.drain()

    assert len({one.id for one in stage.box.sent}) == 1
    assert len(stage.box.sent) == 2
    assert await stage.deliveries() == [("ops", "raised", "delivered")]


async def test_who_does_not_lead_sends_nothing(stage):
    """A stale leader cannot take a message."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.store.step_down("one")

    async with _running(stage.delivery()) as work:
        assert await asyncio.wait([work], timeout=1.5) == (set(), {work})

    assert stage.box.tried == []


async def test_it_runs_by_itself(stage):
    """A loop that follows the database's hints tells a change within a moment, and the next one too."""
    listener = Listener(stage.database)
    await stage.target("ops")
    async with _running(stage.delivery(follow=lambda: listener.follow("alerts"))):
        await stage.change("acme/bot", DOWN)
        await eventually(lambda: len(stage.box.sent) == 1, seconds=3)
        await stage.change("acme/bot", OVER)
        await eventually(lambda: len(stage.box.sent) == 2, seconds=3)
    await listener.close()


async def test_it_ends_when_it_is_told_to_in_the_midst_of_news(stage):
    """The order to end is not lost when it comes with the hint that there is something to do."""
    work = asyncio.create_task((delivery := stage.delivery()).run())
    await eventually(lambda: bool(delivery._woken._waiters))
    delivery._woken.set()
    await asyncio.sleep(0)
    work.cancel()
    done, _ = await asyncio.wait([work], timeout=3)
    # Were it not over by now, this would end it.
    work.cancel()

    assert done == {work}


async def test_a_mishap_after_sending_does_not_send_it_again_at_once(stage, monkeypatch):
    """What arrived and could not be crossed out is not sent without pause, and others are told meanwhile."""
    await stage.target("ops", reasons=("CrashLoop",))
    await stage.target("other", reasons=("EngineUnreachable",))
    await stage.change("acme/bot", DOWN)
    delivered = sending.delivered

    async def broken(messages, rest):
        if messages[0].target.name == "ops":
            raise RuntimeError("a mistake of ours")
        await delivered(messages, rest)

    monkeypatch.setattr(sending, "delivered", broken)
    listener = Listener(stage.database)
    async with _running(stage.delivery(follow=lambda: listener.follow("alerts"))) as work:
        await eventually(lambda: len(stage.box.sent) == 1)
        await stage.store.report((), alerts=(AWAY,))
        await eventually(lambda: len(stage.box.sent) == 2, seconds=3)
        assert not work.done()
    await listener.close()

    assert [one.reason for one in stage.box.sent] == ["CrashLoop", "EngineUnreachable"]


async def test_a_database_that_refuses_ends_nothing(stage, monkeypatch):
    """When it lets the server in again, people are told."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    transaction = stage.database.transaction
    refusals = [PermanentError("DatabaseRefused", where="x", problem="password"), RuntimeError("a mistake of ours")]

    def refusing(scope):
        if refusals:
            raise refusals.pop()
        return transaction(scope)

    monkeypatch.setattr(stage.database, "transaction", refusing)
    async with _running(stage.delivery()) as work:
        await eventually(lambda: len(stage.box.sent) == 1)
        assert not work.done()


# How many messages.


async def test_a_storm_has_as_many_messages_as_causes(stage):
    """Fifty pods that fail at once are fifty messages to a program, each once, whatever else goes on."""
    await stage.target("ops")
    names = await stage.storm(50)
    await asyncio.gather(stage.drain(), *(stage.change(name, DOWN) for name in names[:10]))
    await stage.drain()

    assert sorted(stage.sent()) == sorted((name, "CrashLoop", False) for name in names)


async def test_people_get_one_message_of_many_alerts(stage):
    """What waits for a target that people read is told in one message, and all of it is crossed out."""
    await stage.target("people", kind="mail")
    names = await stage.storm(30)
    await stage.drain()

    (told,) = stage.mail.sent
    assert sorted(f"{one.tenant}/{one.pod}" for one in told.alerts) == sorted(names)
    assert set(await stage.deliveries()) == {("people", "raised", "delivered")}


async def test_people_are_left_in_peace_between_two_messages(stage):
    """What comes right after a message waits for a minute, and what comes meanwhile is told with it."""
    await stage.target("people", kind="mail")
    await stage.change("acme/bot", DOWN)
    await stage.drain()
    await stage.change("globex/bot", DOWN)
    await stage.drain()
    await stage.change("globex/bot", HUNG)
    await stage.drain()
    assert len(stage.mail.sent) == 1
    assert 50 < await _pause_of(stage, "people") <= 60

    await stage.make_due()
    await stage.drain()

    assert [len(one.alerts) for one in stage.mail.sent] == [0, 2]


async def test_what_was_sent_together_in_vain_waits_together(stage):
    """One failure is one try of all that was in the message."""
    await stage.target("people", kind="mail")
    await stage.storm(3)
    stage.mail.errors = [away()]
    await stage.drain()
    assert await _pause_of(stage, "people") <= 6
    await stage.make_due()
    await stage.drain()

    assert [len(one.alerts) for one in stage.mail.tried] == [3, 3]
    assert set(await stage.deliveries()) == {("people", "raised", "delivered")}
    assert (await stage.targets.get(ALL, "people")).failures == 0
