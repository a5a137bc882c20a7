"""What a pass concludes is written whole or not at all: status, availability, alerts, their messages and events."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg
import pytest

from agentpod_core.testing.store_stage import HAPPENING, RECORD, STATUS, WORKLOAD
from agentpod_core.values.alerts import Raise
from agentpod_core.values.pods import PodSpec
from agentpod_core.values.status import Condition, ConditionType, Phase, PodStatus, Record, Severity
from agentpod_server.records import Scope
from agentpod_server.store import pods, targets, tenants
from agentpod_server.store.engine import PostgresStore
from agentpod_server.store.listen import Listener
from agentpod_server.store.testing import OUR_SERVERS, on_servers

pytest_generate_tests = on_servers(*OUR_SERVERS)

ALL = Scope(actor="test")
TABLES = ("pod_status", "availability", "alerts", "alerts_outbox", "events")
"""All that a save writes to, in the order in which it does."""
CONCLUDED = {
    "status": STATUS,
    "record": RECORD,
    "happenings": (HAPPENING,),
    "alerts": (Raise(reason="CrashLoop", severity=Severity.ERROR),),
}
READY = Condition(type=ConditionType.READY, status=True, reason="Answering", since=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
async def told():
    """What the store said to have happened."""
    return []


@pytest.fixture
async def store(database, told):
    """The engine's side of the store."""
    listener = Listener(database)
    yield PostgresStore(database, listener=listener, hosts=lambda _: (), secret_stores={}, happened=told.extend)
    await listener.close()


@pytest.fixture
async def pod(database):
    """A pod, and a target that is told of every alert."""
    async with database.transaction(ALL):
        await tenants.create(slug="acme", address_range="10.214.0.0/16")
        await targets.create(
            target_id=targets.new_id(),
            tenant_id=None,
            tenant="",
            name="ops",
            kind="fake",
            settings={},
            min_severity=Severity.INFO,
            reasons=(),
        )
        spec = PodSpec(adapter="echo", subdomain="acme")
        return await pods.create(await pods.place("acme"), name="main", spec=spec, workload=WORKLOAD)


@pytest.fixture
async def refusing(postgres_server, postgres_access):
    """Give what makes the database refuse to write to a table, or (None) to none; as its superuser."""
    name = urlsplit(postgres_access.app_dsn).path.lstrip("/")
    admin = await asyncpg.connect(postgres_server.admin(name))
    await admin.execute(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$"
    )

    async def refuse(refused):
        for table in TABLES:
            await admin.execute(f"drop trigger if exists refuse on {table}")
        if refused:
            when = f"after insert or update on {refused}"
            await admin.execute(f"create trigger refuse {when} for each row execute function refuse()")

    yield refuse
    await admin.close()


async def _rows(database):
    async with database.transaction(ALL) as transaction:
        return {
            table: sorted(row[0] for row in await transaction.fetch(f"select to_jsonb(t)::text from {table} t"))
            for table in TABLES
        }


async def test_what_a_pass_concludes_is_written_whole_or_not_at_all(store, database, pod, refusing, told):
    """Whichever of its rows the database refuses, all are as they were, and nothing is said to have happened."""
    epoch = await store.lead("one", 60)
    was_ready = PodStatus(phase=Phase.RUNNING, conditions=(READY,))
    await store.save(epoch, pod.id, status=was_ready, record=Record())
    before = await _rows(database)

    for table in TABLES:
        await refusing(table)
        with pytest.raises(asyncpg.RaiseError):
            await store.save(epoch, pod.id, **CONCLUDED)
        assert (table, await _rows(database), told) == (table, before, [])

    await refusing(None)
    await store.save(epoch, pod.id, **CONCLUDED)
    after = await _rows(database)
    assert [table for table in TABLES if after[table] == before[table]] == []
    assert told == [HAPPENING]


async def test_what_befalls_the_platform_is_written_whole_or_not_at_all(store, database, pod, refusing):
    """So it is with what concerns no pod: its event, its alert and who is to be told of it."""
    before = await _rows(database)
    written = TABLES[2:]
    for table in written:
        await refusing(table)
        with pytest.raises(asyncpg.RaiseError):
            await store.report((HAPPENING,), alerts=CONCLUDED["alerts"])
        assert (table, await _rows(database)) == (table, before)

    await refusing(None)
    await store.report((HAPPENING,), alerts=CONCLUDED["alerts"])
    after = await _rows(database)
    assert tuple(table for table in TABLES if after[table] != before[table]) == written
