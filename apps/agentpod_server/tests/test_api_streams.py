"""What schemathesis cannot ask: streams that go on, with bad input."""

from __future__ import annotations

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVENTS = "/api/v1/events"
STREAM = {"Accept": "text/event-stream"}
BAD = ["after=-1", "after=many", "after=9223372036854775808", "after=1&after=2", "since=1", "limit=0", "tenant=a%00"]


@pytest.mark.parametrize("query", BAD)
async def test_a_stream_of_events_with_a_wrong_query_does_not_begin(api, query):
    """A wrong parameter of a stream is a problem like any other, not a stream."""
    answer = await api.get(f"{EVENTS}?{query}", headers=STREAM)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadQuery")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_stream_about_nothing_does_not_begin(api):
    """A stream about a tenant or pod that does not exist answers 404."""
    assert (await api.get(EVENTS, params={"tenant": "nobody"}, headers=STREAM)).status_code == 404
    await api.post("/api/v1/tenants", json={"slug": "acme"})
    answer = await api.get(EVENTS, params={"tenant": "acme", "pod": "none"}, headers=STREAM)
    assert (answer.status_code, answer.json()["reason"]) == (404, "PodNotFound")


@pytest.mark.parametrize("query", ["follow=yes", "tail=-1", "tail=100001", "tail=x", "since=x", "folow=true"])
async def test_output_with_a_wrong_query_is_not_followed(api, rig, query):
    """A wrong parameter of the output is a problem, also when it would be followed."""
    await rig.pod(api)
    answer = await api.get(f"/api/v1/tenants/acme/pods/main/logs?follow=true&{query}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadQuery")


async def test_output_of_a_pod_without_a_container_is_not_followed(api, rig):
    """There is nothing to follow before there is a container."""
    await rig.pod(api)
    answer = await api.get("/api/v1/tenants/acme/pods/main/logs?follow=true")
    assert (answer.status_code, answer.json()["reason"]) == (404, "PodHasNoContainer")


@pytest.mark.parametrize("query", ["after=-1", "after=many", "nonsense=1"])
async def test_a_socket_with_a_wrong_query_does_not_open(rig, query):
    """A wrong parameter of a WebSocket refuses the handshake."""
    url = f"{rig.url.replace('http', 'ws', 1)}/api/v1/ws?{query}"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, additional_headers={"Authorization": f"Bearer {rig.token}"}, proxy=None):
            pass
    assert refused.value.response.status_code in {400, 403}


@pytest.mark.parametrize(
    "hello",
    [
        "",
        "{",
        "[]",
        "null",
        '{"token": 1}',
        '{"token": "ap_x", "extra": 1}',
        '{"after": -1, "token": "x"}',
        "\0" * 9999,
    ],
)
async def test_a_socket_with_a_wrong_hello_is_closed(rig, hello):
    """A first message that cannot be read is answered as one without a right token."""
    async with connect(f"{rig.url.replace('http', 'ws', 1)}/api/v1/ws", proxy=None) as socket:
        await socket.send(hello)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    assert socket.close_code == 4401


async def test_a_socket_whose_hello_is_bytes_is_closed(rig):
    """A binary first message is no hello, and breaks nothing."""
    async with connect(f"{rig.url.replace('http', 'ws', 1)}/api/v1/ws", proxy=None) as socket:
        await socket.send(b"\xff\xfe")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    assert socket.close_code == 4401
