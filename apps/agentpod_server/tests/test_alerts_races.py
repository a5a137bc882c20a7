"""Telling people while others change what is told and to whom, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from agentpod_core.errors import PermanentError, TemporaryError
from agentpod_core.values.alerts import Clear
from agentpod_server.services.alerts import delivery as delivering
from agentpod_server.services.alerts.testing import ALL, DOWN
from agentpod_server.services.config import Given
from agentpod_server.store import sending, targets
from agentpod_server.testing import eventually


def away():
    """Give the error of a target that cannot be reached."""
    return TemporaryError("TargetUnreachable", host="ops.example", cause="refused")


@asynccontextmanager
async def running(delivery):
    """Have people be told meanwhile."""
    work = asyncio.create_task(delivery.run())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.wait([work])


@pytest.mark.parametrize("mended", ["changed", "tested"])
@pytest.mark.parametrize("error", [away(), PermanentError("TargetRefused", host="ops.example", answer="410")], ids=str)
async def test_an_old_try_undoes_no_change(stage, mended, error):
    """What fails after its target was changed, or took a test, is tried again at once, and says nothing of it."""
    await stage.target("ops", secret="pw")
    await stage.change("acme/bot", DOWN)
    stage.box.errors = [away() for _ in range(5)]
    for _ in range(5):
        await stage.drain()
        await stage.make_due()
    stage.box.hold = asyncio.Event()
    stage.box.errors = [error]
    old = asyncio.create_task(stage.delivery().drain())
    await eventually(lambda: len(stage.box.tried) == 6)
    if mended == "changed":
        await stage.set("ops", given=Given(secrets={"password": "new"}, is_patch=True))
    else:
        errors, stage.box.errors, hold, stage.box.hold = stage.box.errors, [], stage.box.hold, None
        assert (await stage.targets.test(ALL, "ops")).failure is None
        stage.box.errors, stage.box.hold = errors, hold
    stage.box.hold.set()
    await old

    assert stage.sent()[-1:] == [("acme/bot", "CrashLoop", False)]
    target = await stage.targets.get(ALL, "ops")
    assert (target.failure, target.failures) == (None, 0)


@pytest.mark.parametrize("what", ["raised", "recovered"])
async def test_a_target_that_is_removed_makes_no_save_fail(stage, what):
    """What a pod's alert would tell a target that goes at this moment is told nobody, and the alert is kept."""
    await stage.target("ops")
    target = await stage.targets.get(ALL, "ops")
    if what == "recovered":
        await stage.change("acme/bot", DOWN)
        await stage.drain()
    async with stage.database.transaction(ALL):
        await targets.delete(target.id)
        saving = asyncio.create_task(
            stage.change("acme/bot", Clear(reason="CrashLoop") if what == "recovered" else DOWN)
        )
        await asyncio.wait([saving], timeout=1)
    await saving

    found, _ = await stage.alerts.listing(ALL)
    assert [(one.reason, one.cleared_at is None) for one in found] == [("CrashLoop", what == "raised")]


async def test_what_others_hold_is_looked_at_now_and_then(stage, monkeypatch):
    """While somebody else's transaction holds what is due, the database is not asked without pause."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    asked = 0
    claim = sending.claim

    async def counting(*args, **parts):
        nonlocal asked
        asked += 1
        return await claim(*args, **parts)

    monkeypatch.setattr(sending, "claim", counting)
    async with running(stage.delivery()):
        async with stage.database.transaction(ALL) as transaction:
            await transaction.execute("select from alerts_outbox for update")
            await asyncio.sleep(2)
        assert 1 <= asked <= 6
        await eventually(lambda: len(stage.box.sent) == 1)


async def test_a_mishap_is_shown_and_a_change_ends_its_pause(stage, monkeypatch):
    """Who looks at the targets sees it, and does not wait for an hour after mending it."""
    monkeypatch.setattr(delivering, "FIRST_PAUSE", 3600.0)
    await stage.target("ops", secret="pw")
    await stage.change("acme/bot", DOWN)

    async def broken(*_, **__):
        raise RuntimeError("a mistake of ours")

    async with running(stage.delivery()):
        with monkeypatch.context() as patch:
            patch.setattr(sending, "delivered", broken)
            await eventually(lambda: len(stage.box.sent) == 1)
            await asyncio.sleep(0.5)
        target = await stage.targets.get(ALL, "ops")
        assert target.failure is not None
        assert target.failure.reason == "InternalError"
        assert len(stage.box.sent) == 1
        await stage.set("ops", given=Given(secrets={"password": "new"}, is_patch=True))
        await eventually(lambda: len(stage.box.sent) == 2, seconds=8)


async def test_a_mishap_that_cannot_be_noted_waits_a_minute_at_most(stage, monkeypatch):
    """Whatever is wrong with the database, it is tried again soon."""
    pauses = []
    sleep = asyncio.sleep

    async def short(seconds):
        pauses.append(seconds)
        await sleep(0)

    async def broken(*_, **__):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(delivering, "FIRST_PAUSE", 3600.0)
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    monkeypatch.setattr(sending, "claim", broken)
    monkeypatch.setattr(targets, "note", broken)
    monkeypatch.setattr(delivering.asyncio, "sleep", short)
    async with running(stage.delivery()):
        await eventually(lambda: any(one > 1 for one in pauses))
    assert max(pauses) <= 60
