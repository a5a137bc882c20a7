"""Facts about a database whose clock was ahead and was set right: nobody waits for that date, no record stays false."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from agentpod_core.ports import Sample
from agentpod_core.testing.store_stage import WORKLOAD
from agentpod_core.values.pods import PodSpec, Wanted
from agentpod_core.values.status import Condition, ConditionType, Phase, PodStatus, Record
from agentpod_server.availability import State
from agentpod_server.records import Scope
from agentpod_server.services.retention import Kept, Retention
from agentpod_server.store import availability, history, leadership, pods, tenants
from agentpod_server.store.database import Database
from agentpod_server.store.engine import PostgresStore
from agentpod_server.store.listen import Listener
from agentpod_server.store.testing import OUR_SERVERS, on_servers

pytest_generate_tests = on_servers(*OUR_SERVERS)

ALL = Scope(actor="test")
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
EIGHT = timedelta(hours=8)

# Whoever has this schema in front of PostgreSQL's own asks these clocks.
_CLOCKS = """
    create schema ahead;
    grant usage on schema ahead to public;
    create function ahead.clock_timestamp() returns timestamptz language sql volatile as
        $$ select pg_catalog.clock_timestamp() + interval '{ahead}' $$;
    create function ahead.now() returns timestamptz language sql stable as
        $$ select pg_catalog.now() + interval '{ahead}' $$;
"""


@asynccontextmanager
async def _ahead(access, time):
    owner = await asyncpg.connect(access.owner_dsn)
    await owner.execute(_CLOCKS.format(ahead=time))
    await owner.close()
    made = Database(f"{access.app_dsn}?search_path=ahead,public,pg_catalog")
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def early(database, postgres_access):
    """The same database while its clock is eight hours ahead; ``database`` has it as it was set right."""
    async with _ahead(postgres_access, EIGHT) as made:
        yield made


@pytest.fixture
async def a_little_early(database, postgres_access):
    """The same while its clock is five minutes ahead."""
    async with _ahead(postgres_access, timedelta(minutes=5)) as made:
        yield made


@pytest.fixture
async def pod(database):
    """A pod of a tenant."""
    async with database.transaction(ALL):
        await tenants.create(slug="acme", address_range="10.214.0.0/16")
        placement = await pods.place("acme")
        return await pods.create(
            placement, name="main", spec=PodSpec(adapter="echo", subdomain="acme"), workload=WORKLOAD
        )


class _Engine:
    """An engine of a process that leads."""

    epoch = 1


async def tidy(database):
    """Do what the leader does now and then."""
    await Retention(database, _Engine(), Kept()).prune()


# Who leads.


async def take(database, holder, seconds=60.0):
    """Ask for the lease."""
    async with database.transaction(ALL):
        return await leadership.take(holder, seconds)


async def test_a_lease_that_was_given_up_is_free(database, early):
    """Who stopped while the clock was ahead has left nothing behind that another would wait for."""
    first = await take(early, "one")
    async with early.transaction(ALL):
        await leadership.give_up("one")

    assert await take(database, "two") > first


async def test_a_lease_of_one_that_was_killed_runs_out(database, early):
    """It lasts for its duration from when another asks, and not until the date that was written into it."""
    first = await take(early, "one", 0.5)

    assert await take(database, "two") is None
    async with asyncio.timeout(60):
        while (second := await take(database, "two")) is None:  # noqa: ASYNC110 - only the database knows
            await asyncio.sleep(0.05)
    assert second > first
    assert await take(database, "three") is None


async def test_a_living_leader_keeps_its_lease(database, early):
    """Whoever asks right after the clock was set back takes nothing from a leader that has yet to renew."""
    epoch = await take(early, "one")

    assert await take(database, "two") is None
    assert await take(database, "two") is None
    assert await take(database, "one") == epoch
    assert await take(database, "two") is None


# What pods used.


async def sampled(database, pod, at, **facts):
    """Keep a sample of a minute."""
    async with database.transaction(ALL):
        await history.add([Sample(pod_id=pod.id, at=at, **{"cpu": 10, "memory": 1, **facts})])


async def spans(database):
    """Give the kept moments by span."""
    async with database.transaction(ALL) as transaction:
        rows = await transaction.fetch("select span, at from metrics_history order by span, at")
    return [(row["span"], row["at"]) for row in rows]


async def test_history_goes_on_at_once(database, early, pod):
    """What was rolled up with a date to come holds nothing up, and is not shown; nor is a volume's size of then."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    begun = (now - timedelta(minutes=40)).replace(minute=(now - timedelta(minutes=40)).minute // 10 * 10)
    await sampled(early, pod, begun + EIGHT, storage=9)
    await tidy(early)
    assert (600, begun + EIGHT) in await spans(database)
    await sampled(database, pod, begun, storage=7)
    await tidy(database)

    assert (600, begun) in await spans(database)
    async with database.transaction(ALL):
        assert [one.at for one in await history.points(pod.id, timedelta(days=2), 600)] == [begun]
        assert [one.at for one in await history.points(pod.id, timedelta(hours=20), 60)] == [begun]
        assert await history.storage(pod.id) == 7


