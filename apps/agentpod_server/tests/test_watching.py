"""Disks and certificates: when a person is told, and when that is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentpod_core import Certificate, TemporaryError
from agentpod_core.testing import FakeClock, FakeRouter, FakeRuntime
from agentpod_core.values.alerts import Clear, Raise
from agentpod_server.services.watching import Disk, Watching, measured


class Leader:
    epoch = 1


class Runtime(FakeRuntime):
    def __init__(self):
        super().__init__("watching")
        self.named = ("/engine",)

    async def folders(self):
        if self.named is None:
            raise TemporaryError("EngineUnreachable")
        return self.named


class Router(FakeRouter):
    found = ()

    async def certificates(self):
        return self.found


class Stage:
    """Two disks, a router, and what was said."""

    def __init__(self):
        self.leader, self.runtime, self.router, self.clock = Leader(), Runtime(), Router(), FakeClock()
        self.full = {"/state": 10, "/engine": 10}
        self.said = []
        self.watching = Watching(
            engine=self.leader,
            runtime=self.runtime,
            router=self.router,
            clock=self.clock,
            report=self._report,
            folder="/state",
            measure=lambda path: Disk(path=path, percent=self.full[path], free=1),
        )

    async def _report(self, happenings, alerts=()):
        self.said += alerts

    async def look(self):
        """Look once and give what was said."""
        self.said = []
        await self.watching.look()
        return [(type(one).__name__, one.reason) for one in self.said]


@pytest.fixture
async def stage():
    """All is well, and that was said."""
    made = Stage()
    assert await made.look() == [("Clear", "DiskNearlyFull"), ("Clear", "CertificateTrouble")]
    return made


async def test_what_is_well_is_said_once(stage):
    """A look that sees nothing new writes nothing; a new leader says it anew."""
    assert await stage.look() == []
    stage.leader.epoch = 2
    assert await stage.look() == [("Clear", "DiskNearlyFull"), ("Clear", "CertificateTrouble")]


@pytest.mark.parametrize("path", ["/state", "/engine"])
async def test_a_full_disk_is_told(stage, path):
    """Either disk counts: nearly full from the mark on, well again some percent below it."""
    stage.full[path] = 89
    assert await stage.look() == []
    stage.full[path] = 90
    assert await stage.look() == [("Raise", "DiskNearlyFull")]
    assert stage.said[0].params == {"path": path, "percent": 90, "free": 1}
    for percent in (89, 85):
        stage.full[path] = percent
        assert await stage.look() == []
    stage.full[path] = 84
    assert await stage.look() == [("Clear", "DiskNearlyFull")]


async def test_an_engine_that_is_away_hides_no_full_disk(stage):
    """The platform's own folder is looked at all the same."""
    stage.runtime.named, stage.full["/state"] = None, 99
    assert await stage.look() == [("Raise", "DiskNearlyFull")]


async def test_a_certificate_is_told_of_in_time(stage):
    """Two weeks before its end, and when it was replaced."""
    now = stage.clock.now()
    for days, said in ((15, []), (13, [("Raise", "CertificateTrouble")]), (90, [("Clear", "CertificateTrouble")])):
        stage.router.found = (Certificate(hosts=("a.example",), ends_at=now + timedelta(days=days)),)
        assert await stage.look() == said


async def test_a_certificate_that_cannot_be_used_is_told(stage):
    """What is wrong with it is said in the router's own words."""
    wrong = Certificate(hosts=("cert.pem",), reason="CertificateUnreadable", params={"path": "cert.pem"})
    fine = Certificate(hosts=("a.example",), ends_at=datetime(2999, 1, 1, tzinfo=UTC))
    stage.router.found = (fine, wrong)

    assert await stage.look() == [("Raise", "CertificateTrouble")]
    raised = stage.said[0]
    assert isinstance(raised, Raise)
    assert not isinstance(raised, Clear)
    assert (raised.params["cause"], raised.params["cause_params"]) == ("CertificateUnreadable", {"path": "cert.pem"})


def test_a_disk_is_measured(tmp_path):
    """A real one has a size; a folder that is not there has none."""
    found = measured(str(tmp_path))
    assert found is not None
    assert 0 <= found.percent <= 100
    assert found.free > 0
    assert measured(str(tmp_path / "nothing")) is None
