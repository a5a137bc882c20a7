"""Several alerts in one message to people, on a real PostgreSQL: what is over by then, and one that nobody takes."""

from __future__ import annotations

import pytest

from agentpod_core.errors import TemporaryError
from agentpod_core.values.alerts import Clear, Raise
from agentpod_core.values.status import Severity
from agentpod_server.services.alerts.testing import DOWN

BLOCKED = Raise(reason="Blocked", severity=Severity.ERROR)
OVER = Clear(reason="CrashLoop")


def away():
    """Give the error of a target that cannot be reached."""
    return TemporaryError("TargetUnreachable", host="mail.example", cause="refused")


def lines(message):
    """Give what a message says, line by line."""
    return [(one.pod, one.reason, one.recovered) for one in message.alerts or [message]]


async def test_what_is_over_when_it_is_told_is_told_as_over(stage):
    """After a pause people read how things are: not first that all is down, and a minute later that it was not."""
    await stage.target("people", kind="mail")
    await stage.execute("update alert_routes set is_paused = true")
    for name in await stage.storm(3):
        await stage.change(name, OVER)
    await stage.change("acme/bot-2", BLOCKED)
    await stage.execute("update alert_routes set is_paused = false")
    await stage.drain()

    (told,) = stage.mail.sent
    assert lines(told) == [
        ("bot-2", "Blocked", False),
        ("bot-0", "CrashLoop", True),
        ("bot-1", "CrashLoop", True),
        ("bot-2", "CrashLoop", True),
    ]
    assert {state for *_, state in await stage.deliveries()} == {"delivered"}


async def test_an_end_is_not_told_with_a_beginning_that_waits(stage):
    """What follows a message that is put off waits for it, however many there are; other pods' go out."""
    await stage.target("people", kind="mail")
    await stage.change("acme/bot", DOWN)
    await stage.execute("update alerts_outbox set due_at = now() + interval '1 minute'")
    await stage.change("acme/bot", OVER)
    await stage.change("acme/bot", BLOCKED)
    await stage.change("globex/bot", DOWN)
    await stage.drain()

    assert [lines(one) for one in stage.mail.sent] == [[("bot", "CrashLoop", False)]]
    assert stage.mail.sent[0].tenant == "globex"


@pytest.mark.parametrize("bad", [{"bot-0"}, {"bot-2", "bot-7"}, {f"bot-{number}" for number in range(6)}], ids=len)
async def test_messages_that_nobody_takes_hold_up_no_other(stage, bad):
    """However many of those that wait are refused, the others arrive, and what comes later does within seconds."""
    await stage.target("people", kind="mail")
    await stage.storm(12)
    send = stage.mail.send

    async def filtered(alert, target, material):
        stage.mail.tried.append(alert)
        if bad.intersection(one.pod for one in alert.alerts or [alert]):
            raise away()
        await send(alert, target, material)

    stage.mail.send = filtered
    for _ in range(60):
        await stage.drain()
        # Every pause is over, in the order of their ends.
        await stage.execute("""
            update alert_routes set not_before = null;
            update alerts_outbox set due_at = due_at - (
                select min(due_at) - now() from alerts_outbox where state = 'pending' and due_at > now())
            where state = 'pending' and not exists (
                select from alerts_outbox where state = 'pending' and due_at <= now());
        """)

    arrived = {pod for message in stage.mail.sent for pod, *_ in lines(message)}
    assert arrived == {f"bot-{number}" for number in range(12)} - bad


async def test_one_that_cannot_be_worded_is_told_by_its_title(stage):
    """It arrives with the others, and alone."""
    await stage.target("people", kind="mail")
    await stage.storm(2)
    odd = Raise(
        reason="MemoryGrowing", severity=Severity.WARNING, params={"memory": -5, "limit": 10**400, "minutes": 1}
    )
    await stage.change("acme/bot", odd)
    await stage.drain()
    assert {pod for pod, *_ in lines(stage.mail.sent[0])} == {"bot", "bot-0", "bot-1"}

    await stage.make_due()
    await stage.change("globex/bot", odd)
    await stage.drain()

    assert stage.mail.sent[1].title == "globex/bot: Memory is growing"
    assert stage.mail.sent[1].text


async def test_a_short_outage_tears_nothing_apart(stage):
    """A mail server that is away for a minute is told of all that waited in one message."""
    await stage.target("people", kind="mail")
    await stage.storm(5)
    stage.mail.errors = [away() for _ in range(4)]
    for _ in range(5):
        await stage.drain()
        await stage.make_due()

    assert [len(one.alerts) for one in stage.mail.sent] == [5]


async def test_after_a_long_outage_all_comes_in_two_messages(stage):
    """What is sent to see whether somebody is there names one pod; the rest follows in one."""
    await stage.target("people", kind="mail")
    for name in await stage.storm(5):
        await stage.change(name, OVER)
    stage.mail.errors = [away() for _ in range(20)]
    for _ in range(23):
        await stage.drain()
        await stage.make_due()

    assert [[one[1:] for one in lines(message)] for message in stage.mail.sent] == [
        [("CrashLoop", True)],
        [("CrashLoop", True)] * 4,
    ]
