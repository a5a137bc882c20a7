"""Facts about the history of what pods used: it gets coarser with age, ends, and never fills a gap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentpod_core.ports import Sample
from agentpod_core.testing.store_stage import WORKLOAD
from agentpod_core.values.names import default_subdomain
from agentpod_core.values.pods import PodSpec
from agentpod_server.records import Scope
from agentpod_server.store import history, pods, tenants
from agentpod_server.store.testing import EVERY_SERVER, on_servers

pytest_generate_tests = on_servers(*EVERY_SERVER)

ALL = Scope(actor="test")
MIB = 1024 * 1024
HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(second=0, microsecond=0)


async def add_pod(database, slug="acme"):
    """Create a tenant with one pod and give both ids."""
    async with database.transaction(ALL):
        tenant = await tenants.create(slug=slug, address_range="10.214.0.0/16")
        spec = PodSpec(adapter="echo", subdomain=default_subdomain(slug, "main"))
        pod = await pods.create(await pods.place(slug), name="main", spec=spec, workload=WORKLOAD)
    return tenant.id, pod.id


@pytest.fixture
async def pod_id(database):
    """A pod."""
    return (await add_pod(database))[1]


async def keep(database, pod_id, *samples):
    """Keep samples, each given as an age with facts."""
    made = [Sample(pod_id=pod_id, at=NOW - age, **{"cpu": 10, "memory": MIB, **facts}) for age, facts in samples]
    async with database.transaction(ALL):
        await history.add(made)


async def tidy(database):
    """Roll up and prune all there is to."""
    for work in (history.roll_up, lambda: history.prune(1000)):
        while True:
            async with database.transaction(ALL):
                if not await work():
                    break


async def spans(database):
    """Give the kept moments by span."""
    async with database.transaction(ALL) as transaction:
        rows = await transaction.fetch("select span, at from metrics_history order by span, at")
    return [(row["span"], row["at"]) for row in rows]


def ten(moment):
    """Give the beginning of a moment's ten minutes."""
    return moment.replace(minute=moment.minute // 10 * 10)


async def test_ten_minutes_become_one_point_with_average_and_peak(database, pod_id):
    """Averages weigh samples, peaks and the last known limit and storage are kept, starts are summed, gaps ignored."""
    begun = ten(NOW - HOUR)
    ages = [NOW - begun - timedelta(minutes=minute) for minute in (0, 1, 7)]
    await keep(
        database,
        pod_id,
        (ages[0], {"cpu": 100, "memory": 10 * MIB, "limit": 50 * MIB, "storage": 5, "restarts": 1}),
        (ages[1], {"cpu": 200, "memory": 20 * MIB, "limit": 60 * MIB, "storage": 7}),
        (ages[2], {"cpu": 600, "memory": 60 * MIB, "limit": 70 * MIB, "restarts": 2}),
    )
    await tidy(database)
    async with database.transaction(ALL):
        found = await history.points(pod_id, timedelta(days=2), 600)
    assert found == [
        history.Point(
            at=begun,
            cpu=300,
            cpu_max=600,
            memory=30 * MIB,
            memory_max=60 * MIB,
            memory_limit=70 * MIB,
            storage=7,
            restarts=3,
        )
    ]


async def test_an_hour_knows_of_all_that_was_rolled_up_late(database, pod_id):
    """Where several ten minutes of an hour wait, as after a restart, the hour is made when all of them are."""
    begun = (NOW - 5 * HOUR).replace(minute=0)
    ages = [NOW - begun - timedelta(minutes=minute) for minute in range(0, 60, 10)]
    await keep(database, pod_id, *((age, {"cpu": 100 * number, "restarts": 1}) for number, age in enumerate(ages)))
    await tidy(database)
    async with database.transaction(ALL):
        (hour,) = await history.points(pod_id, timedelta(days=30), 3600)
    assert (hour.at, hour.restarts, hour.cpu_max, hour.cpu) == (begun, 6, 500, 250)


async def test_what_is_not_over_is_not_rolled_up(database, pod_id):
    """The present ten minutes wait for the rest of their samples."""
    await keep(database, pod_id, (NOW - datetime.now(UTC), {}))
    await tidy(database)
    assert [span for span, _ in await spans(database)] == [60]


async def test_each_span_ends_in_its_time(database, pod_id):
    """Minutes last a day, tens of minutes a week and hours a month; an hour knows of all its minutes."""
    ages = [2 * HOUR, 30 * HOUR, timedelta(days=10), timedelta(days=40)]
    await keep(database, pod_id, *((age, {}) for age in ages))
    await tidy(database)
    kept = await spans(database)
    expected = [(60, NOW - ages[0])]
    expected += [(600, ten(NOW - age)) for age in reversed(ages[:2])]
    expected += [(3600, (NOW - age).replace(minute=0)) for age in (ages[2], ages[1])]
    # Whether two hours ago is an hour that is over depends on the minute.
    assert [one for one in kept if one[0] != 3600 or one[1] < NOW - 3 * HOUR] == expected


async def test_rolling_up_goes_on_after_a_long_silence(database, pod_id):
    """Days without a sample are no obstacle, and nothing is made of them."""
    await keep(database, pod_id, (25 * HOUR, {}))
    await tidy(database)
    await keep(database, pod_id, (2 * HOUR, {}))
    await tidy(database)
    tens = [at for span, at in await spans(database) if span == 600]
    assert tens == [ten(NOW - 25 * HOUR), ten(NOW - 2 * HOUR)]


async def test_pruning_is_bounded(database, pod_id):
    """A batch takes away no more than it may."""
    await keep(database, pod_id, *((30 * HOUR + timedelta(minutes=n), {}) for n in range(5)))
    async with database.transaction(ALL):
        gone = [await history.prune(2) for _ in range(4)]
    assert gone == [2, 2, 1, 0]


@pytest.mark.parametrize(
    ("since", "step", "expected"),
    [(HOUR, 60, 3), (20 * HOUR, 600, 3), (timedelta(days=30), 3600, 2)],
    ids=["minutes", "tens", "hours"],
)
async def test_any_span_reaches_up_to_now(database, pod_id, since, step, expected):
    """What is not rolled up yet is there all the same, and what is missing stays missing."""
    whole = NOW.replace(minute=0)
    moments = [whole - timedelta(minutes=58), whole - timedelta(minutes=31), NOW]
    await keep(database, pod_id, *((NOW - at, {}) for at in moments))
    async with database.transaction(ALL):
        before = await history.points(pod_id, since + 2 * HOUR, step)
    await tidy(database)
    async with database.transaction(ALL):
        after = await history.points(pod_id, since + 2 * HOUR, step)
    assert (len(before), after) == (expected, before)


async def test_a_tenant_sees_its_own(database, pod_id):
    """The history of other tenants' pods is not there."""
    other, _ = await add_pod(database, "globex")
    await keep(database, pod_id, (timedelta(), {}))
    async with database.transaction(Scope(tenant_id=other)):
        assert await history.points(pod_id, HOUR, 60) == []


@pytest.mark.parametrize("age", [timedelta(minutes=5), 30 * HOUR, 20 * 24 * HOUR])
async def test_what_volumes_held_is_known_for_as_long_as_any_point_is(database, pod_id, age):
    """Also of a pod that has been stopped for longer than its minutes are kept."""
    await keep(database, pod_id, (age, {"storage": 7}), (age - timedelta(minutes=1), {}))
    await tidy(database)
    async with database.transaction(ALL):
        known = await history.storage(pod_id)
    assert known == 7
