"""Following: nothing is lost or doubled over a cut connection, and a stream that never was is an error."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from agentpod_client import ApiError, Client, UnreachableError, sse
from agentpod_client.testing import an_event

SSE = "text/event-stream"
LOGS = "/tenants/acme/pods/support/logs"


def frame(event):
    """Write an event as a frame of the stream."""
    return f": keep\n\nid: {event['seq']}\ndata: {json.dumps(event)}\n\n"


def taken(stream, count):
    """Take so many items and leave."""
    found = [next(stream) for _ in range(count)]
    stream.close()
    return found


def test_events_go_on_where_they_were_cut(client, server, clock):
    """The last number is sent, and what comes twice is told once."""
    server.on("GET", "/events", chunks=[frame(an_event(5)), 'id: 6\ndata: {"seq"'], media=SSE)
    server.on("GET", "/events", chunks=["event: lost\ndata: {}\n\n"], media=SSE)
    server.on("GET", "/events", chunks=[frame(an_event(5)), frame(an_event(6)), frame(an_event(7))], media=SSE)
    stream = client.follow_events(tenant="acme", after=4)
    assert [event["seq"] for event in taken(stream, 3)] == [5, 6, 7]
    assert [one.headers.get("last-event-id") for one in server.requests] == ["4", "5", "5"]
    assert server.requests[1].query == {"tenant": "acme", "after": "5"}
    assert server.requests[0].headers["accept"] == SSE
    assert len(clock.slept) == 2


def test_events_that_are_kept_no_longer_are_not_missed_in_silence(client, server):
    """Who asks for some that are gone is told, and gets what is left."""
    server.on("GET", "/events", chunks=["event: missed\ndata: {}\n\n", frame(an_event(90))], media=SSE)
    missed = []
    stream = client.follow_events(after=4, missed=lambda: missed.append(1))
    assert [event["seq"] for event in taken(stream, 1)] == [90]
    assert missed == [1]


def test_a_server_that_goes_away_is_waited_for_and_told_once(client, server, clock):
    """A restart of the server is a short note, not an end."""
    server.on("GET", "/events", chunks=[frame(an_event(1))], media=SSE)
    server.refuse("GET", "/events", 503, "StoreUnreachable")
    server.on("GET", "/events", "<html>Bad Gateway</html>", status=502, media="text/html")
    server.on("GET", "/events", chunks=[frame(an_event(2))], media=SSE)
    lost = []
    stream = client.follow_events(after=0, lost=lambda: lost.append(1))
    assert len(taken(stream, 2)) == 2
    assert lost == [1]
    assert len(clock.slept) == 3
    assert clock.slept == sorted(clock.slept)


def test_new_events_are_followed_from_a_number_too(client, server):
    """What happens while the line is cut before the first event came is not lost."""
    server.on("GET", "/events", {"items": [an_event(41)], "next": None})
    server.on("GET", "/events", chunks=[": keep\n\n"], media=SSE)
    server.on("GET", "/events", chunks=[frame(an_event(42))], media=SSE)
    assert [event["seq"] for event in taken(client.follow_events(tenant="acme"), 1)] == [42]
    assert server.requests[0].query == {"tenant": "acme", "limit": "1"}
    assert [one.query["after"] for one in server.requests[1:]] == ["41", "41"]


def test_a_slow_reader_of_logs_misses_nothing_over_a_cut(client, server):
    """What the agent wrote while a line was being worked on is asked for too."""
    server.on("GET", LOGS, chunks=["one\n"], media="text/plain")
    server.on("GET", LOGS, chunks=["two\n"], media="text/plain")
    stream = client.follow_pod_logs("acme", "support")
    next(stream)
    arrived = datetime.now(UTC)
    time.sleep(0.05)
    next(stream)
    stream.close()
    assert datetime.fromisoformat(server.requests[1].query["since"]) <= arrived


def test_a_refusal_ends_the_following(client, server):
    """A tenant that was deleted, a token that was revoked: no endless tries."""
    server.on("GET", "/events", chunks=[frame(an_event(1))], media=SSE)
    server.refuse("GET", "/events", 404, "TenantNotFound")
    stream = client.follow_events(tenant="acme", after=0)
    next(stream)
    with pytest.raises(ApiError):
        next(stream)


def test_a_server_that_was_never_there_is_an_error(clock):
    """The first connection has to work."""
    with Client("http://127.0.0.1:9", sleep=clock.sleep) as client, pytest.raises(UnreachableError):
        next(client.follow_events(after=0))


def test_logs_go_on_after_the_container_ended(client, server):
    """The lines of the next start are told, those before are not told again."""
    server.on("GET", LOGS, chunks=["one\ntwo\n"], media="text/plain")
    server.refuse("GET", LOGS, 404, "NoContainer")
    server.on("GET", LOGS, chunks=["three\n"], media="text/plain")
    assert taken(client.follow_pod_logs("acme", "support", tail=2), 3) == ["one", "two", "three"]
    first, _, third = (one.query for one in server.requests)
    assert first == {"follow": "true", "tail": "2"}
    assert "tail" not in third
    assert third["since"].endswith("Z")


def test_logs_so_far_end_by_themselves(client, server):
    """What was written so far, and no more."""
    server.on("GET", LOGS, chunks=["one\n", "二\n"], media="text/plain; charset=utf-8")
    assert list(client.get_pod_logs("acme", "support", tail=5)) == ["one", "二"]
    assert server.requests[0].query == {"tail": "5"}


def test_an_event_stream_is_read_by_the_standard():
    """Comments, several data lines, fields without a value, an unfinished message at the end."""
    lines = [": hi", "", "id: 7", "event: news", "data: a", "data:b", "retry: 5", "", "data", "", "data: unfinished"]
    found = [(one.event, one.data, one.id) for one in sse.messages(lines)]
    assert found == [("news", "a\nb", "7"), ("message", "", "7")]
