"""What is wrong with the platform as a whole: told once, whoever leads and whatever fails meanwhile."""

from __future__ import annotations

import pytest

from agentpod_core.controller.platform import NAMED, PlatformAlerts
from agentpod_core.errors import ConflictError, TemporaryError
from agentpod_core.testing import FakeStore
from agentpod_core.values.alerts import Raise
from agentpod_core.values.status import Severity

AWAY = TemporaryError("EngineUnreachable", address="/run/engine.sock")
SAID = {"address": "/run/engine.sock", "runtime": "docker", "cause": "EngineUnreachable"}


class Forgetful(FakeStore):
    """A store whose answer to a report may be lost after it was written."""

    loses = False

    async def report(self, happenings, alerts=(), epoch=None):
        await super().report(happenings, alerts, epoch)
        if self.loses:
            raise TemporaryError("StoreUnreachable")


class Stage:
    """A store, whoever leads, and what was told."""

    def __init__(self):
        self.store = Forgetful()
        self.gone = set()
        self.leaders = 0

    async def lead(self):
        """Let somebody else take the lead, as after a restart of the server."""
        await self.store.step_down(f"server-{self.leaders}")
        self.leaders += 1
        self.alerts = PlatformAlerts(self.store, await self.store.lead(f"server-{self.leaders}", 3600))

    async def see(self, *names):
        """Look at everything, with these containers that belong to no pod."""
        await self.alerts.orphans(set(names), self._is_there)

    async def _is_there(self, name):
        return name not in self.gone

    @property
    def events(self):
        """Give the events: the names of containers, or reasons."""
        return [one.happening.params.get("name", one.happening.reason) for one in self.store.told]

    async def open(self):
        """Give what is open by its reason, and what is said of it."""
        return {one.reason: one.params for one in await self.store.platform_alerts()}

    @property
    def raised(self):
        """Count what was ever raised."""
        return len(self.store.alerts)


@pytest.fixture
async def stage():
    """Somebody leads, and nothing is wrong."""
    made = Stage()
    await made.lead()
    return made


async def test_an_engine_that_is_away_is_told_once(stage):
    """A new leader that does not find it either says nothing, and takes the alert back when it does."""
    for _ in range(2):
        await stage.alerts.engine_missed("docker", AWAY)
    await stage.lead()
    await stage.alerts.engine_missed("docker", AWAY)
    assert await stage.open() == {"EngineUnreachable": SAID}
    await stage.lead()

    await stage.alerts.engine_found()

    assert (await stage.open(), stage.events, stage.raised) == ({}, ["EngineUnreachable"], 1)


async def test_containers_without_a_pod_are_one_alert(stage):
    """It names them all, has an event for each, and is over with the last of them."""
    await stage.see("b")
    await stage.see("a", "b")
    await stage.see("a", "b")
    assert await stage.open() == {"OrphanContainers": {"names": ["a", "b"], "count": 2}}
    await stage.see("a")
    assert await stage.open() == {"OrphanContainers": {"names": ["a"], "count": 1}}

    await stage.see()

    assert (await stage.open(), stage.events, stage.raised) == ({}, ["b", "a"], 1)


async def test_a_container_is_told_of_once_while_there_are_any(stage):
    """One that comes and goes is no news, whoever leads, until all were gone."""
    await stage.see("a", "b")
    await stage.see("a")
    await stage.see("a", "b")
    for _ in range(3):
        await stage.lead()
        await stage.see("a", "b")
    assert stage.events == ["a", "b"]
    await stage.see()

    await stage.see("a")

    assert (stage.events, stage.raised) == (["a", "b", "a"], 2)


async def test_one_whose_pod_was_deleted_meanwhile_is_none(stage):
    """What is gone by now belongs to nobody because it was removed."""
    stage.gone = {"a", "c"}
    await stage.see("a")
    assert await stage.open() == {}

    await stage.see("a", "b", "c")

    assert await stage.open() == {"OrphanContainers": {"names": ["b"], "count": 1}}


async def test_of_very_many_the_rest_is_counted(stage):
    """A database that knows nobody is no reason to write thousands of events."""
    names = [f"{number:04}" for number in range(5000)]

    await stage.see(*names)

    assert await stage.open() == {"OrphanContainers": {"names": names[:NAMED], "count": 5000}}
    assert stage.events == names[:NAMED]
    await stage.see(*names[10:])
    assert stage.events == names[: NAMED + 10]


async def test_what_could_not_be_told_is_told_at_the_next_look(stage):
    """A report that failed is made again, and nothing of it is lost."""
    stage.store.fail(*[TemporaryError("StoreUnreachable")] * 2)
    with pytest.raises(TemporaryError):
        await stage.see("a")
    with pytest.raises(TemporaryError):
        await stage.alerts.engine_missed("docker", AWAY)

    await stage.see("a")
    await stage.alerts.engine_missed("docker", AWAY)

    assert stage.events == ["a", "EngineUnreachable"]
    assert await stage.open() == {"OrphanContainers": {"names": ["a"], "count": 1}, "EngineUnreachable": SAID}


async def test_what_was_told_without_an_answer_is_not_told_again(stage):
    """A report that was written, though the store did not say so, is found at the next look."""
    stage.store.loses = True
    for tell in (stage.see("a"), stage.alerts.engine_missed("docker", AWAY)):
        with pytest.raises(TemporaryError):
            await tell
    stage.store.loses = False

    await stage.see("a")
    await stage.alerts.engine_missed("docker", AWAY)

    assert (stage.events, stage.raised) == (["a", "EngineUnreachable"], 2)


async def test_what_was_written_late_is_found_by_whoever_doubts(stage):
    """A report that the database took after the leader had looked stays open until the leader looks anew."""
    await stage.alerts.engine_found()
    late = Raise(reason="EngineUnreachable", severity=Severity.ERROR, params=SAID)
    await stage.store.report([], alerts=[late], epoch=stage.alerts.epoch)
    await stage.alerts.engine_found()
    assert await stage.open() == {"EngineUnreachable": SAID}

    stage.alerts.doubt()
    await stage.alerts.engine_found()

    assert await stage.open() == {}


async def test_who_leads_no_more_tells_nothing(stage):
    """A leader that stood still until another led neither opens what nobody would close, nor closes what is open."""
    frozen = stage.alerts
    await frozen.engine_found()
    await stage.lead()
    for tell in (frozen.engine_missed("docker", AWAY), frozen.orphans({"a"}, stage._is_there)):
        with pytest.raises(ConflictError):
            await tell

    assert (await stage.open(), stage.events) == ({}, [])
