"""Facts about what is written down of pods' availability, by whom, and for how long it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentpod_core.testing.store_stage import WORKLOAD
from agentpod_core.values.pods import PodSpec, Wanted
from agentpod_core.values.status import Condition, ConditionType, Phase, PodStatus, Record
from agentpod_server.availability import State, Transition
from agentpod_server.records import Scope
from agentpod_server.store import availability, pods, tenants
from agentpod_server.store.engine import PostgresStore
from agentpod_server.store.ids import uuid7
from agentpod_server.store.listen import Listener
from agentpod_server.store.testing import OUR_SERVERS, on_servers

pytest_generate_tests = on_servers(*OUR_SERVERS)

ALL = Scope(actor="test")
NOBODY = "00000000-0000-0000-0000-000000000000"
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
async def store(database):
    """The engine's side of the store."""
    listener = Listener(database)
    yield PostgresStore(database, listener=listener, hosts=lambda _: (), secret_stores={})
    await listener.close()


@pytest.fixture
async def pod(database):
    """A pod of a tenant."""
    async with database.transaction(ALL):
        await tenants.create(slug="acme", address_range="10.214.0.0/16")
        placement = await pods.place("acme")
        return await pods.create(
            placement, name="main", spec=PodSpec(adapter="echo", subdomain="acme"), workload=WORKLOAD
        )


def _status(ready, reason="Answering"):
    condition = Condition(type=ConditionType.READY, status=ready, reason=reason, since=datetime.now(UTC))
    return PodStatus(phase=Phase.RUNNING, conditions=(condition,))


async def _save(store, pod, *answers):
    epoch = await store.lead("me", 60)
    for ready, reason in answers:
        await store.save(epoch, pod.id, status=_status(ready, reason), record=Record())
    return epoch


async def _states(database, pod):
    async with database.transaction(ALL):
        return [one.state for one in await availability.of_pod(pod.id, PAST, FUTURE)]


async def test_a_change_is_written_once(store, database, pod):
    """With each conclusion that differs for availability a row is added, and with no other."""
    await _save(store, pod, (True, "Answering"), (True, "Answering"), (False, "NotRunning"), (False, "NotReady"))

    assert await _states(database, pod) == [State.READY, State.NOT_READY]


async def test_a_new_pod_is_owed_from_its_first_answer_on(store, database, pod):
    """Its first boot counts neither for nor against it."""
    await _save(store, pod, (False, "NotRunning"), (None, "NotAskedYet"), (True, "Answering"))

    assert await _states(database, pod) == [State.READY]


async def test_a_stop_and_an_unreachable_engine_are_told_apart(store, database, pod):
    """What nobody wants is not wanted, and what nobody sees is unknown."""
    await _save(store, pod, (True, "Answering"), (None, "EngineUnreachable"), (False, "NotWanted"))

    assert await _states(database, pod) == [State.READY, State.UNKNOWN, State.NOT_WANTED]


async def test_what_is_refused_to_save_is_not_noted(store, database, pod):
    """Who leads no more writes no history either."""
    await _save(store, pod, (True, "Answering"))
    with pytest.raises(Exception, match="NotLeader"):
        await store.save(99, pod.id, status=_status(False, "NotRunning"), record=Record())

    assert await _states(database, pod) == [State.READY]


async def test_a_history_outlives_its_pod(store, database, pod):
    """A deleted pod's time ends with it and still counts for its tenant."""
    epoch = await _save(store, pod, (True, "Answering"))
    async with database.transaction(ALL):
        await pods.set_wanted(pod.id, Wanted.DELETED)
    await store.forget_pod(epoch, pod.id)

    async with database.transaction(Scope(tenant_id=pod.tenant_id)):
        found = await availability.of_tenant(pod.tenant_id, PAST, FUTURE)
    assert [one.state for one in found[pod.id]] == [State.READY, State.NOT_WANTED]


async def test_the_state_at_the_begin_is_given(store, database, pod):
    """Who asks from a moment on learns what the pod was then."""
    await _save(store, pod, (True, "Answering"), (False, "NotRunning"), (True, "Answering"))
    async with database.transaction(ALL):
        every = await availability.of_pod(pod.id, PAST, FUTURE)
        later = await availability.of_pod(pod.id, every[1].at + timedelta(microseconds=1), FUTURE)

    assert later == every[1:]


async def test_a_clock_that_is_set_back_keeps_the_order(store, database, pod):
    """Where it is set back a little, a transition is never noted before the one that it follows."""
    await _save(store, pod, (True, "Answering"))
    async with database.transaction(ALL) as transaction:
        await transaction.execute(
            "insert into availability (id, tenant_id, tenant, pod_id, pod, at, state)"
            " values ($1, $2, 'acme', $3, 'main', now() + interval '30 seconds', 'not-ready')",
            uuid7(),
            pod.tenant_id,
            pod.id,
        )
    await _save(store, pod, (True, "Answering"))

    assert await _states(database, pod) == [State.READY, State.NOT_READY, State.READY]


