"""Watches what all pods stand on, in the process that leads: disks that fill up, and certificates that end.

What it sees is compared with what is open, and only the difference is written: so it is told once, whoever leads, and
each disk and certificate by itself. What cannot be looked at stays as it is.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from pathlib import Path

from msgspec import Struct

from agentpod_core import AgentPodError, Certificate, Clock, ConflictError, Router, Runtime, Severity
from agentpod_core.ports import Store
from agentpod_core.values.alerts import AlertChange, Clear, Raise
from agentpod_server.persisting import repeat
from agentpod_server.services.engine import Engine

DISK, CERTIFICATE = "DiskNearlyFull", "CertificateTrouble"
EVERY = 60.0
SLACK = 5
"""So many percent below the mark a disk has to be for it to be well again."""
NOTICE = timedelta(days=14)
"""So long before its end a certificate is told of; what is renewed by itself has been renewed by then."""
SUBJECT = 200
"""So many characters of its names tell a certificate from the others."""

_log = logging.getLogger(__name__)


class Disk(Struct, frozen=True, kw_only=True):
    """How full the disk of a folder is, as anybody but root sees it; ``free`` is in bytes, ``device`` its number."""

    path: str
    percent: int
    free: int
    device: int


class Watching:
    """Looks every minute; ``scale`` is the factor on that. ``percent`` is from when on a disk is nearly full."""

    def __init__(  # noqa: PLR0913 - what it looks at
        self,
        *,
        engine: Engine,
        runtime: Runtime,
        router: Router | None,
        clock: Clock,
        store: Store,
        folder: Path,
        percent: int = 90,
        scale: float = 1.0,
        measure: Callable[[str], Disk | None] | None = None,
    ) -> None:
        self._engine = engine
        self._runtime = runtime
        self._router = router
        self._clock = clock
        self._store = store
        self._folder = folder
        self._percent = percent
        self._every = EVERY * scale
        self._measure = measure or measured

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        await repeat("looking at disks and certificates", self.look, every=self._every, longest=self._every)

    async def look(self) -> None:
        """Look once and say what is new, if this process leads."""
        epoch = self._engine.epoch
        if epoch is None:
            return
        opened = await self._store.platform_alerts()
        changes = [
            *await self._disks([one for one in opened if one.reason == DISK]),
            *await self._certificates([one for one in opened if one.reason == CERTIFICATE]),
        ]
        news = [one for one in changes if one not in opened]
        try:
            if news:
                await self._store.report([], alerts=news, epoch=epoch)
        except ConflictError:
            _log.info("another server looks at disks and certificates by now")

    async def _disks(self, opened: Sequence[Raise]) -> list[AlertChange]:
        folders, is_all = [str(self._folder)], True
        try:
            folders += await self._runtime.folders()
        except AgentPodError:
            # That the engine is away has an alert of its own.
            is_all = False
        found = await asyncio.to_thread(lambda: [self._measure(one) for one in folders])
        disks: dict[int, Disk] = {}
        for disk in found:
            if disk is not None:
                # Several folders of one disk are told of once, as the first of them.
                disks.setdefault(disk.device, disk)
        well = {one.path for one in disks.values() if one.percent < self._percent - SLACK}
        full = [one for one in disks.values() if one.percent >= self._percent]
        if is_all and None not in found:
            well |= {one.subject for one in opened} - {one.path for one in disks.values()}
        return [
            *(
                Raise(
                    reason=DISK,
                    severity=Severity.WARNING,
                    subject=one.path,
                    params={"path": one.path, "percent": one.percent, "free": one.free},
                )
                for one in full
            ),
            *(Clear(reason=DISK, subject=one.subject) for one in opened if one.subject in well),
        ]

    async def _certificates(self, opened: Sequence[Raise]) -> list[AlertChange]:
        if self._router is None:
            return _ends(opened, ())
        try:
            found = await self._router.certificates()
        except AgentPodError as error:
            _log.info("the router says nothing of its certificates: %s", error)
            return []
        wrong: dict[str, Raise] = {}
        for one in found:
            if trouble := self._trouble(one):
                wrong.setdefault(trouble.subject, trouble)
        return [*wrong.values(), *_ends(opened, wrong)]

    def _trouble(self, one: Certificate) -> Raise | None:
        hosts = ", ".join(one.hosts)
        if one.reason:
            cause, params = one.reason, one.params
        elif one.ends_at is None or one.ends_at - self._clock.now() > NOTICE:
            return None
        else:
            cause, params = "CertificateEnds", {"hosts": hosts, "ends": one.ends_at.date().isoformat()}
        return Raise(
            reason=CERTIFICATE,
            severity=Severity.ERROR,
            subject=hosts[:SUBJECT],
            params={"hosts": hosts, "cause": cause, "cause_params": params},
        )


def _ends(opened: Sequence[Raise], wrong: Collection[str]) -> list[AlertChange]:
    return [Clear(reason=one.reason, subject=one.subject) for one in opened if one.subject not in wrong]


def measured(path: str) -> Disk | None:
    """Measure the disk of a folder; None where nobody can."""
    try:
        found, device = os.statvfs(path), Path(path).stat().st_dev
    except OSError as error:
        _log.info("the disk of %s cannot be measured: %s", path, error)
        return None
    used = found.f_blocks - found.f_bfree
    whole = used + found.f_bavail
    percent = round(100 * used / whole) if whole else 0
    return Disk(path=path, percent=percent, free=found.f_bavail * found.f_frsize, device=device)
