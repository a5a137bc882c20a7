"""How several alerts that wait for one target become one message."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from agentpod_core.values.status import Severity
from agentpod_server.alert_records import AlertRecord, MessageKind, MessageRecord, TargetRecord
from agentpod_server.services.alerts import Wording

BEGAN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
WORDING = Wording(dashboard="https://agentpod.example/dashboard")
TARGET = TargetRecord(
    id="target",
    tenant_id=None,
    tenant="",
    name="ops",
    kind="mail",
    settings={},
    min_severity=Severity.INFO,
    reasons=(),
    is_paused=False,
    generation=1,
    failure=None,
    failures=0,
    failed_message=None,
    delivered_at=None,
    created_at=BEGAN,
    created_by="admin",
)
NUMBERS = itertools.count()


def told(pod, severity=Severity.ERROR, *, tenant="acme", ends=(), minutes=0, alert_id=None):
    """Give a message: with ``ends``, that these alerts are over."""
    alert = AlertRecord(
        id=alert_id or f"alert-{pod}",
        tenant=tenant,
        pod=pod,
        reason="CrashLoop",
        subject="",
        severity=severity,
        params={},
        raised_at=BEGAN + timedelta(minutes=minutes),
        cleared_at=BEGAN + timedelta(hours=1) if ends else None,
    )
    return MessageRecord(
        id=f"message-{next(NUMBERS)}",
        kind=MessageKind.RECOVERED if ends else MessageKind.RAISED,
        attempts=1,
        created_at=BEGAN,
        alert=alert,
        pod_id="0199",
        target=TARGET,
        ends=ends,
    )


def test_the_worst_comes_first():
    """What is wrong stands before what is over, the worse before the lesser, the older before the newer."""
    messages = [
        told("over", ends=("alert-over",)),
        told("mild", Severity.WARNING),
        told("later", minutes=5),
        told("first"),
    ]
    made = WORDING.together(messages)
    assert made.text.splitlines() == [
        "acme/first: Crash loop",
        "acme/later: Crash loop",
        "acme/mild: Crash loop",
        "acme/over is well again: Crash loop",
    ]
    assert (made.id, made.severity, made.tenant, made.pod) == (messages[0].id, Severity.ERROR, "acme", "")
    assert (made.title, made.recovered) == ("AgentPod: alerts: 3, over: 1", False)
    assert [one.pod for one in made.alerts] == ["first", "later", "mild", "over"]
    assert made.url == "https://agentpod.example/dashboard"


def test_many_are_counted():
    """Fifty are named, the others counted; of several tenants it is about none."""
    made = WORDING.together([told(f"pod-{number}", tenant=f"t-{number % 2}") for number in range(57)])
    *named, last = made.text.splitlines()
    assert (len(named), last) == (50, "… and 7 more; `agentpod alert list` shows them.")
    assert (made.title, made.tenant, len(made.alerts)) == ("AgentPod: alerts: 57", "", 57)


def test_a_list_has_room_for_so_much():
    """Chats take messages up to some length: long names take the place of others, and none is cut."""
    made = WORDING.together([told("p" * 28 + f"{number:02}", tenant="t" * 30) for number in range(50)])
    *named, last = made.text.splitlines()
    assert len(made.text) < 3600
    assert {len(line) for line in named} == {len("t" * 30 + "/" + "p" * 30 + ": Crash loop")}
    assert last == f"… and {50 - len(named)} more; `agentpod alert list` shows them."


def test_what_began_and_ended_is_told_as_over():
    """Nobody has to read that it began when it is over by now."""
    messages = [
        told("bot"),
        told("bot", alert_id="another"),
        told("bot", alert_id="another", ends=("another", "alert-bot")),
    ]
    made = WORDING.together([*messages, told("model", ends=("alert-model",))])
    assert made.text.splitlines() == ["acme/bot is well again: Crash loop", "acme/model is well again: Crash loop"]
    assert (made.title, made.recovered, made.severity) == ("AgentPod: alerts that are over: 2", True, Severity.INFO)


def test_one_that_is_left_is_told_as_itself():
    """A list of one is no list."""
    messages = [told("bot"), told("bot", ends=("alert-bot",))]
    made = WORDING.together(messages)
    assert (made.title, made.alerts, made.id) == ("acme/bot is well again: Crash loop", (), messages[0].id)