async def test_what_comes_near_is_forgotten(database, early, pod):
    """Points are gone before their date comes; those of a far one stay, for it may be now that the clock is wrong."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    near, far = now + timedelta(minutes=30), now + timedelta(hours=7)
    for at in (now, near, far):
        await sampled(early, pod, at)
    await tidy(database)

    assert [at for span, at in await spans(database) if span == 60] == [now, far]


async def test_who_measures_may_be_ahead(database, pod):
    """Samples of a machine whose clock is ahead of the database's are of the present minute, the last one counts."""
    begun = datetime.now(UTC).replace(second=0, microsecond=0)
    async with database.transaction(ALL):
        await history.add(
            [Sample(pod_id=pod.id, at=begun + timedelta(hours=one), cpu=one, memory=1) for one in (1, 2, 3)]
        )
        (point,) = await history.points(pod.id, timedelta(hours=1), 60)

    assert (point.cpu, point.at - begun <= timedelta(minutes=10)) == (3, True)


# What pods were.


async def concluded(database, pod, *answers):
    """Save what passes conclude, one after the other."""
    async with database.transaction(ALL):
        epoch = await leadership.take("me", 60)
    listener = Listener(database)
    store = PostgresStore(database, listener=listener, hosts=lambda _: (), secret_stores={})
    for ready in answers:
        condition = Condition(type=ConditionType.READY, status=ready, reason="-", since=datetime.now(UTC))
        status = PodStatus(phase=Phase.RUNNING, conditions=(condition,))
        await store.save(epoch, pod.id, status=status, record=Record())
    await listener.close()
    return store, epoch


async def past(database, pod):
    """Give what the pod was until now, and when nobody led."""
    now = datetime.now(UTC)
    async with database.transaction(ALL):
        found = await availability.of_pod(pod.id, PAST, now)
        return [one.state for one in found], await availability.gaps(PAST, FUTURE)


async def test_what_is_soon_is_no_last_word(database, a_little_early, pod):
    """A pod that is ready again is not taken for down once the date comes that its trouble was noted with."""
    await concluded(database, pod, True)
    await concluded(a_little_early, pod, False)
    await concluded(database, pod, True)

    async with database.transaction(ALL):
        found = await availability.of_pod(pod.id, PAST, datetime.now(UTC) + timedelta(minutes=10))
    assert found[-1].state is State.READY


async def test_what_a_pod_is_counts_from_now_on(database, early, pod):
    """Changes that were noted with a date to come do not hide those after them."""
    await concluded(database, pod, True)
    await concluded(early, pod, False, True)
    await concluded(database, pod, False)

    assert (await past(database, pod))[0] == [State.READY, State.NOT_READY]


async def test_a_state_that_lasts_is_noted_again(database, early, pod):
    """A pod that went down while the clock was ahead is down, though nothing about it changes any more."""
    await concluded(database, pod, True)
    await concluded(early, pod, False)
    await tidy(database)
    await tidy(database)

    assert (await past(database, pod))[0] == [State.READY, State.NOT_READY]


async def test_a_pod_that_went_meanwhile_is_owed_no_more(database, early, pod):
    """The history of a pod that was deleted while the clock was ahead ends now."""
    await concluded(database, pod, True)
    store, epoch = await concluded(early, pod)
    async with early.transaction(ALL):
        await pods.set_wanted(pod.id, Wanted.DELETED)
    await store.forget_pod(epoch, pod.id)
    await tidy(database)

    assert (await past(database, pod))[0] == [State.READY, State.NOT_WANTED]


async def test_the_time_of_the_wrong_clock_ends(database, early, pod):
    """When it jumped nobody led; that is unknown until it was set right, and not until the date to come."""
    await concluded(database, pod, True)
    await concluded(early, pod, True)
    await tidy(database)

    (gap,) = (await past(database, pod))[1]
    assert gap.begin < gap.end <= datetime.now(UTC)
