"""Facts about who sees what: scopes, row-level security, and the discipline of transactions."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from agentpod_core.errors import ConfigError, NotFoundError, TemporaryError
from agentpod_core.ports import Sample
from agentpod_core.testing.store_stage import HAPPENING, WORKLOAD
from agentpod_core.values.alerts import Raise
from agentpod_core.values.pods import PodSpec
from agentpod_core.values.status import Severity
from agentpod_server.availability import State
from agentpod_server.records import Role, Scope
from agentpod_server.store import (
    alerts,
    api_tokens,
    audit,
    availability,
    events,
    history,
    identity,
    operations,
    pods,
    secrets,
    settings,
    silences,
    targets,
    tenants,
)
from agentpod_server.store import database as database_module
from agentpod_server.store.database import Database
from agentpod_server.store.ids import uuid7
from agentpod_server.store.migrations import GRANTS
from agentpod_server.store.tables import Pods
from agentpod_server.store.testing import OUR_SERVERS, on_servers
from agentpod_server.store.transactions import joined

pytest_generate_tests = on_servers(*OUR_SERVERS)

ALL = Scope(actor="test")


@pytest.fixture
async def two(database):
    """Two tenants, each with a row in every table that belongs to a tenant."""
    made = []
    for slug in ("acme", "globex"):
        async with database.transaction(ALL) as transaction:
            tenant = await tenants.create(slug=slug, address_range="10.214.0.0/16")
            placement = await pods.place(slug)
            pod = await pods.create(
                placement, name="main", spec=PodSpec(adapter="echo", subdomain=slug), workload=WORKLOAD
            )
            user = await identity.create_user(login=slug, password_hash="h", role=Role.VIEWER, tenant_id=tenant.id)
            await identity.start_session(user.id, raw_id=slug, expires_at=user.created_at.replace(year=2100))
            await api_tokens.create_token(name=slug, role=Role.VIEWER, tenant_id=tenant.id)
            await operations.create("image", slug, tenant_id=tenant.id, tenant=slug)
            row = secrets.Sealed(
                id=str(uuid7()), tenant_id=tenant.id, key="k", version=1, key_id="k", wrapped=b"w", sealed=b"s"
            )
            await secrets.add(row)
            events.append_for(pod, HAPPENING)
            audit.append("pod.create", slug, tenant_id=tenant.id)
            await targets.create(
                target_id=targets.new_id(),
                tenant_id=tenant.id,
                tenant=slug,
                name="ops",
                kind="fake",
                settings={},
                min_severity=Severity.INFO,
                reasons=(),
            )
            raised = Raise(reason="CrashLoop", severity=Severity.ERROR)
            await alerts.change([raised], tenant_id=tenant.id, tenant=slug, pod_id=pod.id, pod="main")
            await silences.create(
                tenant_id=tenant.id, tenant=slug, pod="", reason="", comment="", ends_at=user.created_at
            )
            await history.add([Sample(pod_id=pod.id, at=pod.created_at, cpu=1, memory=1)])
            await availability.note(pod.id, pod="main", tenant_id=tenant.id, tenant=slug, state=State.READY)
            await transaction.execute(
                "insert into events_pruned (id, tenant_id, tenant, pod, seq) values ($1, $2, $3, 'main', 1)",
                uuid7(),
                tenant.id,
                slug,
            )
            made.append(tenant)
    return made


def _of_a_tenant():
    without = {"tenants", "nodes", "leases", "settings", "availability_gaps", "migration"}
    return sorted(set(GRANTS) - without)


@pytest.mark.parametrize("table", _of_a_tenant())
async def test_a_tenant_sees_its_own_rows_only(database, two, table):
    """In every table each tenant finds its own row and not the other's; the platform finds both."""
    for tenant in two:
        async with database.transaction(Scope(tenant_id=tenant.id)) as transaction:
            rows = await transaction.fetch(f"select tenant_id from {table}")
            assert {str(row["tenant_id"]) for row in rows} == {tenant.id}
    async with database.transaction(ALL) as transaction:
        assert await transaction.value(f"select count(distinct tenant_id) from {table}") == 2


@pytest.mark.parametrize("table", _of_a_tenant())
async def test_a_tenant_changes_nothing_of_another(database, two, table):
    """An update or delete of another tenant's rows touches none; a row for another tenant is refused."""
    mine, theirs = two
    async with database.transaction(Scope(tenant_id=mine.id)) as transaction:
        if "update" in GRANTS[table]:
            for sql in (f"update {table} set tenant_id = tenant_id", f"delete from {table}"):
                assert await transaction.execute(f"{sql} where tenant_id = $1", theirs.id) == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):  # noqa: PT012
        async with database.transaction(Scope(tenant_id=mine.id)) as transaction:
            columns = await transaction.value(
                "select string_agg(quote_ident(column_name), ', ') from information_schema.columns"
                " where table_name = $1 and column_name <> 'tenant_id' and is_identity = 'NO'",
                table,
            )
            await transaction.execute(
                f"insert into {table} (tenant_id, {columns}) select $1, {columns} from {table}", theirs.id
            )


