"""Silences and notifiers: what is sent, what is said, and what is refused before anything is sent."""

from __future__ import annotations

import json

import pytest

SILENCE = {
    "id": "s-1",
    "owner": None,
    "tenant": "acme",
    "pod": "support",
    "reason": None,
    "comment": "",
    "ends_at": "2026-03-01T14:00:00Z",
    "created_at": "2026-03-01T12:00:00Z",
    "created_by": "admin",
}
NOTIFIER = {
    "name": "ops",
    "tenant": None,
    "kind": "webhook",
    "config": {"url": {"$secret": True}, "key": {"$secret": True}},
    "min_severity": "warning",
    "reasons": [],
    "paused": False,
    "generation": 1,
    "trouble": None,
    "delivered_at": None,
    "created_at": "2026-03-01T12:00:00Z",
    "created_by": "admin",
}
TROUBLE = {"reason": "TargetUnreachable", "message": "It cannot be reached.", "repair": "Look whether it answers."}


def test_a_listing_of_alerts_is_of_the_open_ones(agentpod, server):
    """What is over is shown when it is asked for."""
    server.items("/alerts")
    agentpod("alert", "list", "--severity", "error", "--tenant", "acme")
    agentpod("alert", "list", "--all")
    agentpod("alert", "list", "--tenant", "acme", "--pod", "support")
    asked = [one.query for one in server.requests]
    assert [(one.get("status"), one.get("severity"), one.get("tenant"), one.get("pod")) for one in asked] == [
        ("open", "error", "acme", None),
        (None, None, None, None),
        ("open", None, "acme", "support"),
    ]
    assert (agentpod("alert", "list", "--pod", "support").code, len(server.requests)) == (2, 3)


def test_a_pod_is_silenced_for_a_while(agentpod, server):
    """The end is counted from now; the answer says how to end it sooner."""
    server.on("POST", "/alerts/silences", SILENCE, status=201)
    ended = agentpod("alert", "silence", "acme/support", "--for", "2h", "--comment", "new model")
    assert (ended.code, ended.err) == (0, "")
    assert "agentpod alert silence --end s-1" in ended.out
    assert server.requests[0].body == {
        "ends_at": "2026-03-01T14:00:00+00:00",
        "tenant": "acme",
        "pod": "support",
        "reason": None,
        "comment": "new model",
    }


def test_a_tenant_or_a_reason_is_silenced(agentpod, server):
    """Of a tenant all, or of all tenants one reason; scripts get what was made."""
    server.on("POST", "/alerts/silences", SILENCE, status=201)
    ended = agentpod("alert", "silence", "--tenant", "acme", "--reason", "Hung", "--for", "3d", "-o", "json")
    assert json.loads(ended.out) == SILENCE
    assert server.requests[0].body["tenant"] == "acme"
    assert server.requests[0].body["reason"] == "Hung"
    assert agentpod("alert", "silence", "--reason", "Hung", "--for", "3d", "-o", "name").out == "s-1\n"


def test_a_silence_is_ended(agentpod, server):
    """By the id that the listing shows."""
    server.on("DELETE", "/alerts/silences/s-1", None, status=204)
    assert agentpod("alert", "silence", "--end", "s-1").out == "Silence s-1 is ended.\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("acme/support",), "--for"),
        (("acme/support", "--tenant", "acme", "--for", "1h"), "not both"),
        (("acme/support", "--list"), "--list stands alone"),
        (("--list", "--tenant", "acme"), "--list stands alone"),
        (("--list", "--end", "s-1"), "--list stands alone"),
        (("--end", "s-1", "--for", "1h"), "--end stands alone"),
        (("--end", "s-1", "--reason", "Hung"), "--end stands alone"),
        (("--end", "s-1", "--comment", "x"), "--end stands alone"),
    ],
)
def test_what_cannot_be_meant_is_not_sent(agentpod, server, options, said):
    """A silence without an end or about two things, and one that would be left out without a word, is a slip."""
    ended = agentpod("alert", "silence", *options)
    assert (ended.code, server.requests) == (2, [])
    assert said in ended.err


def test_a_notifier_is_added_with_its_secret_from_a_file(agentpod, server, tmp_path):
    """Settings and secrets go apart; the secret never stands on the command line."""
    (tmp_path / "key").write_text("whsec_1234\n")
    server.on("POST", "/notifiers", NOTIFIER, status=201)
    options = ("--set", "colour=red", "--secret", f"key=@{tmp_path / 'key'}", "--reason", "Hung")
    ended = agentpod("notifier", "add", "ops", "--kind", "webhook", *options, "--min-severity", "error")
    assert (ended.code, ended.out) == (0, "Notifier ops is added.\n")
    assert "agentpod notifier test ops" in ended.err
    assert server.requests[0].body == {
        "name": "ops",
        "kind": "webhook",
        "tenant": None,
        "set": {"colour": "red"},
        "secrets": {"key": "whsec_1234"},
        "min_severity": "error",
        "reasons": ["Hung"],
    }
    refused = agentpod("notifier", "add", "ops", "--kind", "webhook", "--secret", "key=whsec_1234")
    assert (refused.code, "whsec_1234" in refused.err) == (2, False)


