"""Answers that go on end with the right to them, and tell a tenant nothing of the next one of its name."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import websockets

from agentpod_core import TemporaryError
from agentpod_server.records import Role, Scope
from agentpod_server.services import events as events_module
from agentpod_server.services import stays
from agentpod_server.services.stays import Stays
from agentpod_server.testing import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SSE = {"Accept": "text/event-stream"}
EVENTS = "/api/v1/events"
LIVE = "/dashboard/live"
PATIENCE = 60.0


@pytest.fixture
def often(monkeypatch):
    """Look at callers again all the time."""
    monkeypatch.setattr(stays, "EVERY", 0.05)
    monkeypatch.setattr(events_module, "_POLL", 0.05)


async def query(rig, text, *values):
    """Change the database as nobody can by the API."""
    async with rig.database.transaction(Scope()) as transaction:
        await transaction.execute(text, *values)


async def revoke(rig, token):
    """Revoke it."""
    record = await rig.services.identity.by_token(token)
    await rig.services.identity.revoke_token(Scope(), record.token)


async def expire(rig, token):
    """Let its time be over."""
    record = await rig.services.identity.by_token(token)
    await query(rig, "update api_tokens set expires_at = now() - interval '1 second' where id = $1::uuid", record.token)


async def end_tenant(rig, _):
    """Let the tenant be gone, and all that goes with it."""
    await query(rig, "delete from tenants where slug = 'acme'")


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("end", [revoke, expire, end_tenant])
async def test_streams_end_with_their_token(api, rig, end):
    """Both kinds of stream of a token that is worthless end, whoever comes again is refused, and others' go on."""
    await api.post("/api/v1/tenants", json={"slug": "acme"})
    token = await rig.token_for(Role.VIEWER, "acme")
    bearer = {"additional_headers": {"Authorization": f"Bearer {token}"}, "proxy": None}
    async with (
        asyncio.timeout(PATIENCE),
        rig.client(token) as client,
        client.stream("GET", EVENTS, headers=SSE) as events,
        websockets.connect(rig.url.replace("http", "ws", 1) + "/api/v1/ws", **bearer) as socket,
        api.stream("GET", EVENTS, headers=SSE) as others,
    ):
        await eventually(lambda: rig.services.hub.subscribers >= 3, PATIENCE)
        await end(rig, token)
        assert "data" not in (await events.aread()).decode()
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd.code == 4401
        assert (await client.get(EVENTS, headers=SSE)).status_code == 401
        await api.post("/api/v1/tenants", json={"slug": "beta"})
        async for line in others.aiter_lines():
            if '"TenantCreated"' in line and '"beta"' in line:
                break


async def log_out(rig, raw_id):
    """Log out, in another window."""
    await rig.services.identity.logout(raw_id)


async def end_user(rig, _):
    """Let there be no such user."""
    await query(rig, "delete from users")


async def end_session(rig, _):
    """Let the session's time be over."""
    await query(rig, "update sessions set expires_at = now() - interval '1 second'")


async def live_for_a_week(rig, _):
    """Let the session be older than any may be."""
    await query(rig, "update sessions set created_at = now() - interval '8 days'")


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("end", [log_out, end_user, end_session, live_for_a_week])
async def test_pages_are_kept_up_to_date_while_somebody_is_logged_in(browser, rig, end):
    """The stream of a page that stays open ends with the session."""
    async with asyncio.timeout(PATIENCE), browser.client.stream("GET", LIVE, headers=SSE) as response:
        assert response.status_code == 200
        await end(rig, browser.client.cookies["agentpod_session"])
        assert "event" not in (await response.aread()).decode()


async def test_a_tenant_is_told_nothing_of_the_next_one_of_its_name(api, rig, monkeypatch):
    """A stream that outlives its tenant has no event of the customer who took the name."""
    monkeypatch.setattr(events_module, "KEEP_ALIVE", 0.1)
    monkeypatch.setattr(events_module, "_POLL", 0.05)
    await api.post("/api/v1/tenants", json={"slug": "acme"})
    async with (
        asyncio.timeout(PATIENCE),
        rig.client(await rig.token_for(Role.VIEWER, "acme")) as client,
        client.stream("GET", EVENTS, headers=SSE) as response,
        rig.services.hub.subscribe() as witness,
    ):
        lines = response.aiter_lines()
        assert await anext(lines) == ": "
        await end_tenant(rig, "")
        await rig.pod(api)
        while (await witness.next(PATIENCE)).reason != "PodCreated":
            pass
        told = ""
        with contextlib.suppress(StopAsyncIteration):
            while ": " not in (line := await anext(lines)):
                told += line
            told += line
        assert told == ": "


class Door:
    """Lets in whom it knows; with ``trouble`` it cannot tell."""

    def __init__(self, *known):
        self.known = set(known)
        self.trouble = False
        self.asked = []

    async def look(self, callers):
        self.asked.append(set(callers))
        if self.trouble:
            raise TemporaryError("StoreUnreachable")
        return self.known & set(callers)


@pytest.mark.usefixtures("often")
async def test_one_look_serves_all_streams():
    """All callers are looked at together, what cannot be looked at goes on, and nobody is looked at after the last."""
    door = Door("ann", "bob")
    opened = Stays(door.look)
    async with opened.begin("ann") as first, opened.begin("ann") as second, opened.begin("bob") as third:
        await eventually(lambda: len(door.asked) > 2, PATIENCE)
        assert door.asked[0] == {"ann", "bob"}
        door.trouble, door.known = True, {"bob"}
        seen = len(door.asked)
        await eventually(lambda: len(door.asked) > seen + 1, PATIENCE)
        assert [one.is_over for one in (first, second, third)] == [False, False, False]
        door.trouble = False
        await eventually(lambda: first.is_over and second.is_over, PATIENCE)
        assert not third.is_over
    await eventually(lambda: "stays" not in {task.get_name() for task in asyncio.all_tasks()}, PATIENCE)
    assert opened._task is None