async def test_a_tenant_sees_itself_and_nothing_of_the_platform(database, two):
    """Other tenants, the lease of the leader and settings do not show in a tenant's scope."""
    async with database.transaction(ALL) as transaction:
        await settings.write("domain", "example.org")
        await transaction.execute("insert into leases (name, holder, epoch) values ('controller', 'x', 1)")

    async with database.transaction(Scope(tenant_id=two[0].id)) as transaction:
        assert [row["slug"] for row in await transaction.fetch("select slug from tenants")] == ["acme"]
        assert await transaction.fetch("select * from leases") == []
        assert await settings.every() == {}
        assert await tenants.find("globex") is None
        with pytest.raises(NotFoundError):
            await pods.get("globex", "main")


@pytest.mark.parametrize("table", sorted(set(GRANTS) - {"nodes", "migration"}))
async def test_without_a_scope_nothing_is_seen(database, two, postgres_access, table):
    """A connection that sets no scope, or an empty one, finds no row at all."""
    connection = await asyncpg.connect(postgres_access.app_dsn)
    try:
        assert await connection.fetchval(f"select count(*) from {table}") == 0
        await connection.execute("select set_config('app.tenant_id', '', false), set_config('app.scope', '', false)")
        assert await connection.fetchval(f"select count(*) from {table}") == 0
    finally:
        await connection.close()


@pytest.mark.parametrize("table", ["events", "availability"])
async def test_a_tenant_takes_no_history_away(database, two, table):
    """What is old goes when the platform says so; a delete in a tenant's scope touches none of its own rows."""
    async with database.transaction(Scope(tenant_id=two[0].id)) as transaction:
        assert await transaction.execute(f"delete from {table}") == 0
        assert await transaction.value(f"select count(*) from {table}") > 0


@pytest.mark.parametrize(
    ("table", "is_pruned"),
    [
        ("events", True),
        ("availability", True),
        ("availability_gaps", True),
        ("audit_log", False),
        ("pod_configs", False),
        ("pod_workloads", False),
    ],
)
async def test_history_is_only_added_to(database, two, table, is_pruned):
    """Not even the platform's scope changes what was written; what is pruned it may take away."""
    column = "since" if table == "availability_gaps" else "tenant_id"
    verbs = [f"update {table} set {column} = {column}", f"truncate {table}"]
    if not is_pruned:
        verbs.append(f"delete from {table}")
    for sql in verbs:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.transaction(ALL) as transaction:
                await transaction.execute(sql)


async def test_a_scope_ends_with_its_transaction(database, two):
    """The connection goes back to the pool without a scope, after success and after failure."""
    with pytest.raises(LookupError):
        async with database.transaction(ALL):
            raise LookupError
    async with database.transaction(Scope(tenant_id=two[0].id)):
        pass

    async with database._pool.acquire() as connection:
        assert await connection.fetchval("select count(*) from tenants") == 0


async def test_scopes_of_tasks_do_not_mix(database, two):
    """Many transactions at once over few connections each see their own tenant."""

    async def look(tenant):
        async with database.transaction(Scope(tenant_id=tenant.id)):
            return (await pods.listing()).items[0].tenant_id == tenant.id

    assert all(await asyncio.gather(*(look(two[number % 2]) for number in range(100))))


async def test_a_repository_demands_a_transaction(database):
    """Called without one, it names what is missing instead of finding nothing."""
    with pytest.raises(RuntimeError, match=r"database\.transaction"):
        await tenants.find("acme")
    with pytest.raises(RuntimeError, match=r"database\.transaction"):
        await Pods.select()
    with pytest.raises(RuntimeError, match=r"database\.transaction"):
        events.append(HAPPENING)


async def test_transactions_do_not_nest(database):
    """A second one in the same task is refused, and the first goes on."""
    async with database.transaction(ALL) as transaction:
        with pytest.raises(RuntimeError, match="nest"):
            async with database.transaction(ALL):
                pass
        assert await transaction.value("select 1") == 1
    assert joined() is None


async def test_a_transaction_stays_in_its_task(database):
    """A task started inside may not use it, but opens its own."""
    async with database.transaction(ALL):
        with pytest.raises(RuntimeError, match="belongs to the task"):
            await asyncio.create_task(tenants.find("acme"))

        async def own():
            async with database.transaction(ALL):
                return await tenants.find("acme")

        assert await asyncio.create_task(own()) is None


