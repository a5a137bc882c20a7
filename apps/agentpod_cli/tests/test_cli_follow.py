"""Following: how events and logs that go on are written, and what ends them."""

from __future__ import annotations

import json

import pytest

from agentpod_client import following

SSE = "text/event-stream"


def frame(event):
    """Write an event as a frame of the stream."""
    return f": keep\n\nid: {event['seq']}\ndata: {json.dumps(event)}\n\n"


def test_logs_without_follow_end_by_themselves(agentpod, server):
    """What was written so far, and no more."""
    path = "/tenants/acme/pods/support/logs"
    server.on("GET", path, chunks=["one\n", "二\n"], media="text/plain; charset=utf-8")
    ended = agentpod("pod", "logs", "acme/support", "--tail", "5")
    assert (ended.code, ended.out) == (0, "one\n二\n")
    assert server.requests[0].query == {"tail": "5"}


def test_a_line_that_is_lost_is_told_once(agentpod, server, make_event, monkeypatch):
    """Who follows sees that the server was away."""
    monkeypatch.setattr(following, "_PAUSES", (0.0,))
    server.items("/events", make_event(1))
    server.on("GET", "/events", chunks=[frame(make_event(2))], media=SSE)
    for _ in range(2):
        server.refuse("GET", "/events", 503, "StoreUnreachable")
    server.refuse("GET", "/events", 403, "Forbidden")
    ended = agentpod("events", "-f", "-o", "name")
    assert ended.out == "1\n2\n"
    assert ended.err.count("The connection is lost; trying again.") == 1


def test_logs_of_no_pod_are_3(agentpod, server):
    """With and without following."""
    server.refuse("GET", "/tenants/acme/pods/support/logs", 404, "PodNotFound")
    assert agentpod("pod", "logs", "acme/support").code == 3
    assert agentpod("pod", "logs", "-f", "acme/support").code == 3


def test_followed_events_are_lines(agentpod, server, make_event):
    """Those so far come first; then those that come; JSON is one object a line."""
    server.items("/events", make_event(1))
    server.on("GET", "/events", chunks=[frame(make_event(2))], media=SSE)
    server.refuse("GET", "/events", 403, "Forbidden")
    ended = agentpod("events", "-f", "-o", "json")
    assert [json.loads(line)["seq"] for line in ended.out.splitlines()] == [1, 2]
    assert ended.code == 6
    assert server.requests[1].query["after"] == "1"


@pytest.mark.parametrize(
    ("output", "line"), [("table", "2026-03-01 11:00:00  info  acme/support  PodReady  Event 1."), ("name", "1")]
)
def test_followed_events_are_one_line_each_in_every_format(agentpod, server, make_event, output, line):
    """A follower's lines need no table."""
    server.items("/events", make_event(1))
    server.refuse("GET", "/events", 403, "Forbidden")
    assert agentpod("events", "-f", "-o", output).out == f"{line}\n"


def test_a_pods_events_need_the_pod(agentpod, server):
    """A name that does not exist is told, instead of an empty list."""
    server.refuse("GET", "/tenants/acme/pods/support", 404, "PodNotFound")
    assert agentpod("pod", "events", "acme/support").code == 3
    assert agentpod("events", "--pod", "support").code == 2
