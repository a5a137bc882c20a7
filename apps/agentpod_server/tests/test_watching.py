"""Disks and certificates: when a person is told, and when that is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentpod_core import Certificate, TemporaryError
from agentpod_core.testing import FakeClock, FakeRouter, FakeRuntime, FakeStore
from agentpod_core.values.alerts import Raise
from agentpod_core.values.status import Severity
from agentpod_server.services.watching import Disk, Watching, measured


class Leader:
    epoch = None


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
        if self.found is None:
            raise TemporaryError("RouterUnreachable")
        return self.found


class Stage:
    """Some disks, a router, and what is open."""

    def __init__(self):
        self.leader, self.runtime, self.router, self.clock = Leader(), Runtime(), Router(), FakeClock()
        self.store = FakeStore()
        self.full = {"/state": 10, "/engine": 10}
        self.devices = {"/state": 1, "/engine": 2}
        self.watching = Watching(
            engine=self.leader,
            runtime=self.runtime,
            router=self.router,
            clock=self.clock,
            store=self.store,
            folder="/state",
            measure=self._measure,
        )

    def _measure(self, path):
        if self.full[path] is None:
            return None
        return Disk(path=path, percent=self.full[path], free=1, device=self.devices[path])

    async def look(self):
        """Look once and give what is open: the reason of each, with its subject."""
        await self.watching.look()
        return sorted(f"{one.reason} {one.subject}" for one in await self.store.platform_alerts())

    @property
    def raised(self):
        """Count what was ever raised."""
        return len(self.store.alerts)

    def ends(self, **days):
        """Let the router serve certificates that end in so many days."""
        now = self.clock.now()
        self.router.found = tuple(
            Certificate(hosts=(f"{name}.example",), ends_at=now + timedelta(days=left)) for name, left in days.items()
        )


@pytest.fixture
async def stage():
    """A leader that looked once, and found that all is well."""
    made = Stage()
    made.leader.epoch = await made.store.lead("one", 3600)
    assert await made.look() == []
    return made


@pytest.mark.parametrize("path", ["/state", "/engine"])
async def test_a_full_disk_is_told(stage, path):
    """Either disk counts: nearly full from the mark on, well again some percent below it."""
    stage.full[path] = 89
    assert await stage.look() == []
    stage.full[path] = 90
    assert await stage.look() == [f"DiskNearlyFull {path}"]
    for percent in (89, 85):
        stage.full[path] = percent
        assert await stage.look() == [f"DiskNearlyFull {path}"]
    stage.full[path] = 84
    assert await stage.look() == []
    assert stage.raised == 1


async def test_a_disk_that_fills_up_further_says_so(stage):
    """The open alert has what was measured last."""
    for percent in (90, 99):
        stage.full["/engine"] = percent
        await stage.look()

    assert await stage.store.platform_alerts() == [
        Raise(
            reason="DiskNearlyFull",
            severity=Severity.WARNING,
            subject="/engine",
            params={"path": "/engine", "percent": 99, "free": 1},
        )
    ]


async def test_each_full_disk_is_told(stage):
    """A second disk is not hidden by the first, and each is over by itself."""
    stage.full["/engine"] = 95
    await stage.look()
    stage.full["/state"] = 91
    assert await stage.look() == ["DiskNearlyFull /engine", "DiskNearlyFull /state"]
    stage.full["/engine"] = 10
    assert await stage.look() == ["DiskNearlyFull /state"]


async def test_folders_of_one_disk_are_told_of_once(stage):
    """Where both lie on one disk, that is one alert."""
    stage.devices["/engine"] = stage.devices["/state"]
    stage.full |= {"/state": 95, "/engine": 95}

    assert await stage.look() == ["DiskNearlyFull /state"]


async def test_an_engine_that_is_away_hides_no_full_disk(stage):
    """The platform's own folder is looked at all the same."""
    stage.runtime.named, stage.full["/state"] = None, 99

    assert await stage.look() == ["DiskNearlyFull /state"]


@pytest.mark.parametrize("away", ["engine", "disk"])
async def test_a_disk_that_cannot_be_seen_is_not_well(stage, away):
    """A full disk stays so while its engine is away, as full disks make engines be, or nobody can measure it."""
    stage.full["/engine"] = 95
    await stage.look()

    if away == "engine":
        stage.runtime.named = None
    else:
        stage.full["/engine"] = None
    assert await stage.look() == ["DiskNearlyFull /engine"]
    stage.runtime.named, stage.full["/engine"] = ("/engine",), 95
    assert await stage.look() == ["DiskNearlyFull /engine"]
    assert stage.raised == 1


async def test_a_folder_that_is_used_no_more_is_no_trouble(stage):
    """An alert of a disk that nothing of ours is on any more is over."""
    stage.full["/engine"] = 95
    await stage.look()
    stage.runtime.named = ()

    assert await stage.look() == []


async def test_a_new_leader_says_nothing_again(stage):
    """What is open was told by whoever led before, and is over when it is, whoever leads."""
    stage.full["/engine"] = 95
    await stage.look()
    await stage.store.step_down("one")
    stage.leader.epoch = await stage.store.lead("two", 3600)

    assert await stage.look() == ["DiskNearlyFull /engine"]
    assert stage.raised == 1
    stage.full["/engine"] = 10
    assert await stage.look() == []


async def test_who_leads_no_more_says_nothing(stage):
    """A look that took until somebody else led changes nothing."""
    await stage.store.step_down("one")
    await stage.store.lead("two", 3600)
    stage.full["/engine"] = 95

    assert await stage.look() == []
    stage.leader.epoch = None
    assert await stage.look() == []


async def test_a_certificate_is_told_of_in_time(stage):
    """Two weeks before its end, and when it was replaced."""
    for days, found in ((15, []), (13, ["CertificateTrouble a.example"]), (90, [])):
        stage.ends(a=days)
        assert await stage.look() == found


async def test_each_certificate_is_told(stage):
    """One customer's certificate that ends hides no other, and each is over by itself."""
    stage.ends(a=3, b=90)
    await stage.look()
    stage.ends(a=3, b=3)
    assert await stage.look() == ["CertificateTrouble a.example", "CertificateTrouble b.example"]
    stage.ends(a=90, b=3)
    assert await stage.look() == ["CertificateTrouble b.example"]


async def test_a_router_that_cannot_be_asked_mends_no_certificate(stage):
    """What it said last stands."""
    stage.ends(a=3)
    await stage.look()
    stage.router.found = None

    assert await stage.look() == ["CertificateTrouble a.example"]


async def test_a_certificate_that_cannot_be_used_is_told(stage):
    """What is wrong with it is said in the router's own words."""
    wrong = Certificate(hosts=("cert.pem",), reason="CertificateUnreadable", params={"path": "cert.pem"})
    fine = Certificate(hosts=("a.example",), ends_at=datetime(2999, 1, 1, tzinfo=UTC))
    stage.router.found = (fine, wrong)

    assert await stage.look() == ["CertificateTrouble cert.pem"]
    (raised,) = await stage.store.platform_alerts()
    assert (raised.params["cause"], raised.params["cause_params"]) == ("CertificateUnreadable", {"path": "cert.pem"})


def test_a_disk_is_measured(tmp_path):
    """A real one has a size; a folder that is not there has none."""
    found = measured(str(tmp_path))
    assert found is not None
    assert 0 <= found.percent <= 100
    assert found.free > 0
    assert measured(str(tmp_path / "nothing")) is None