async def _gaps(database):
    async with database.transaction(ALL):
        return await availability.gaps(PAST, FUTURE)


async def test_who_renews_in_time_leaves_no_gap(store, database):
    """A leader that goes on leading has seen everything."""
    for _ in range(3):
        await store.lead("me", 60)

    assert await _gaps(database) == []


async def test_the_time_until_another_leads_is_a_gap(store, database):
    """It begins with the last renewal: what happened since then nobody wrote down."""
    await store.lead("me", 0.01)
    before = datetime.now(UTC)
    async with database.transaction(ALL) as transaction:
        await transaction.execute("select pg_sleep(0.3)")
    await store.lead("other", 60)

    (gap,) = await _gaps(database)
    assert (gap.end - gap.begin).total_seconds() == pytest.approx(0.3, abs=0.25)
    assert gap.begin <= before + timedelta(seconds=0.2)


async def test_who_slept_past_its_own_lease_leaves_a_gap(store, database):
    """A leader that stood still and found nobody else in its place has seen nothing meanwhile either."""
    await store.lead("me", 0.01)
    async with database.transaction(ALL) as transaction:
        await transaction.execute("select pg_sleep(0.1)")
    await store.lead("me", 60)

    assert len(await _gaps(database)) == 1


async def test_a_platform_that_was_down_leaves_a_gap(store, database):
    """A lease that was given up and taken again much later: nobody led in between."""
    await store.lead("me", 60)
    await store.step_down("me")
    async with database.transaction(ALL) as transaction:
        await transaction.execute("select pg_sleep(0.2)")
    await store.lead("next", 60)

    (gap,) = await _gaps(database)
    assert (gap.end - gap.begin).total_seconds() >= 0.2


async def test_while_nobody_leads_the_gap_is_open(store, database):
    """Who asks while the lease has run out is told that since its last renewal nothing is known."""
    await store.lead("me", 0.01)
    async with database.transaction(ALL) as transaction:
        await transaction.execute("select pg_sleep(0.1)")

    assert len(await _gaps(database)) == 1


async def test_what_is_old_goes_but_for_what_it_still_says(store, database, pod):
    """Of each pod the newest row from before the time that is kept stays; batches are bounded."""
    async with database.transaction(ALL) as transaction:
        for age, state in ((500, "ready"), (490, "not-ready"), (480, "ready"), (450, "not-ready"), (10, "ready")):
            await transaction.execute(
                "insert into availability (id, tenant_id, tenant, pod_id, pod, at, state)"
                " values ($1, $2, 'acme', $3, 'main', now() - make_interval(days => $4), $5)",
                uuid7(),
                pod.tenant_id,
                pod.id,
                age,
                state,
            )
    numbers = []
    while not numbers or numbers[-1]:
        async with database.transaction(ALL):
            numbers.append(await availability.prune(timedelta(days=400), 2))

    assert numbers == [2, 1, 0]
    assert await _states(database, pod) == [State.NOT_READY, State.READY]


async def test_a_flapping_pods_oldest_time_becomes_unknown(store, database, pod):
    """Over so many changes of one pod the oldest go, in batches: its time began when it did, and is unknown since."""
    await _save(store, pod, *[(one % 2 == 0, "Answering") for one in range(9)])
    async with database.transaction(ALL):
        before = await availability.of_pod(pod.id, PAST, FUTURE)
    gone = []
    async with database.transaction(ALL):
        (crowded,), _ = await availability.crowded(3, NOBODY, 10)
    while not gone or gone[-1]:
        async with database.transaction(ALL):
            gone.append(await availability.shorten(crowded, 4))

    assert gone == [4, 3, 0]
    async with database.transaction(ALL):
        assert await availability.crowded(3, NOBODY, 10) == ([], None)
        left = await availability.of_pod(pod.id, PAST, FUTURE)
    assert left == [Transition(before[0].at, State.UNKNOWN), *before[-3:]]


@pytest.mark.parametrize(
    "sql", ["update availability set state = 'ready'", "update availability_gaps set until = now()"]
)
async def test_nobody_changes_what_was_written(database, sql):
    """Availability is evidence: the app role adds to it and takes away what is old, and cannot alter it."""
    with pytest.raises(Exception, match="permission denied"):
        async with database.transaction(ALL) as transaction:
            await transaction.execute(sql)


async def test_a_tenant_takes_nothing_of_its_history_away(store, database, pod):
    """In a tenant's scope its rows are seen, and a delete touches none."""
    await _save(store, pod, (True, "Answering"))
    async with database.transaction(Scope(tenant_id=pod.tenant_id)) as transaction:
        assert await transaction.execute("delete from availability") == 0

    assert await _states(database, pod) == [State.READY]
