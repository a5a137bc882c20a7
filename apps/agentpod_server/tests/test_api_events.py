from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
import websockets

from agentpod_server.records import Role, Scope
from agentpod_server.services import events as events_module
from agentpod_server.services import hub as hub_module
from agentpod_server.store.ids import uuid7
from agentpod_server.testing import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SSE = {"Accept": "text/event-stream"}


class Reader:
    """Reads an event stream message by message."""

    def __init__(self, response):
        self.response = response
        self._lines = response.aiter_lines()

    async def message(self) -> dict[str, str]:
        """Give the next message; a comment is one with the key `comment`."""
        fields = {}
        async with asyncio.timeout(10):
            async for line in self._lines:
                if not line:
                    if fields:
                        return fields
                    continue
                name, _, value = line.partition(":")
                fields[name or "comment"] = value.strip()
        return fields

    async def event(self) -> dict:
        """Give the next event, passing over comments."""
        while True:
            message = await self.message()
            if "data" in message:
                return json.loads(message["data"]) | {"id_line": message.get("id"), "event_line": message.get("event")}


@contextlib.asynccontextmanager
async def stream(client, path="/api/v1/events", **headers):
    """Open a stream and wait until it misses nothing any more."""
    async with client.stream("GET", path, headers=SSE | headers) as response:
        assert response.status_code == 200
        reader = Reader(response)
        assert "comment" in await reader.message()
        yield reader


async def make(api, *slugs):
    """Make tenants, each of which is an event."""
    for slug in slugs:
        await api.post("/api/v1/tenants", json={"slug": slug})


async def test_events_are_listed_oldest_first_and_after_a_number(api):
    """Without a number the newest come, oldest first; with one those after it, and `next` goes on."""
    await make(api, "ant", "bee", "cat")
    newest = (await api.get("/api/v1/events", params={"limit": 2})).json()
    assert [one["tenant"] for one in newest["items"]] == ["bee", "cat"]
    assert newest["next"] is None
    first = newest["items"][0]["seq"] - 1
    part = (await api.get("/api/v1/events", params={"after": first - 1, "limit": 2})).json()
    assert [one["tenant"] for one in part["items"]] == ["ant", "bee"]
    rest = (await api.get("/api/v1/events", params={"cursor": part["next"], "limit": 2})).json()
    assert [one["tenant"] for one in rest["items"]] == ["cat"]
    assert rest["next"] is None


async def test_events_of_one_pod_are_listed_at_the_pod(api, rig):
    """A pod's events are its own, and a pod that never was has none."""
    await rig.pod(api)
    await rig.pod(api, name="other")
    items = (await api.get("/api/v1/tenants/acme/pods/main/events")).json()["items"]
    assert [(one["pod"], one["reason"]) for one in items] == [("main", "PodCreated")]
    assert (await api.get("/api/v1/tenants/acme/pods/never/events")).status_code == 404


async def test_a_stream_gives_new_events_as_they_come(api):
    """A stream begins with new events, numbered, as JSON."""
    await make(api, "old")
    async with stream(api) as reader:
        await make(api, "fresh")
        event = await reader.event()
    assert (event["tenant"], event["reason"], event["message"]) == (
        "fresh",
        "TenantCreated",
        "The tenant fresh was created.",
    )
    assert event["id_line"] == str(event["seq"])


async def test_a_stream_is_resumed_where_it_was_left(api):
    """With Last-Event-ID everything after that event comes, stored or new, once and in order."""
    await make(api, "ant", "bee")
    first = (await api.get("/api/v1/events")).json()["items"][0]["seq"]
    async with stream(api, **{"Last-Event-ID": str(first)}) as reader:
        await make(api, "cat", "dog")
        assert [(await reader.event())["tenant"] for _ in range(3)] == ["bee", "cat", "dog"]
    async with stream(api, f"/api/v1/events?after={first}") as reader:
        assert [(await reader.event())["tenant"] for _ in range(3)] == ["bee", "cat", "dog"]


async def test_a_stream_misses_nothing_under_load(api):
    """Events that are made while a stream catches up all arrive, in the order of their numbers."""
    await make(api, "first")
    async with stream(api, "/api/v1/events?after=0") as reader:
        slugs = [f"t{number}" for number in range(20)]
        await asyncio.gather(*(make(api, slug) for slug in slugs))
        seen = [await reader.event() for _ in range(21)]
    numbers = [one["seq"] for one in seen]
    assert numbers == sorted(set(numbers))
    assert {one["tenant"] for one in seen} == {"first", *slugs}


async def test_a_stream_may_be_about_one_tenant_or_pod(api, rig):
    """Filters hold for a stream, and one about nothing answers 404 at once."""
    await rig.pod(api)
    async with stream(api, "/api/v1/events?tenant=acme&pod=main") as reader:
        await make(api, "beta")
        await rig.pod(api, name="other")
        await api.post("/api/v1/tenants/acme/pods/main/stop")
        assert (await reader.event())["reason"] == "PodStopAsked"
    assert (await api.get("/api/v1/events?tenant=nobody", headers=SSE)).status_code == 404


async def test_a_stream_of_a_tenants_token_has_that_tenants_events_alone(api, rig):
    """Row-level security holds for live events too."""
    await rig.pod(api)
    async with rig.client(await rig.token_for(Role.VIEWER, "acme")) as client, stream(client) as reader:
        await make(api, "beta")
        await api.post("/api/v1/tenants/acme/stop")
        assert (await reader.event())["reason"] == "TenantStopAsked"


