"""What nobody wants to hear any more, on a real PostgreSQL: it waits, and holds up nothing else of its pod."""

from __future__ import annotations

import pytest

from agentpod_core.errors import TemporaryError
from agentpod_core.values.alerts import Clear, Raise
from agentpod_core.values.status import Severity
from agentpod_server.services.alerts.testing import DOWN, GROWS

BLOCKED = Raise(reason="Blocked", severity=Severity.ERROR)
MEMORY = Raise(reason="OutOfMemory", severity=Severity.ERROR)


async def _pause(stage, is_paused):
    await stage.execute("update alert_routes set is_paused = $1", is_paused)


def _told(stage):
    return [(one.reason, one.recovered) for one in stage.box.sent]


async def _tried_in_vain(stage, tries):
    """Let every message be tried so often, and due again."""
    for _ in range(tries * 2):
        stage.box.errors = [TemporaryError("TargetUnreachable", host="x", cause="y")]
        await stage.drain()
        await stage.execute("update alert_routes set not_before = null")
    stage.box.errors = []
    await stage.make_due()


@pytest.mark.parametrize("quiet", ["silence", "filter"])
@pytest.mark.parametrize("tries", [0, 1])
async def test_what_is_not_wanted_holds_back_nothing_else(stage, quiet, tries):
    """An end and a beginning that come after it are told; it is told itself once it is wanted again."""
    await stage.target("ops")
    await stage.change("acme/bot", MEMORY)
    await stage.drain()
    await stage.change("acme/bot", GROWS)
    await _tried_in_vain(stage, tries)
    if quiet == "silence":
        silence = await stage.silence(reason="MemoryGrowing")
    else:
        await stage.set("ops", min_severity=Severity.ERROR)
    await stage.change("acme/bot", Clear(reason="OutOfMemory"))
    await stage.change("acme/bot", BLOCKED)
    await stage.drain()
    assert _told(stage) == [("OutOfMemory", False), ("OutOfMemory", True), ("Blocked", False)]

    if quiet == "silence":
        await stage.execute("delete from silences where id = $1::uuid", silence.id)
    else:
        await stage.set("ops", min_severity=Severity.WARNING)
    await stage.drain()

    assert _told(stage)[3:] == [("MemoryGrowing", False)]


async def test_narrowing_a_target_drops_what_it_wants_no_more(stage):
    """Of what waits in a storm only that is told which the target still asks for, whether it is over by now or not."""
    await stage.target("ops")
    await _pause(stage, is_paused=True)
    await stage.change("acme/bot", GROWS)
    await stage.change("globex/bot", GROWS, DOWN)
    await stage.pod("acme", "other")
    await stage.change("acme/other", GROWS)
    await stage.change("acme/other", Clear(reason="MemoryGrowing"))

    await stage.set("ops", reasons=("CrashLoop",), is_paused=False)
    await stage.drain()

    assert stage.sent() == [("globex/bot", "CrashLoop", False)]
    await stage.change("acme/bot", Clear(reason="MemoryGrowing"))
    await stage.set("ops", reasons=None)
    await stage.drain()
    assert stage.sent()[1:] == [("globex/bot", "MemoryGrowing", False)]


@pytest.mark.parametrize("tries", [0, 1])
async def test_what_was_over_before_a_silence_is_not_told_in_it_nor_after(stage, tries):
    """Neither that it began nor that it is over, unless a try may have arrived; what comes later is told."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await _tried_in_vain(stage, tries)
    await stage.change("acme/bot", Clear(reason="CrashLoop"))
    silence = await stage.silence(reason="CrashLoop")
    await stage.change("acme/bot", BLOCKED)
    await stage.drain()
    await stage.execute("delete from silences where id = $1::uuid", silence.id)
    await stage.drain()

    assert _told(stage) == [("CrashLoop", True)] * tries + [("Blocked", False)]


async def test_an_end_of_several_is_told_to_who_heard_of_one(stage):
    """One of two alerts was told, the other one is silenced after both were over: the end is told all the same."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.drain()
    await _pause(stage, is_paused=True)
    await stage.change("acme/bot", GROWS)
    await stage.change("acme/bot", Clear(reason="CrashLoop"), Clear(reason="MemoryGrowing"))
    await stage.silence(reason="MemoryGrowing")
    await _pause(stage, is_paused=False)
    await stage.drain()

    assert _told(stage) == [("CrashLoop", False), ("CrashLoop", True)]
