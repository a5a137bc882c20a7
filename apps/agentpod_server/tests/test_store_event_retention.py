"""Facts about events that are taken away: which, how many at once, who waits, and who is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from agentpod_core.testing.store_stage import WORKLOAD
from agentpod_core.values.pods import PodSpec
from agentpod_core.values.status import Happening
from agentpod_server.records import Scope
from agentpod_server.services import retention
from agentpod_server.services.retention import Kept, Retention
from agentpod_server.store import event_retention, events, pods, tenants
from agentpod_server.store.testing import OUR_SERVERS, on_servers

pytest_generate_tests = on_servers(*OUR_SERVERS)

ALL = Scope(actor="test")
MONTHS = timedelta(days=90)
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def two(database):
    """Two pods of one tenant."""
    made = []
    async with database.transaction(ALL):
        await tenants.create(slug="acme", address_range="10.214.0.0/16")
        for name in ("main", "second"):
            placement = await pods.place("acme")
            spec = PodSpec(adapter="echo", subdomain=name)
            made.append(await pods.create(placement, name=name, spec=spec, workload=WORKLOAD))
    return made


async def _write(database, count, *, pod=None, days=0):
    """Write events that are so old, and give their numbers."""
    happening = Happening(kind="pod", reason="Restarting")
    async with database.transaction(ALL):
        last = await events.last_seq()
        if pod is None:
            events.append(*[happening] * count)
        else:
            events.append_for(pod, *[happening] * count)
    async with database.transaction(ALL):
        numbers = [one.seq for one in await events.listing(after=last, limit=500)]
    if days:
        await _age(database, numbers, days)
    return numbers


async def _age(database, numbers, days):
    """Make events old, which the app role may not: by writing them anew."""
    async with database.transaction(ALL) as transaction:
        await transaction.execute(
            "create temp table aged on commit drop as select * from events where seq = any($1)", numbers
        )
        await transaction.execute("delete from events where seq = any($1)", numbers)
        await transaction.execute("update aged set at = at - make_interval(days => $1)", days)
        await transaction.execute("insert into events select * from aged order by seq")


async def _left(database):
    async with database.transaction(ALL):
        return len(await events.listing(limit=500))


async def _call(database, function, *args):
    async with database.transaction(ALL):
        return await function(*args)


async def test_what_is_old_goes_in_batches(database):
    """At most so many at once, the oldest first, and nothing that is young."""
    await _write(database, 5, days=100)
    await _write(database, 3)

    gone = [await _call(database, event_retention.prune_old, MONTHS, 2) for _ in range(4)]

    assert gone == [2, 2, 1, 0]
    assert await _left(database) == 3


async def test_a_flapping_pod_keeps_its_newest(database, two):
    """Of a pod with more events than are kept the oldest go; another pod's stay."""
    flapping, quiet = two
    await _write(database, 4, pod=quiet)
    numbers = await _write(database, 10, pod=flapping)

    (crowded,), last = await _call(database, event_retention.crowded, 6, NOBODY, 10)
    gone = [await _call(database, event_retention.shorten, crowded, 3) for _ in range(3)]

    assert (gone, crowded.pod, last) == ([3, 1, 0], "main", None)
    async with database.transaction(ALL):
        assert [one.seq for one in await events.listing(pod="main")] == numbers[4:]
        assert len(await events.listing(pod="second")) == 4


async def test_who_asks_for_what_is_gone_is_told(database, two):
    """A reader of that pod or of everything has missed some; one of another pod, or with a younger number, has not."""
    numbers = await _write(database, 10, pod=two[0])
    (crowded,), _ = await _call(database, event_retention.crowded, 6, NOBODY, 10)
    await _call(database, event_retention.shorten, crowded, 100)

    async def missed(after, **where):
        return await _call(database, lambda: event_retention.has_missed(after, **where))

    assert await missed(0)
    assert await missed(numbers[2], tenant="acme", pod="main")
    assert not await missed(numbers[3], tenant="acme", pod="main")
    assert not await missed(0, tenant="acme", pod="second")
    assert not await missed(0, tenant="globex")


async def test_age_concerns_every_reader(database, two):
    """What went for its age may have been anybody's."""
    numbers = await _write(database, 5, days=100)
    last = (await _write(database, 1))[-1]
    await _call(database, event_retention.prune_old, MONTHS, 100)

    async def missed(after, **where):
        return await _call(database, lambda: event_retention.has_missed(after, **where))

    assert await missed(numbers[0], tenant="acme", pod="second")
    assert not await missed(last)


async def test_nobody_who_writes_waits_for_the_pruning(database, two):
    """While a batch is being taken away, an event is written and committed."""
    await _write(database, 10, pod=two[0])
    async with asyncio.timeout(5), database.transaction(ALL):
        (crowded,), _ = await event_retention.crowded(6, NOBODY, 10)
        assert await event_retention.shorten(crowded, 100) == 4
        await asyncio.create_task(_other(database))

    assert await _left(database) == 7


async def _other(database):
    async with database.transaction(ALL):
        events.append(Happening(kind="pod", reason="Running"))


class _Engine:
    """An engine of a process that leads the second time it is asked."""

    def __init__(self):
        self._asked = 0

    @property
    def epoch(self):
        self._asked += 1
        return 1 if self._asked > 1 else None


async def test_the_leader_prunes_all_there_is(database, two, monkeypatch):
    """As soon as it leads, one round takes away everything that is old or too much, and asks of each pod once."""
    await _write(database, 5, days=100)
    for pod in two:
        await _write(database, 120, pod=pod)
    pages, find, is_over = [], event_retention.crowded, asyncio.Event()

    async def crowded(*asked):
        pages.append(await find(*asked))
        if pages[-1][1] is None:
            is_over.set()
        return pages[-1]

    monkeypatch.setattr(event_retention, "crowded", crowded)
    monkeypatch.setattr(retention, "LOOK", 0.01)
    monkeypatch.setattr(retention, "PODS_AT_ONCE", 1)
    kept = Kept(events_for=MONTHS, events_per_pod=100)
    pruning = asyncio.create_task(Retention(database, _Engine(), kept).run())

    await asyncio.wait_for(is_over.wait(), 60)
    pruning.cancel()
    assert await _left(database) == 200
    assert [([one.pod for one in found], last) for found, last in pages] == [
        (["main"], two[0].id),
        (["second"], two[1].id),
        ([], None),
    ]