async def test_a_quiet_stream_is_kept_alive(api, monkeypatch):
    """A comment comes after each quiet time."""
    monkeypatch.setattr(events_module, "KEEP_ALIVE", 0.1)
    monkeypatch.setattr(events_module, "_POLL", 0.05)
    async with stream(api) as reader:
        assert "comment" in await reader.message()
        assert "comment" in await reader.message()


@pytest.mark.parametrize("last", ["banana", "-1", "1.5", "9" * 30, "\u0665".encode().decode("latin-1")])
async def test_a_wrong_last_event_id_is_refused(api, last):
    """A Last-Event-ID that is no number answers 400."""
    answer = await api.get("/api/v1/events", headers=SSE | {"Last-Event-ID": last.encode("latin-1")})
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadQuery")


async def test_a_reader_who_is_too_slow_is_told_to_come_again(rig, api):
    """When more events wait than a reader may have, the stream says `lost` and ends."""
    subscription = hub_module.Subscription(backlog=2)
    await make(api, "ant", "bee", "cat")
    found, _ = await rig.services.events.listing(Scope())
    for event in found:
        subscription.offer(event)
    assert [(await subscription.next(0)).tenant for _ in range(2)] == ["ant", "bee"]
    with pytest.raises(hub_module.TooSlowError):
        await subscription.next(0)


async def test_streams_end_when_the_server_wants_to_exit(rig, api):
    """An open stream ends by itself soon after the server wants to exit."""
    async with stream(api) as reader:
        rig.stopping = True
        try:
            async with asyncio.timeout(3):
                assert await reader.message() == {}
        finally:
            rig.stopping = False


async def test_a_stream_that_is_left_is_forgotten(rig, api):
    """A client that goes away leaves no listener behind."""
    before = rig.services.hub.subscribers
    async with stream(api):
        assert rig.services.hub.subscribers == before + 1
    await eventually(lambda: rig.services.hub.subscribers == before)


def socket(rig, query="", token=None):
    """Open a WebSocket of events."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    address = rig.url.replace("http", "ws", 1) + "/api/v1/ws" + query
    return websockets.connect(address, additional_headers=headers, proxy=None)


async def test_a_websocket_gives_the_same_events(rig, api):
    """With a bearer header the events after a number come as JSON messages, and new ones follow."""
    await make(api, "ant")
    async with socket(rig, "?after=0", rig.token) as connection:
        assert json.loads(await connection.recv())["tenant"] == "ant"
        await make(api, "bee")
        assert json.loads(await connection.recv())["tenant"] == "bee"


async def test_a_websocket_is_opened_by_its_first_message_too(rig, api):
    """A client that can set no header sends its token and filters in the first message."""
    await make(api, "ant", "bee")
    async with socket(rig) as connection:
        await connection.send(json.dumps({"token": rig.token, "after": 0, "tenant": "bee"}))
        assert json.loads(await connection.recv())["tenant"] == "bee"


@pytest.mark.parametrize("hello", ['{"token": "ap_wrong"}', "rubbish", "{}", '{"token": 5}', "x" * 10_000])
async def test_a_websocket_without_a_right_token_is_closed(rig, hello):
    """Whoever does not introduce themselves properly is closed with 4401."""
    async with socket(rig) as connection:
        await connection.send(hello)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await connection.recv()
    assert closed.value.rcvd.code == 4401


async def test_a_websocket_about_nothing_is_closed(rig):
    """A tenant that does not exist closes with 4404."""
    async with socket(rig, "?tenant=nobody", rig.token) as connection:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await connection.recv()
    assert closed.value.rcvd.code == 4404


async def test_a_websocket_ends_when_the_server_wants_to_exit(rig):
    """The server says goodbye with 1001."""
    async with socket(rig, "", rig.token) as connection:
        rig.stopping = True
        try:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(connection.recv(), 3)
        finally:
            rig.stopping = False
    assert closed.value.rcvd.code == 1001


async def prune(rig, seq: int) -> None:
    """Let events up to that number be gone for their age."""
    async with rig.database.transaction(Scope()) as transaction:
        await transaction.execute(
            "insert into events_pruned (id, tenant_id, tenant, pod, seq) values ($1, null, '', '', $2)", uuid7(), seq
        )


async def test_who_comes_after_events_were_taken_away_is_told(api, rig):
    """A stream that is to go on after a number above which events are gone says `missed` first, then what is left."""
    await rig.pod(api)
    newest = (await api.get("/api/v1/events", params={"limit": 1})).json()["items"][-1]["seq"]
    await prune(rig, newest - 1)
    for after, is_told in ((newest - 2, True), (newest - 1, False)):
        async with api.stream("GET", "/api/v1/events", headers=SSE | {"Last-Event-ID": str(after)}) as response:
            reader = Reader(response)
            assert ((await reader.message()).get("event") == "missed") is is_told
            assert (await reader.event())["seq"] == after + 1


async def test_a_socket_says_so_too(api, rig):
    """Over a WebSocket the first message to such a client is that it missed some."""
    await rig.pod(api)
    newest = (await api.get("/api/v1/events", params={"limit": 1})).json()["items"][-1]["seq"]
    await prune(rig, newest - 1)
    address = f"{rig.url.replace('http', 'ws')}/api/v1/ws?after=0"
    async with websockets.connect(address, additional_headers={"Authorization": f"Bearer {rig.token}"}) as socket:
        assert json.loads(await socket.recv()) == {"missed": True}
        assert json.loads(await socket.recv())["seq"] > 0
