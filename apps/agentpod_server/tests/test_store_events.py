"""Facts about events, those who follow them, and operations."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agentpod_core.errors import ConflictError, NotFoundError
from agentpod_core.ports import RESYNC
from agentpod_core.values.status import Happening, Severity
from agentpod_server.records import Failure, OperationStatus, Progress, Scope
from agentpod_server.store import events, operations
from agentpod_server.store.listen import Listener

ALL = Scope(actor="ann", request_id="r1")


@pytest.fixture
async def listener(database):
    """What listens on the test's database."""
    made = Listener(database)
    yield made
    await made.close()


def _happening(number=0):
    return Happening(kind="pod", reason="Started", severity=Severity.WARNING, params={"n": number})


async def test_an_event_says_who_asked(database):
    """Actor and request come from the scope, time and number from the database."""
    async with database.transaction(ALL):
        events.append(_happening(), tenant="acme", pod="main", generation=3)
        assert await events.listing() == []
    async with database.transaction(ALL):
        (event,) = await events.listing()

    assert (event.actor, event.request_id, event.generation) == ("ann", "r1", 3)
    assert (event.tenant, event.pod, event.kind, event.reason) == ("acme", "main", "pod", "Started")
    assert (event.severity, event.params) == (Severity.WARNING, {"n": 0})
    assert event.seq > 0
    assert abs(datetime.now(UTC) - event.at) < timedelta(minutes=1)


async def test_the_order_of_commits_is_the_order_of_numbers(database):
    """A reader who goes on after the last number it saw misses nothing, whatever is written meanwhile."""
    total, seen = 120, []

    async def write(number):
        async with database.transaction(ALL) as transaction:
            events.append(_happening(number), _happening(number))
            await transaction.execute("select pg_sleep($1)", (number % 7) / 500)

    async def read():
        last = 0
        while len(seen) < 2 * total:
            async with database.transaction(ALL):
                found = await events.listing(after=last, limit=7)
            seen.extend(event.params["n"] for event in found)
            last = found[-1].seq if found else last

    async with asyncio.timeout(60):
        await asyncio.gather(read(), *(write(number) for number in range(total)))

    assert sorted(seen) == sorted([*range(total), *range(total)])


async def test_a_higher_number_waits_for_a_lower_one(database):
    """Who draws a number later commits later, even if its transaction is done first."""
    async with database.transaction(ALL) as transaction:
        events.append(_happening(1))
        await transaction.run_last_acts()

        second = asyncio.create_task(_write(database, 2))
        await asyncio.sleep(0.2)
        assert not second.done()
    await second

    async with database.transaction(ALL):
        assert [event.params["n"] for event in await events.listing()] == [1, 2]


async def _write(database, number):
    async with database.transaction(ALL):
        events.append(_happening(number))


async def test_events_are_read_forwards_and_backwards(database):
    """Listing goes up from a number, latest goes down from one, both filtered by tenant and pod."""
    async with database.transaction(ALL):
        for number, (tenant, pod) in enumerate([("a", "x"), ("a", "y"), ("b", "x"), ("", "")]):
            events.append(_happening(number), tenant=tenant, pod=pod)
    async with database.transaction(ALL):
        every = await events.listing()
        of_a = await events.listing(tenant="a", after=every[0].seq)
        newest = await events.latest(limit=2)
        older = await events.latest(before=newest[-1].seq)
        of_a_x = await events.latest(tenant="a", pod="x")
        last = await events.last_seq()

    assert [event.params["n"] for event in every] == [0, 1, 2, 3]
    assert [event.params["n"] for event in of_a] == [1]
    assert [event.params["n"] for event in (*newest, *older)] == [3, 2, 1, 0]
    assert [event.params["n"] for event in of_a_x] == [0]
    assert last == every[-1].seq


async def test_followers_are_told_of_events_and_operations(database, listener):
    """Each channel begins with a resync and then tells what was committed, to every follower."""
    followers = [listener.follow("events"), listener.follow("events"), listener.follow("operations")]
    async with asyncio.timeout(20):
        assert [await anext(follower) for follower in followers] == [RESYNC] * 3
        async with database.transaction(ALL):
            events.append(_happening())
            operation = await operations.create("image", "echo")
        told = [await anext(follower) for follower in followers]
    async with database.transaction(ALL):
        seq = await events.last_seq()

    assert told == [str(seq), str(seq), operation.id]
    for follower in followers:
        await follower.aclose()


async def test_a_slow_follower_is_told_to_look_at_everything(database, listener, monkeypatch):
    """Who falls too far behind gets a resync in place of what it missed."""
    monkeypatch.setattr("agentpod_server.store.listen._BACKLOG", 3)
    slow = listener.follow("events")
    async with asyncio.timeout(20):
        assert await anext(slow) == RESYNC
        fast = listener.follow("events")
        assert await anext(fast) == RESYNC
        async with database.transaction(ALL):
            for number in range(4):
                events.append(_happening(number))
        async with database.transaction(ALL):
            last = await events.last_seq()
        while await anext(fast) != RESYNC:
            pass
        assert await anext(slow) == RESYNC
        async with database.transaction(ALL):
            events.append(_happening())
        assert await anext(slow) == str(last + 1)
    await slow.aclose()
    await fast.aclose()