def test_a_test_says_what_came_of_it(agentpod, server):
    """What was taken is said with its time; what was not fails with its cause and what to do."""
    server.on("POST", "/notifiers/ops/test", {"delivered": True, "seconds": 0.21, "trouble": None})
    assert agentpod("notifier", "test", "ops").out == "Notifier ops took the test message after 0.2 s.\n"
    server.on("POST", "/notifiers/bad/test", {"delivered": False, "seconds": 5.0, "trouble": TROUBLE})
    ended = agentpod("notifier", "test", "bad", "--tenant", "acme")
    assert (ended.code, ended.out) == (1, "")
    assert "It cannot be reached." in ended.err
    assert "Look whether it answers." in ended.err
    assert server.requests[-1].query["tenant"] == "acme"


def change(agentpod, server, *options, **answer):
    """Change the notifier that the server has; gives how it ended, and what was asked for."""
    server.on("GET", "/notifiers/ops", NOTIFIER, headers={"ETag": '"1"'})
    server.on("PATCH", "/notifiers/ops", NOTIFIER | answer)
    return agentpod("notifier", "set", "ops", *options), server.requests[-1]


def test_a_notifier_is_changed(agentpod, server, tmp_path):
    """What is named is sent, for the generation that there is; secrets come from files."""
    (tmp_path / "key").write_text("whsec_1234\n")
    options = ("--set", "a=b", "--secret", f"key=@{tmp_path / 'key'}", "--unset", "next_key", "--unset", "x.y")
    options += ("--unset", "x.yz")
    more = ("--min-severity", "error", "--reason", "Hung", "--reason", "Blocked", "--tenant", "acme")
    ended, asked = change(agentpod, server, *options, *more)
    assert (ended.code, ended.out) == (0, "Notifier ops is changed.\n")
    assert (asked.headers["if-match"], asked.query["tenant"]) == ('"1"', "acme")
    assert asked.body == {
        "config": {"next_key": None, "x": {"y": None, "yz": None}},
        "set": {"a": "b"},
        "secrets": {"key": "whsec_1234"},
        "min_severity": "error",
        "reasons": ["Hung", "Blocked"],
    }


def test_a_notifier_is_paused(agentpod, server):
    """The answer says that nothing is lost, and going on is as short."""
    ended, asked = change(agentpod, server, "--pause", paused=True)
    assert (ended.out, asked.body) == ("Notifier ops is paused: what it is to be told waits.\n", {"paused": True})
    ended, asked = change(agentpod, server, "--resume", "--all-reasons", "-o", "name")
    assert (ended.out, asked.body) == ("ops\n", {"paused": False, "reasons": []})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "say what to change"),
        (("--reason", "Hung", "--all-reasons"), "not both"),
        (("--set", "a=b", "--unset", "a"), "given twice"),
        (("--unset", "a", "--unset", "a"), "given twice"),
        (("--unset", "a", "--unset", "a.b"), "a.b lies within a"),
        (("--unset", "a.b.c", "--unset", "a.b"), "a.b.c lies within a.b"),
        (("--unset", "a.b", "--unset", "a.b.c.d"), "a.b.c.d lies within a.b"),
        (("--set", "a.b=1", "--unset", "a"), "a.b lies within a"),
        (("--set", "a=1", "--unset", "a.b"), "a.b lies within a"),
    ],
)
def test_a_change_that_cannot_be_meant_is_not_sent(agentpod, server, options, said):
    """Nothing to change, or two things of the same field, is a slip."""
    ended = agentpod("notifier", "set", "ops", *options)
    assert (ended.code, server.requests) == (2, [])
    assert said in ended.err


def test_removing_asks_first(agentpod, server):
    """Who was told is told no more, so nobody does it by a slip."""
    server.on("DELETE", "/notifiers/ops", None, status=204)
    assert agentpod("notifier", "remove", "ops").code != 0
    assert server.requests == []
    assert agentpod("notifier", "remove", "ops", "--yes").out == "Notifier ops is removed.\n"


def test_a_tenant_with_open_alerts_says_so(agentpod, server):
    """The status counts them and says where they are."""
    status = {"slug": "acme", "wanted": "running", "total": 0, "ready": 0, "phases": {}, "pods": []}
    server.on("GET", "/tenants/acme/status", status | {"open_alerts": 2})
    assert (
        "Open alerts: 2. See them with: agentpod alert list --tenant acme" in agentpod("tenant", "status", "acme").out
    )
