"""A PostgreSQL that stands still without a word: everybody is told so in time, and goes on when it does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from agentpod_core.errors import TemporaryError
from agentpod_server.records import Scope
from agentpod_server.store import bootstrap, migrations, reach
from agentpod_server.store import database as limits
from agentpod_server.store.access import role_of
from agentpod_server.store.database import Database
from agentpod_server.store.testing_servers import INSTANCE, debians_15, wheels_18

ALL = Scope(actor="test")
FASTER = 8
SLACK = 2.0


@pytest.fixture(scope="module", params=[wheels_18, debians_15], ids=["18", "15"])
def mine(request):
    """A server of these tests' own, for it is stopped."""
    with request.param() as server:
        yield server


@pytest.fixture(autouse=True)
def sooner(monkeypatch):
    """Shorten every limit, for these tests have to wait for each of them."""
    for name in ("CONNECT_TIMEOUT", "BEGIN_TIMEOUT", "STATEMENT_TIMEOUT", "PING_TIMEOUT"):
        assert 0 < getattr(limits, name) <= 10, name
        monkeypatch.setattr(limits, name, getattr(limits, name) / FASTER)


@pytest.fixture
async def database(mine):
    """A database with a pool of eight."""
    opened = Database(mine.access(mine.template).app_dsn, pool_size=8)
    await opened.open()
    yield opened
    await opened.close()


@contextlib.contextmanager
def frozen(server):
    """Stop the postmaster and every backend; let them go on at the end."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
    pids = [server.pid, *map(int, children.split())]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def failing(work):
    """Give the error that a piece of work ends with, and the seconds that it took."""
    before = time.monotonic()
    with pytest.raises(TemporaryError) as raised:
        await work
    return raised.value.reason, time.monotonic() - before


async def in_use(database, *, at_once):
    """Make the pool hold that many connections."""
    barrier = asyncio.Barrier(at_once)

    async def one():
        async with database.transaction(ALL):
            await barrier.wait()

    await asyncio.gather(*(one() for _ in range(at_once)))


async def begun(database):
    """Begin a transaction and end it."""
    async with database.transaction(ALL):
        pass


async def test_a_transaction_fails_in_time_however_many_connections_the_pool_has(database, mine):
    """Neither idle connections nor new ones are waited for longer than the limit, all attempts together."""
    await in_use(database, at_once=6)
    with frozen(mine):
        outcomes = [
            await failing(begun(database)),
            *await asyncio.gather(*(failing(begun(database)) for _ in "123456")),
        ]
    assert {reason for reason, _ in outcomes} == {"StoreUnreachable"}
    assert max(seconds for _, seconds in outcomes) < limits.BEGIN_TIMEOUT + SLACK
    await begun(database)


async def test_a_statement_fails_in_time(database, mine):
    """A transaction that had begun is given up within its limit, its end included."""

    async def work():
        async with database.transaction(ALL) as transaction:
            with frozen(mine):
                await transaction.value("select 1")

    reason, seconds = await failing(work())
    assert reason == "StoreUnreachable"
    assert seconds < limits.STATEMENT_TIMEOUT + SLACK
    await begun(database)


async def test_a_ping_is_quick(database, mine):
    """Whether the database answers is said sooner than somebody who watches over the server gives up."""
    with frozen(mine):
        reason, seconds = await failing(database.ping())
    assert reason == "StoreUnreachable"
    assert seconds < limits.PING_TIMEOUT + SLACK
    await database.ping()


async def test_a_start_fails_in_time(mine, monkeypatch):
    """A server that begins does not wait for ever, neither while it prepares the database nor while it migrates."""
    access = mine.access(mine.template)
    steps = [
        (bootstrap, "demand_utf8", lambda: bootstrap.prepare(mine.admin(), access, instance=INSTANCE)),
        (migrations, "_applied", lambda: migrations.migrate(access.owner_dsn, role_of(access.app_dsn))),
    ]
    for module, step, work in steps:
        for limited, name in ((reach, "STATEMENT_SECONDS"), (migrations, "_STATEMENT_SECONDS")):
            monkeypatch.setattr(limited, name, 1.0)
        real = getattr(module, step)
        with contextlib.ExitStack() as stack:

            async def in_between(*args, stack=stack, real=real):
                stack.enter_context(frozen(mine))
                return await real(*args)

            monkeypatch.setattr(module, step, in_between)
            async with asyncio.timeout(30):
                reason, seconds = await failing(work())
        assert reason == "StoreUnreachable", step
        assert seconds < 8, step
        monkeypatch.undo()
        await work()


async def test_closing_is_bounded(mine):
    """A server that stops is not held up by a database that stands still."""
    database = Database(mine.access(mine.template).app_dsn, pool_size=3)
    await database.open()
    await in_use(database, at_once=3)
    with frozen(mine):
        before = time.monotonic()
        await database.close()
        assert time.monotonic() - before < limits.CONNECT_TIMEOUT + SLACK
