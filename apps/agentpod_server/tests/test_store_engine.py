"""The engine's store on a real PostgreSQL passes the contract, and knows what only a database can go through."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import pytest

from agentpod_core.errors import ConflictError, TemporaryError
from agentpod_core.ports import RESYNC, Sample
from agentpod_core.testing.store_stage import HAPPENING, RECORD, STATUS, WORKLOAD, KeptAlert, Told
from agentpod_core.testing.stores import StoreContract
from agentpod_core.values.names import default_subdomain
from agentpod_core.values.pods import PodSpec, Wanted
from agentpod_core.values.status import Happening
from agentpod_server.records import Scope
from agentpod_server.secrets import KeyRing, PostgresSecretStore
from agentpod_server.store import alerts, events, leadership, pods, tenants
from agentpod_server.store.database import Database
from agentpod_server.store.engine import PostgresStore
from agentpod_server.store.listen import Listener
from agentpod_server.store.testing import EVERY_SERVER, on_servers

pytest_generate_tests = on_servers(*EVERY_SERVER)

ALL = Scope(actor="test")


class Wire:
    """A line to the database that can be cut."""

    def __init__(self, host, port):
        self._host = host
        self._port = port
        self._server = None
        self._writers = set()
        self.port = 0

    async def lay(self):
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _carry(self, reader, writer):
        there_reader, there_writer = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, there_writer}
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        self._writers -= {writer, there_writer}


async def _pump(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


class PostgresStage:
    """Does what services do, by the repositories."""

    def __init__(self, database, secret_store, wire):
        self._database = database
        self._secret_store = secret_store
        self._wire = wire

    async def history(self, pod_id):
        async with self._database.transaction(ALL) as transaction:
            rows = await transaction.fetch(
                "select * from metrics_history where pod_id::text = $1 and span = 60 order by at", pod_id
            )
        return [
            Sample(
                pod_id=str(row["pod_id"]),
                at=row["at"],
                cpu=row["cpu"],
                memory=row["memory"],
                limit=row["memory_limit"],
                storage=row["storage"],
                restarts=row["restarts"],
            )
            for row in rows
        ]

    async def add_tenant(self, slug):
        async with self._database.transaction(ALL):
            return (await tenants.create(slug=slug, address_range="10.214.0.0/16")).id

    async def add_pod(
        self,
        tenant_id,
        name,
        *,
        workload=WORKLOAD,
        config=None,
        wanted=Wanted.RUNNING,
        secrets=None,
        credential=None,
    ):
        async with self._database.transaction(ALL):
            tenant = await tenants.by_id(tenant_id)
            placement = await pods.place(tenant.slug)
            subdomain = default_subdomain(tenant.slug, name)
            spec = PodSpec(adapter="echo", config=config or {}, subdomain=subdomain, wanted=wanted)
            made = await pods.create(
                placement, name=name, spec=spec, workload=workload, secrets=secrets or {}, credential=credential
            )
            return made.id

    async def change_pod(self, pod_id, *, workload=None, config=None):
        async with self._database.transaction(ALL):
            before = await pods.by_id(pod_id)
            spec = before.spec if config is None else msgspec.structs.replace(before.spec, config=config)
            return (await pods.change(pod_id, expected=before.generation, spec=spec, workload=workload)).generation

    async def want_pod(self, pod_id, wanted, *, keep_data=False):
        async with self._database.transaction(ALL):
            await pods.set_wanted(pod_id, wanted, keep_data=keep_data)

    async def want_tenant(self, tenant_id, wanted):
        async with self._database.transaction(ALL):
            slug = (await tenants.by_id(tenant_id)).slug
            if wanted is Wanted.DELETED:
                await tenants.mark_deleted(slug)
            else:
                await tenants.change(slug, expected=None, wanted=wanted)

    async def put_secret(self, tenant_id, key, value):
        return await self._secret_store.put(tenant_id, key, value)

    async def events(self):
        async with self._database.transaction(ALL):
            found = await events.listing(limit=500)
        return [
            Told(
                tenant=event.tenant,
                pod=event.pod,
                happening=Happening(kind=event.kind, reason=event.reason, severity=event.severity, params=event.params),
            )
            for event in found
        ]

    async def kept_alerts(self):
        async with self._database.transaction(ALL):
            found = await alerts.listing(limit=500)
        return [
            KeptAlert(
                tenant=one.tenant,
                pod=one.pod,
                reason=one.reason,
                subject=one.subject,
                severity=one.severity,
                params=one.params,
                is_open=one.cleared_at is None,
            )
            for one in reversed(found.items)
        ]

    async def pass_time(self, seconds):
        await asyncio.sleep(seconds)  # the lease runs by the database's clock

    @asynccontextmanager
    async def outage(self):
        await self._wire.cut()
        try:
            yield
        finally:
            await self._wire.lay()


@pytest.fixture
async def wire(postgres_server):
    """A line to the test's server."""
    line = Wire(postgres_server.host, postgres_server.port)
    await line.lay()
    yield line
    await line.cut()


