"""Facts about the schema: row-level security everywhere, grants, migrations, roles."""

from __future__ import annotations

import asyncio
import base64

import asyncpg
import pytest
from piccolo.apps.migrations.auto import SchemaDiffer
from piccolo.apps.migrations.auto.diffable_table import DiffableTable
from piccolo.apps.migrations.auto.schema_snapshot import SchemaSnapshot
from piccolo.apps.migrations.commands.base import BaseMigrationManager

from agentpod_core.errors import PermanentError, TemporaryError
from agentpod_server.store import bootstrap
from agentpod_server.store.bootstrap import Access, access_beside, prepare, role_of, scram_verifier
from agentpod_server.store.database import Database
from agentpod_server.store.migrations import GRANTS, migrate
from agentpod_server.store.piccolo_app import APP_CONFIG
from agentpod_server.store.tables import TABLES

WITHOUT_TENANT = {"nodes", "migration"}
"""Tables that hold nothing of anybody: everyone may read them, and the app role may only read."""


@pytest.fixture
async def owner(postgres_access):
    """A connection of the owner role."""
    connection = await asyncpg.connect(postgres_access.owner_dsn)
    yield connection
    await connection.close()


async def _tables(connection):
    rows = await connection.fetch(
        "select c.relname, c.relrowsecurity, c.relforcerowsecurity, r.rolname as owner,"
        " (select count(*) from pg_policy p where p.polrelid = c.oid and p.polcmd = '*' and p.polwithcheck is not null"
        "  and p.polpermissive) as policies,"
        " exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id') as has_tenant"
        " from pg_class c join pg_roles r on r.oid = c.relowner"
        " where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')"
    )
    return {row["relname"]: row for row in rows}


async def test_every_table_with_a_tenant_is_under_row_level_security(owner):
    """The catalogue shows forced row-level security and one policy for all commands, on all but the two exceptions."""
    tables = await _tables(owner)

    unprotected = [
        name
        for name, table in tables.items()
        if not (table["relrowsecurity"] and table["relforcerowsecurity"] and table["policies"] == 1)
    ]

    assert {name for name, table in tables.items() if table["has_tenant"]} >= {"pods", "secrets", "events", "users"}
    assert set(unprotected) == WITHOUT_TENANT
    assert not any(tables[name]["has_tenant"] for name in unprotected)


async def test_the_walk_finds_a_table_without_a_policy(owner):
    """A table with a tenant and nothing else shows up as unprotected."""
    await owner.execute("create table forgotten (id int, tenant_id uuid)")

    table = (await _tables(owner))["forgotten"]

    assert table["has_tenant"]
    assert not table["relrowsecurity"]
    assert table["policies"] == 0


async def test_the_schema_is_what_the_tables_say(owner):
    """Every table of this version exists, belongs to the owner role and has its grants written down."""
    tables = await _tables(owner)

    assert set(tables) == {table._meta.tablename for table in TABLES} | {"migration"}
    assert set(tables) == set(GRANTS)
    assert {table["owner"] for table in tables.values()} == {"agentpod_test_owner"}


async def test_the_migrations_make_the_tables(owner):
    """Piccolo finds no difference between the migrations and the table classes: none was forgotten."""
    managers = await BaseMigrationManager().get_migration_managers(app_config=APP_CONFIG)
    snapshot = SchemaSnapshot(managers)
    now = [
        DiffableTable(
            class_name=table.__name__,
            tablename=table._meta.tablename,
            columns=table._meta.non_default_columns,
            schema=table._meta.schema,
        )
        for table in TABLES
    ]

    differ = SchemaDiffer(schema=now, schema_snapshot=snapshot.get_snapshot(), auto_input="n")

    assert [statement for change in differ.get_alter_statements() for statement in change.statements] == []


async def test_the_roles_have_no_privileges(owner):
    """Neither role is a superuser, bypasses row-level security or makes roles and databases."""
    rows = await owner.fetch("select * from pg_roles where rolname like 'agentpod_test_%'")

    assert len(rows) == 2
    for row in rows:
        assert not any(row[flag] for flag in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb"))


async def test_the_app_role_has_what_is_granted_and_no_more(owner):
    """History and past generations can be added to and never changed, and nothing can be truncated."""
    verbs = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")

    for table, granted in GRANTS.items():
        allowed = {verb.upper() for verb in granted.split(", ")}
        for verb in verbs:
            has = await owner.fetchval("select has_table_privilege('agentpod_test_app', $1, $2)", table, verb)
            assert has == (verb in allowed), f"{verb} on {table}"


async def test_the_app_role_makes_no_tables(postgres_access):
    """Only the owner changes the schema."""
    connection = await asyncpg.connect(postgres_access.app_dsn)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("create table mine (id int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("alter table pods disable row level security")
    await connection.close()


async def test_many_migrate_at_once_and_one_does_it(empty_access):
    """Of several that start together exactly one applies the migrations, and none fails."""
    applied = await asyncio.gather(*(migrate(empty_access.owner_dsn, role_of(empty_access.app_dsn)) for _ in range(3)))

    assert sorted(map(len, applied)) == [0, 0, 2]
    database = Database(empty_access.app_dsn)
    await database.open()
    await database.close()


async def test_migrating_prints_nothing(empty_access, capfd):
    """What the migrator has to say is for a failure's detail only."""
    await migrate(empty_access.owner_dsn, role_of(empty_access.app_dsn))

    assert capfd.readouterr() == ("", "")


async def test_a_migration_that_fails_leaves_nothing(empty_access, owner_of_empty):
    """All that is missing is applied or nothing is."""
    await owner_of_empty.execute("create table settings (id int)")

    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate(empty_access.owner_dsn, role_of(empty_access.app_dsn))

    assert await owner_of_empty.fetchval("select to_regclass('tenants')") is None


@pytest.fixture
async def owner_of_empty(empty_access):
    """A connection of the owner role to the database that nobody migrated."""
    connection = await asyncpg.connect(empty_access.owner_dsn)
    yield connection
    await connection.close()


async def test_preparing_twice_is_fine_and_mends_a_password(postgres_server):
    """A second run makes nothing double and sets the passwords as they are now."""
    access = postgres_server.access("agentpod_empty")
    admin = postgres_server.admin()

    await prepare(admin, access)
    await prepare(admin, access)

    await (await asyncpg.connect(access.app_dsn)).close()


async def test_a_user_who_may_make_roles_prepares_a_database(postgres_server):
    """An outside user with CREATEROLE and CREATEDB, no superuser, is enough."""
    where = f"127.0.0.1:{postgres_server.port}"
    root = await asyncpg.connect(postgres_server.admin())
    await root.execute("create role maker login createrole createdb password 'maker-pw'")
    admin = f"postgresql://maker:maker-pw@{where}/shop"
    access = access_beside(admin, owner_password="o pw/@", app_password="a:pw?")
    try:
        await prepare(admin, access)
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
            await prepare(admin, access_beside(admin, owner_password="o", app_password="a"))
    finally:
        await root.execute("drop role plain")
        await root.close()

    assert raised.value.reason == "DatabasePrivilegesMissing"
    assert raised.value.params == {"user": "plain", "database": "agentpod_empty"}


async def test_an_old_server_is_refused(postgres_server, monkeypatch):
    """A version below the oldest supported one is named with the one needed."""
    monkeypatch.setattr(bootstrap, "OLDEST", 99)

    with pytest.raises(PermanentError) as raised:
        await prepare(postgres_server.admin(), postgres_server.access("agentpod_empty"))

    assert raised.value.reason == "DatabaseTooOld"
    assert raised.value.params == {"found": 18, "needed": 99}


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
