"""Following: nothing is lost or doubled over a cut connection, and a stream that never was is an error."""

from __future__ import annotations

import json

import pytest

from agentpod_cli import follow, sse
from agentpod_cli.client import Client
from agentpod_cli.errors import CliError, ServerError
from agentpod_cli.target import Target

SSE = "text/event-stream"


@pytest.fixture
def client(server):
    """Give a client of the fake server."""
    made = Client(Target(server=server.url))
    yield made
    made.close()


def frame(event):
    """Write an event as a frame of the stream."""
    return f": keep\n\nid: {event['seq']}\ndata: {json.dumps(event)}\n\n"


def taken(stream, count):
    """Take so many items and leave."""
    found = [next(stream) for _ in range(count)]
    stream.close()
    return found


def test_events_go_on_where_they_were_cut(client, server, make_event):
    """The last number is sent, and what comes twice is told once."""
    server.on("GET", "/events", chunks=[frame(make_event(5)), 'id: 6\ndata: {"seq"'], media=SSE)
    server.on("GET", "/events", chunks=["event: lost\ndata: {}\n\n"], media=SSE)
    server.on("GET", "/events", chunks=[frame(make_event(5)), frame(make_event(6)), frame(make_event(7))], media=SSE)
    lost, slept = [], []
    stream = follow.events(client, tenant="acme", pod=None, after=4, lost=lambda: lost.append(1), sleep=slept.append)
    assert [event["seq"] for event in taken(stream, 3)] == [5, 6, 7]
    assert [one.headers.get("last-event-id") for one in server.requests] == ["4", "5", "5"]
    assert server.requests[1].query == {"tenant": "acme", "after": "5"}
    assert server.requests[0].headers["accept"] == SSE
    assert len(slept) == 2


def test_a_server_that_goes_away_is_waited_for_and_told_once(client, server, make_event):
    """A restart of the server is a short note, not an end."""
    server.on("GET", "/events", chunks=[frame(make_event(1))], media=SSE)
    server.refuse("GET", "/events", 503, "StoreUnreachable")
    server.refuse("GET", "/events", 503, "StoreUnreachable")
    server.on("GET", "/events", chunks=[frame(make_event(2))], media=SSE)
    lost, slept = [], []
    stream = follow.events(client, tenant=None, pod=None, after=0, lost=lambda: lost.append(1), sleep=slept.append)
    assert len(taken(stream, 2)) == 2
    assert len(slept) == 3
    assert slept == sorted(slept)


def test_a_refusal_ends_the_following(client, server, make_event):
    """A tenant that was deleted, a token that was revoked: no endless tries."""
    server.on("GET", "/events", chunks=[frame(make_event(1))], media=SSE)
    server.refuse("GET", "/events", 404, "TenantNotFound")
    stream = follow.events(client, tenant="acme", pod=None, after=0, lost=lambda: None, sleep=lambda _: None)
    next(stream)
    with pytest.raises(ServerError):
        next(stream)


def test_a_server_that_was_never_there_is_an_error():
    """The first connection has to work."""
    client = Client(Target(server="http://127.0.0.1:9"))
    with pytest.raises(CliError):
        next(follow.events(client, tenant=None, pod=None, after=0, lost=lambda: None, sleep=lambda _: None))
    client.close()


def test_logs_go_on_after_the_container_ended(client, server):
    """The lines of the next start are told, those before are not told again."""
    path = "/tenants/acme/pods/support/logs"
    server.on("GET", path, chunks=["one\ntwo\n"], media="text/plain")
    server.refuse("GET", path, 404, "NoContainer")
    server.on("GET", path, chunks=["three\n"], media="text/plain")
    stream = follow.logs(client, path, tail=2, lost=lambda: None, sleep=lambda _: None)
    assert taken(stream, 3) == ["one", "two", "three"]
    first, _, third = (one.query for one in server.requests)
    assert first == {"follow": "true", "tail": "2"}
    assert "tail" not in third
    assert third["since"].endswith("Z")


def test_logs_without_follow_end_by_themselves(agentpod, server):
    """What was written so far, and no more."""
    path = "/tenants/acme/pods/support/logs"
    server.on("GET", path, chunks=["one\n", "二\n"], media="text/plain; charset=utf-8")
    ended = agentpod("pod", "logs", "acme/support", "--tail", "5")
    assert (ended.code, ended.out) == (0, "one\n二\n")
    assert server.requests[0].query == {"tail": "5"}


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


def test_an_event_stream_is_read_by_the_standard():
    """Comments, several data lines, fields without a value, an unfinished message at the end."""
    lines = [": hi", "", "id: 7", "event: news", "data: a", "data:b", "retry: 5", "", "data", "", "data: unfinished"]
    found = [(one.event, one.data, one.id) for one in sse.messages(lines)]
    assert found == [("news", "a\nb", "7"), ("message", "", "7")]