async def test_an_exception_undoes_everything(database):
    """Rows, events and audit entries of a failed transaction are gone."""
    with pytest.raises(LookupError):  # noqa: PT012
        async with database.transaction(ALL):
            tenant = await tenants.create(slug="acme", address_range="10.214.0.0/16")
            events.append_for(tenant, HAPPENING)
            audit.append("tenant.create", "acme")
            raise LookupError

    async with database.transaction(ALL):
        assert await tenants.find("acme") is None
        assert await events.last_seq() == 0
        assert (await audit.listing()).items == ()


async def test_a_cancelled_transaction_frees_its_connection(database):
    """Cancelling in the midst of a query rolls back, and the pool stays whole."""
    for _ in range(12):  # more than the pool holds
        await _cancelled_in_a_query(database)

    async with database.transaction(ALL):
        assert await tenants.find("acme") is None


async def test_a_lost_cancel_request_frees_the_locks_too(database, postgres_access, monkeypatch):
    """PostgreSQL ignores a cancel request that overtakes its query; the query's locks stand in nobody's way even so.

    Nor do those of a task that is told again to end while its rollback waits for the query, as a leader's passes are.
    """
    asked = asyncio.Event()

    async def ignored(**_):
        asked.set()

    monkeypatch.setattr(asyncpg.connect_utils, "_cancel", ignored)

    await _cancelled_in_a_query(database)
    assert asked.is_set()
    await _is_free(database)

    asked.clear()
    for name in ("BEGIN_TIMEOUT", "ROLLBACK_TIMEOUT", "STATEMENT_TIMEOUT"):
        monkeypatch.setattr(database_module, name, 600.0)
    patient = Database(postgres_access.app_dsn)
    await patient.open()
    await _cancelled_in_a_query(patient, again=asked)
    await _is_free(patient)
    await patient.close()


async def _is_free(database):
    """Nobody holds a lock on what a transaction that was cut off had written; the connection is another one."""
    assert database.connections.open == 0
    async with database.transaction(ALL) as transaction:
        await tenants.create(slug="acme", address_range="10.214.0.0/16")
        await transaction.execute("delete from tenants")


async def test_a_server_that_cannot_watch_its_connections_will_do(database, postgres_access, monkeypatch):
    """Where the system cannot tell a closed connection, as on Windows, the server refuses to be asked for it."""
    async with database.transaction(ALL) as transaction:
        assert await transaction.value("show client_connection_check_interval") == "1s"
    monkeypatch.setattr(database_module, "_WATCHED", {"client_connection_check_interval": "refused"})
    other = Database(postgres_access.app_dsn)
    await other.open()
    async with other.transaction(ALL) as transaction:
        assert await transaction.value("show client_connection_check_interval") == "0"
        assert await transaction.value("show idle_in_transaction_session_timeout") == "5s"
    await other.close()


async def _cancelled_in_a_query(database, again=None):
    begun = asyncio.get_running_loop().create_future()

    async def work():
        async with database.transaction(ALL) as transaction:
            await tenants.create(slug="acme", address_range="10.214.0.0/16")
            begun.set_result(None)
            await transaction.execute("select pg_sleep(600)")

    task = asyncio.create_task(work())
    await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    if again is not None:
        await asyncio.wait_for(again.wait(), 60)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(task), 60)


async def test_a_deadlock_is_worth_another_try(database):
    """Of two transactions that wait for each other one is told to try again."""
    async with database.transaction(ALL):
        for slug in ("a", "b"):
            await tenants.create(slug=slug, address_range="10.214.0.0/16")
    met = asyncio.Barrier(2)

    async def rename(first, second):
        async with database.transaction(ALL):
            await tenants.change(first, expected=None, name="x")
            await met.wait()
            await tenants.change(second, expected=None, name="x")

    outcomes = await asyncio.gather(rename("a", "b"), rename("b", "a"), return_exceptions=True)

    (failed,) = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(failed, TemporaryError)
    assert failed.reason == "StoreBusy"


async def test_text_that_cannot_be_stored_is_refused_as_such(database):
    """A NUL character is the caller's problem, not a broken database."""
    with pytest.raises(ConfigError):
        async with database.transaction(ALL):
            await tenants.create(slug="acme", name="a\0b", address_range="10.214.0.0/16")


async def test_a_closed_database_says_so(database):
    """Using a database that is not open is a mistake of the program."""
    await database.close()
    await database.close()

    with pytest.raises(RuntimeError, match="not open"):
        await database.ping()
