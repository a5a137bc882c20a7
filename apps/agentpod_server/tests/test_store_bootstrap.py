"""Facts about preparing a server: roles, passwords, privileges, versions."""

from __future__ import annotations

import base64

import asyncpg
import pytest

from agentpod_core.errors import PermanentError, TemporaryError
from agentpod_server.store import reach
from agentpod_server.store.access import Access, access_beside, role_of
from agentpod_server.store.bootstrap import prepare, scram_verifier
from agentpod_server.store.database import Database
from agentpod_server.store.migrations import migrate
from agentpod_server.store.testing import OUR_SERVERS, on_servers
from agentpod_server.store.testing_servers import INSTANCE

pytest_generate_tests = on_servers(*OUR_SERVERS)


async def test_preparing_twice_is_fine_and_mends_a_password(postgres_server):
    """A second run makes nothing double and sets the passwords as they are now."""
    access = postgres_server.access("agentpod_empty")
    admin = postgres_server.admin()

    await prepare(admin, access, instance=INSTANCE)
    root = await asyncpg.connect(admin)
    await root.execute("alter role agentpod_test_app password 'other'")
    await root.close()

    await prepare(admin, access, instance=INSTANCE)

    await (await asyncpg.connect(access.app_dsn)).close()


async def test_a_user_who_may_make_roles_prepares_a_database(postgres_server):
    """An outside user with CREATEROLE and CREATEDB, no superuser, is enough, and only the first time."""
    where = f"127.0.0.1:{postgres_server.port}"
    root = await asyncpg.connect(postgres_server.admin())
    await root.execute("create role maker login createrole createdb password 'maker-pw'")
    admin = f"postgresql://maker:maker-pw@{where}/shop"
    access = access_beside(admin, owner_password="o pw/@", app_password="a:pw?")
    try:
        await prepare(admin, access, instance=INSTANCE)
        await root.execute("alter role maker nocreaterole nocreatedb")
        await prepare(admin, access, instance=INSTANCE)
        assert await migrate(access.owner_dsn, role_of(access.app_dsn))
        database = Database(access.app_dsn)
        await database.open()
        await database.close()
        assert (role_of(access.owner_dsn), role_of(access.app_dsn)) == ("shop_owner", "shop_app")
    finally:
        await root.execute("drop database if exists shop with (force)")
        await root.execute("drop owned by maker; drop role if exists shop_owner, shop_app, maker")
        await root.close()


async def test_a_user_without_privileges_is_told_what_is_needed(postgres_server):
    """Who may not make roles gets an error that names user and database."""
    root = await asyncpg.connect(postgres_server.admin())
    await root.execute("create role plain login password 'plain-pw'")
    admin = f"postgresql://plain:plain-pw@127.0.0.1:{postgres_server.port}/agentpod_empty"
    try:
        with pytest.raises(PermanentError) as raised:
            await prepare(admin, access_beside(admin, owner_password="o", app_password="a"), instance=INSTANCE)
    finally:
        await root.execute("drop role plain")
        await root.close()

    assert raised.value.reason == "DatabasePrivilegesMissing"
    assert (raised.value.params["user"], raised.value.params["database"]) == ("plain", "agentpod_empty")


async def test_an_old_server_is_refused(postgres_server, monkeypatch, request):
    """A version below the oldest supported one is named with the one needed."""
    monkeypatch.setattr(reach, "OLDEST", 99)

    with pytest.raises(PermanentError) as raised:
        await prepare(postgres_server.admin(), postgres_server.access("agentpod_empty"), instance=INSTANCE)

    assert raised.value.reason == "DatabaseTooOld"
    assert raised.value.params == {"found": int(request.node.callspec.params["postgres_server"]), "needed": 99}


async def test_a_wrong_password_is_permanent_and_not_shown(postgres_server):
    """A login that is refused says so, without the password."""
    dsn = f"postgresql://agentpod_test_app:Wr0ng-Secret@127.0.0.1:{postgres_server.port}/agentpod_template"

    with pytest.raises(PermanentError) as raised:
        await Database(dsn).open()

    assert raised.value.reason == "DatabaseRefused"
    assert "Wr0ng-Secret" not in f"{raised.value} {raised.value.__cause__}"


async def test_nobody_listening_is_temporary():
    """A server that is not there may come back."""
    with pytest.raises(TemporaryError) as raised:
        await Database("postgresql://a:b@127.0.0.1:1/x").open()

    assert raised.value.reason == "StoreUnreachable"


def test_access_shows_no_password():
    """Neither repr nor str of the URLs holds a password."""
    access = access_beside("postgresql://u:p@h:1/d?x=y", owner_password="S3cretOwner", app_password="S3cretApp")

    assert "S3cret" not in f"{access!r} {access}"
    assert access == Access(
        owner_dsn="postgresql://d_owner:S3cretOwner@h:1/d?x=y", app_dsn="postgresql://d_app:S3cretApp@h:1/d?x=y"
    )


async def test_the_verifier_is_postgresqls_own(postgres_server):
    """Our SCRAM verifier equals what the server computes from the same salt."""
    root = await asyncpg.connect(postgres_server.admin())
    await root.execute("create role salted password 'pencil'")
    stored = await root.fetchval("select rolpassword from pg_authid where rolname = 'salted'")
    await root.execute("drop role salted")
    await root.close()
    rounds, salt = stored.split("$")[1].split(":")

    assert scram_verifier("pencil", salt=base64.b64decode(salt), rounds=int(rounds)) == stored
