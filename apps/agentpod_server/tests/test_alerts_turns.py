"""Whose turn it is, on a real PostgreSQL: what one tenant tries out keeps nobody else from being told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from agentpod_core.errors import TemporaryError
from agentpod_core.values.status import Severity
from agentpod_server.services.alerts import turns
from agentpod_server.services.alerts.testing import DOWN
from agentpod_server.services.config import Given
from agentpod_server.testing import eventually


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 0.2, raising=False)


@asynccontextmanager
async def under_way(*calls):
    """Have something go on meanwhile."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_tests_that_never_end_keep_nobody_from_being_told(stage):
    """One more is refused for the moment; the platform's target and another tenant's are told and tested as ever."""
    stage.box.hold = asyncio.Event()
    acme, globex = await stage.theirs("acme"), await stage.theirs("globex")
    await stage.target("slow", scope=acme, secret="pw", reasons=("Hung",))
    await stage.target("own", scope=globex)
    await stage.target("ops")
    async with under_way(*(stage.targets.test(acme, "slow") for _ in range(64))) as tests:
        await eventually(lambda: sum(one.done() for one in tests) == 64 - turns.OF_A_TENANT)
        assert len(stage.box.tried) == turns.OF_A_TENANT
        said = {(type(one.exception()), one.exception().reason) for one in tests if one.done()}
        assert said == {(TemporaryError, "NotifierBusy")}
        for pod in ("acme/bot", "globex/bot"):
            await stage.change(pod, DOWN)
        await stage.drain()
        assert len(stage.box.sent) == 3
        assert (await stage.targets.test(globex, "own")).failure is None

    target = await stage.targets.get(acme, "slow")
    assert (target.failure, target.failures) == (None, 0)


async def test_a_message_waits_for_its_turn_without_being_tried(stage):
    """That its tenant has too much under way is no trouble of the target: nothing is noted, counted or put off."""
    stage.box.hold = asyncio.Event()
    acme = await stage.theirs("acme")
    await stage.target("slow", scope=acme, secret="pw", reasons=("Hung",))
    await stage.target("own", scope=acme)
    await stage.change("acme/bot", DOWN)
    async with under_way(*(stage.targets.test(acme, "slow") for _ in range(turns.OF_A_TENANT))):
        await eventually(lambda: len(stage.box.tried) == turns.OF_A_TENANT)
        async with under_way(stage.drain()):
            await asyncio.sleep(1)
            assert await stage.value("select count(*) from alerts_outbox where attempts + missed > 0") == 0
            assert (await stage.targets.get(acme, "own")).failure is None
            stage.box.hold.set()
            await eventually(lambda: stage.sent()[-1:] == [("acme/bot", "CrashLoop", False)])


async def test_looking_at_a_target_takes_a_turn(stage, monkeypatch):
    """Who makes and changes targets that take long to look at is refused for the moment, and nobody else is."""
    acme, globex = await stage.theirs("acme"), await stage.theirs("globex")
    await stage.target("own", scope=acme, secret="pw")
    looking = 0

    async def check(target, material):
        nonlocal looking
        if "slow" in material.values():
            looking += 1
            await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(stage.box, "check", check)
    calls = [stage.target(f"new-{number}", scope=acme, secret="slow") for number in range(turns.OF_A_TENANT)]
    async with under_way(*calls):
        await eventually(lambda: looking == turns.OF_A_TENANT)
        for call in (
            stage.target("more", scope=acme, secret="pw"),
            stage.target("more", tenant="acme", secret="pw"),
            stage.set("own", scope=acme, given=Given(secrets={"password": "new"}, is_patch=True)),
        ):
            with pytest.raises(TemporaryError) as caught:
                await call
            assert caught.value.reason == "NotifierBusy"
        await stage.set("own", scope=acme, min_severity=Severity.ERROR)
        await stage.target("own", scope=globex, secret="pw")
        await stage.target("ops", secret="pw")
