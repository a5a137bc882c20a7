"""Facts about users, sessions, tokens, settings and the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentpod_core.errors import ConflictError, NotFoundError
from agentpod_server.records import Role, Scope
from agentpod_server.store import audit, identity, settings, tenants

ALL = Scope(actor="ann", request_id="r1")
LATER = datetime.now(UTC) + timedelta(hours=1)


async def test_a_user_logs_in_and_out(database):
    """Logins ignore case, sessions are found by their raw id, and end when they are ended."""
    async with database.transaction(ALL):
        user = await identity.create_user(login="Ann", password_hash="hash", role=Role.ADMIN)
        assert await identity.credentials("ANN") == (user, "hash")
        started = await identity.start_session(user.id, raw_id="raw", expires_at=LATER, data={"csrf": "x"})
        assert await identity.session("raw") == started
        await identity.update_session("raw", data={"csrf": "y"}, expires_at=LATER)
        assert (await identity.session("raw")).data == {"csrf": "y"}
        await identity.end_session("raw")
        assert await identity.session("raw") is None
        assert await identity.credentials("bob") is None
        with pytest.raises(ConflictError):
            await identity.create_user(login="ann", password_hash="x", role=Role.VIEWER)


async def test_session_ids_and_tokens_are_not_in_the_database(database):
    """What would let somebody in is stored as a hash only."""
    async with database.transaction(ALL) as transaction:
        user = await identity.create_user(login="ann", password_hash="hash", role=Role.ADMIN)
        await identity.start_session(user.id, raw_id="raw-session-id", expires_at=LATER)
        _, value = await identity.create_token(name="ci", role=Role.ADMIN)
        stored = await transaction.fetch("select to_jsonb(s)::text from sessions s")
        stored += await transaction.fetch("select to_jsonb(t)::text from api_tokens t")

    text = " ".join(row[0] for row in stored)
    assert "raw-session-id" not in text
    assert value not in text


async def test_expired_sessions_are_worthless_and_dropped(database):
    """A session whose time is over is not found, and can be swept away."""
    async with database.transaction(ALL) as transaction:
        user = await identity.create_user(login="ann", password_hash="hash", role=Role.ADMIN)
        await identity.start_session(user.id, raw_id="old", expires_at=datetime.now(UTC) - timedelta(seconds=1))
        await identity.start_session(user.id, raw_id="new", expires_at=LATER)
        assert await identity.session("old") is None
        await identity.drop_expired_sessions()
        assert await transaction.value("select count(*) from sessions") == 1


async def test_a_new_password_ends_all_sessions(database):
    """Whoever was logged in with the old password is out."""
    async with database.transaction(ALL):
        user = await identity.create_user(login="ann", password_hash="old", role=Role.ADMIN)
        await identity.start_session(user.id, raw_id="raw", expires_at=LATER)
        await identity.set_password(user.id, "new")
        assert await identity.session("raw") is None
        assert (await identity.credentials("ann"))[1] == "new"
        await identity.start_session(user.id, raw_id="raw2", expires_at=LATER)
        await identity.delete_user(user.id)
        assert await identity.session("raw2") is None
        assert await identity.users() == []
        with pytest.raises(NotFoundError):
            await identity.set_password(user.id, "x")


async def test_a_token_works_until_it_is_revoked_or_expires(database):
    """A token is known by its value alone, and its use is noted."""
    async with database.transaction(ALL):
        made, value = await identity.create_token(name="ci", role=Role.OPERATOR)
        _, expired = await identity.create_token(
            name="old", role=Role.VIEWER, expires_at=datetime.now(UTC) - timedelta(seconds=1)
        )
        found = await identity.token(value)
        assert (found.id, found.role, found.name) == (made.id, Role.OPERATOR, "ci")
        assert await identity.token(expired) is None
        assert await identity.token(value + "x") is None
        assert (await identity.tokens())[0].used_at is not None
        await identity.revoke_token(made.id)
        assert await identity.token(value) is None
        with pytest.raises(NotFoundError):
            await identity.revoke_token(made.id)

    assert value.startswith("ap_")
    assert value not in f"{made!r}"
    assert value.startswith(made.hint)
    assert len(made.hint) < 10


async def test_settings_are_json_by_key(database):
    """What was written is read, whatever it is; what was not is None."""
    async with database.transaction(ALL):
        await settings.write("a", {"deep": [1, None, "文"]})
        await settings.write("a", {"deep": []})
        await settings.write("b", "text")
        assert await settings.read("a") == {"deep": []}
        assert await settings.read("nothing") is None
        assert await settings.every() == {"a": {"deep": []}, "b": "text"}


async def test_the_audit_log_says_who_did_what(database):
    """Entries carry actor and request of the scope, newest first, page by page."""
    async with database.transaction(ALL):
        tenant = await tenants.create(slug="acme", address_range="10.214.0.0/16")
        for number in range(3):
            audit.append("tenant.create", str(number), tenant_id=tenant.id, params={"n": number})
    async with database.transaction(ALL):
        first = await audit.listing(limit=2)
        rest = await audit.listing(after=first.next)
    async with database.transaction(Scope(tenant_id=tenant.id)):
        scoped = await audit.listing()

    entries = (*first.items, *rest.items)
    assert [entry.target for entry in entries] == ["2", "1", "0"]
    assert {(entry.actor, entry.request_id, entry.tenant_id) for entry in entries} == {("ann", "r1", tenant.id)}
    assert scoped.items == entries