async def test_the_connection_goes_with_the_last_follower(database, listener):
    """Nobody listening needs no connection."""
    first, second = listener.follow("events"), listener.follow("changes")
    await asyncio.wait_for(anext(first), 10)
    await asyncio.wait_for(anext(second), 10)
    await first.aclose()
    assert listener._task is not None
    await second.aclose()

    assert listener._task is None


async def test_an_operation_lives_from_asked_to_done(database):
    """It is pending, claimed, makes progress and ends with a result, each step visible."""
    async with database.transaction(ALL):
        asked = await operations.create("image", "echo", params={"a": 1})
        claimed = await operations.claim(1)
        assert await operations.claim(0) is None
        await operations.progress(asked.id, Progress(percent=50.0, line="half"), epoch=1)
        half = await operations.get(asked.id)
        done = await operations.finish(asked.id, result={"image": "x"}, epoch=1)
        again = await operations.finish(asked.id, error=Failure(reason="Late"), epoch=1)

    assert (asked.status, asked.created_by, asked.params) == (OperationStatus.PENDING, "ann", {"a": 1})
    assert (claimed.id, claimed.status) == (asked.id, OperationStatus.RUNNING)
    assert half.progress == Progress(percent=50.0, line="half")
    assert (done.status, done.result, done.error) == (OperationStatus.SUCCEEDED, {"image": "x"}, None)
    assert again == done


async def test_a_failed_operation_says_why(database):
    """The error is kept as reason and params."""
    async with database.transaction(ALL):
        asked = await operations.create("image", "echo")
        await operations.claim(1)
        done = await operations.finish(asked.id, error=Failure(reason="ImageNotFound", params={"image": "x"}))

    assert done.status is OperationStatus.FAILED
    assert done.error == Failure(reason="ImageNotFound", params={"image": "x"})


async def test_the_next_leader_resumes_what_the_last_one_left(database):
    """A running operation of an earlier epoch is claimed again, and its old leader is refused."""
    async with database.transaction(ALL):
        asked = await operations.create("image", "echo")
        await operations.claim(1)
        resumed = await operations.claim(2)
        assert resumed.id == asked.id
        for write in (
            operations.progress(asked.id, Progress(line="x"), epoch=1),
            operations.finish(asked.id, epoch=1),
        ):
            with pytest.raises(ConflictError) as raised:
                await write
            assert raised.value.reason == "NotLeader"


async def test_what_a_leader_lost_sight_of_it_claims_again(database):
    """A claim whose answer was lost is no claim: the same leader is given the operation once more."""
    async with database.transaction(ALL):
        asked = await operations.create("image", "echo")
        await operations.claim(1)
    async with database.transaction(ALL):
        assert (await operations.claim(1)).id == asked.id


async def test_workers_get_in_nobodys_way(database):
    """Many at once, each with a kind of its own, all claim an operation: none waits, and none is claimed twice."""
    async with database.transaction(ALL):
        for number in range(12):
            await operations.create(f"kind-{number}", str(number))

    async def work(kind: str) -> str:
        async with database.transaction(ALL):
            return (await operations.claim(1, kind, is_other=False)).target

    assert await asyncio.gather(*(work(f"kind-{n}") for n in range(12))) == [str(n) for n in range(12)]


async def test_what_ended_long_ago_goes(database):
    """Of the operations that ended the old ones are taken away, so many at once; what goes on stays however old."""
    async with database.transaction(ALL) as transaction:
        made = [(await operations.create("image", str(number))).id for number in range(5)]
        for ended in made[:4]:
            await operations.finish(ended)
        await transaction.execute(
            "update operations set updated_at = now() - interval '31 days' where id = any($1)", [*made[:3], made[4]]
        )
        gone = [await operations.prune(timedelta(days=30), 2) for _ in range(3)]
        assert gone == [2, 1, 0]
        assert [one.id for one in (await operations.listing()).items] == [made[4], made[3]]


async def test_operations_are_listed_newest_first(database):
    """Pages follow the time of asking; filters narrow them."""
    async with database.transaction(ALL):
        for number in range(3):
            await operations.create("image" if number else "backup", str(number))
        first = await operations.listing(limit=2)
        rest = await operations.listing(after=first.next)
        images = await operations.listing(kind="image", status=OperationStatus.PENDING)
        with pytest.raises(NotFoundError):
            await operations.get("nothing")

    assert [one.target for one in (*first.items, *rest.items)] == ["2", "1", "0"]
    assert [one.target for one in images.items] == ["2", "1"]