@pytest.fixture
async def wired(postgres_access, wire):
    """The test's database behind that line."""
    parts = urlsplit(postgres_access.app_dsn)
    by_wire = parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{wire.port}")
    database = Database(urlunsplit(by_wire))
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def secret_store(wired):
    """The database's own secret store."""
    return PostgresSecretStore(wired, KeyRing.of(b"k" * 32))


@pytest.fixture
async def store(wired, secret_store):
    """The engine's store."""
    listener = Listener(wired)
    yield PostgresStore(
        wired,
        listener=listener,
        hosts=lambda subdomain: (f"{subdomain}.localhost",),
        secret_stores={"postgres": secret_store},
    )
    await listener.close()


@pytest.fixture
def stage(wired, secret_store, wire):
    """The services' side of it."""
    return PostgresStage(wired, secret_store, wire)


class TestPostgresStore(StoreContract):
    """The PostgreSQL store."""

    @pytest.fixture
    def store(self, store):
        """The engine's store."""
        return store

    @pytest.fixture
    def stage(self, stage):
        """Its stage."""
        return stage


@pytest.fixture
async def admin(postgres_server, postgres_access):
    """The superuser in the test's database."""
    name = urlsplit(postgres_access.app_dsn).path.lstrip("/")
    connection = await asyncpg.connect(postgres_server.admin(name))
    yield connection
    await connection.close()


async def test_a_listener_whose_backend_died_comes_back(store, stage, admin):
    """After pg_terminate_backend the follower gets a resync and then changes again."""
    changes = store.changes()
    assert await asyncio.wait_for(anext(changes), 10) == RESYNC

    killed = await admin.fetchval(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
        " where application_name = 'agentpod-listen' and datname = current_database()"
    )

    assert killed == 1
    assert await asyncio.wait_for(anext(changes), 10) == RESYNC
    tenant_id = await stage.add_tenant("acme")
    assert await asyncio.wait_for(anext(changes), 10) == f"tenant:{tenant_id}"
    await changes.aclose()


async def test_a_nudge_reaches_whoever_follows(store, stage):
    """Keys that one server tells are heard by all of them, so that the leader looks wherever it is."""
    changes = store.changes()
    assert await asyncio.wait_for(anext(changes), 10) == RESYNC

    await store.tell("pod:1", RESYNC)

    assert [await asyncio.wait_for(anext(changes), 10) for _ in range(2)] == ["pod:1", RESYNC]
    await changes.aclose()


async def test_a_task_outlives_the_death_of_its_backend(store, stage, admin):
    """A transaction whose backend dies fails as temporary; the same task works again right after."""
    await stage.add_tenant("acme")
    for _ in range(3):
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'agentpod' and datname = current_database()"
        )
        with contextlib.suppress(TemporaryError):
            await store.tenants()

    assert len(await store.tenants()) == 1


async def test_a_frozen_leader_does_not_block_the_next_one(store, stage, wired):
    """A leader that stops in the midst of a write loses its lock in time for the takeover."""
    pod_id = await stage.add_pod(await stage.add_tenant("acme"), "main")
    epoch = await store.lead("frozen", 0.1)
    frozen = await wired.connect()
    try:
        await frozen.execute("set idle_in_transaction_session_timeout = '300ms'")
        await frozen.execute("begin")
        await frozen.execute("select set_config('app.scope', 'all', true)")
        await frozen.execute("select 1 from leases where epoch = $1 for share", epoch)

        taken = await asyncio.wait_for(_until(lambda: store.lead("next", 60)), 10)
    finally:
        frozen.terminate()

    assert taken == epoch + 1
    with pytest.raises(ConflictError):
        await store.save(epoch, pod_id, status=STATUS, record=RECORD)


async def test_the_pool_ends_transactions_that_stand_still(wired):
    """Connections of the app are set up so that a frozen process holds no lock past the lease."""
    async with wired.transaction(ALL) as transaction:
        assert await transaction.value("show idle_in_transaction_session_timeout") == "5s"


async def test_a_takeover_waits_for_a_write_that_has_begun(store, stage, wired):
    """Between the check of the epoch and the commit the lease does not change hands."""
    pod_id = await stage.add_pod(await stage.add_tenant("acme"), "main")
    epoch = await store.lead("one", 0.05)
    async with wired.transaction(ALL):
        await leadership.demand(epoch)
        await stage.pass_time(0.1)
        takeover = asyncio.create_task(store.lead("two", 60))
        await asyncio.sleep(0.1)
        assert not takeover.done()

    assert await takeover == epoch + 1
    assert await store.pod(pod_id) is not None


async def test_the_events_of_a_save_name_the_controller(store, stage, wired):
    """What the engine tells is the controller's doing, with the pod's generation."""
    pod_id = await stage.add_pod(await stage.add_tenant("acme"), "main")
    await stage.want_pod(pod_id, Wanted.STOPPED)
    await store.save(await store.lead("one", 60), pod_id, status=STATUS, record=RECORD, happenings=(HAPPENING,))

    async with wired.transaction(ALL):
        event = (await events.latest(limit=1))[0]

    assert (event.actor, event.generation, event.tenant, event.pod) == ("controller", 2, "acme", "main")


async def _until(ask):
    while (found := await ask()) is None:  # noqa: ASYNC110 - only the database knows
        await asyncio.sleep(0.05)
    return found
