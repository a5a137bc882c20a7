"""Facts about the schema: row-level security everywhere, grants, migrations."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from piccolo.apps.migrations.auto import SchemaDiffer
from piccolo.apps.migrations.auto.diffable_table import DiffableTable
from piccolo.apps.migrations.auto.schema_snapshot import SchemaSnapshot
from piccolo.apps.migrations.commands.base import BaseMigrationManager

from agentpod_core.errors import PermanentError
from agentpod_server.store.access import role_of
from agentpod_server.store.database import Database
from agentpod_server.store.migrations import GRANTS, migrate
from agentpod_server.store.piccolo_app import APP_CONFIG
from agentpod_server.store.tables import TABLES
from agentpod_server.store.testing import EVERY_SERVER, on_servers

pytest_generate_tests = on_servers(*EVERY_SERVER)

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


async def test_the_schema_is_what_the_tables_say(owner, postgres_access):
    """Every table of this version exists, belongs to the owner role and has its grants written down."""
    tables = await _tables(owner)

    assert set(tables) == {table._meta.tablename for table in TABLES} | {"migration"}
    assert set(tables) == set(GRANTS)
    assert {table["owner"] for table in tables.values()} == {role_of(postgres_access.owner_dsn)}


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


async def test_the_roles_have_no_privileges(owner, postgres_access):
    """Neither role is a superuser, bypasses row-level security or makes roles and databases."""
    roles = [role_of(postgres_access.owner_dsn), role_of(postgres_access.app_dsn)]

    rows = await owner.fetch("select * from pg_roles where rolname = any($1)", roles)

    assert len(rows) == 2
    for row in rows:
        assert not any(row[flag] for flag in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb"))


async def test_the_app_role_has_what_is_granted_and_no_more(owner, postgres_access):
    """History and past generations can be added to and never changed, and nothing can be truncated."""
    app = role_of(postgres_access.app_dsn)
    verbs = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")

    for table, granted in GRANTS.items():
        allowed = {verb.upper() for verb in granted.split(", ")}
        for verb in verbs:
            has = await owner.fetchval("select has_table_privilege($1, $2, $3)", app, table, verb)
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

    assert sorted(map(bool, applied)) == [False, False, True]
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

    with pytest.raises(PermanentError) as raised:
        await migrate(empty_access.owner_dsn, role_of(empty_access.app_dsn))

    assert (raised.value.reason, raised.value.params) == (
        "MigrationFailed",
        {"problem": 'relation "settings" already exists'},
    )
    assert await owner_of_empty.fetchval("select to_regclass('tenants')") is None


@pytest.fixture
async def owner_of_empty(empty_access):
    """A connection of the owner role to the database that nobody migrated."""
    connection = await asyncpg.connect(empty_access.owner_dsn)
    yield connection
    await connection.close()
