"""Watches what all pods stand on, in the process that leads: disks that fill up, and certificates that end.

Raising what is open and clearing what is not changes nothing, so a look says all that it sees.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from agentpod_core import AgentPodError, Certificate, Clock, Router, Runtime, Severity
from agentpod_core.values.alerts import AlertChange, Clear, Raise
from agentpod_core.values.status import Happening
from agentpod_server.services.engine import Engine

DISK, CERTIFICATE = "DiskNearlyFull", "CertificateTrouble"
EVERY = 60.0
SLACK = 5
"""So many percent below the mark a disk has to be for it to be well again."""
NOTICE = timedelta(days=14)
"""So long before its end a certificate is told of; what is renewed by itself has been renewed by then."""

_log = logging.getLogger(__name__)


class Disk(Struct, frozen=True, kw_only=True):
    """How full the disk of a folder is, as anybody but root sees it; ``free`` is in bytes."""

    path: str
    percent: int
    free: int


class Report(Protocol):
    """Writes down alerts of the platform."""

    def __call__(self, happenings: Sequence[Happening], alerts: Sequence[AlertChange] = ()) -> Awaitable[None]:
        """Write them; errors as the store's."""
        ...


class Watching:
    """Looks every minute; ``scale`` is the factor on that. ``percent`` is from when on a disk is nearly full."""

    def __init__(  # noqa: PLR0913 - what it looks at
        self,
        *,
        engine: Engine,
        runtime: Runtime,
        router: Router | None,
        clock: Clock,
        report: Report,
        folder: Path,
        percent: int = 90,
        scale: float = 1.0,
        measure: Callable[[str], Disk | None] | None = None,
    ) -> None:
        self._engine = engine
        self._runtime = runtime
        self._router = router
        self._clock = clock
        self._report = report
        self._folder = folder
        self._percent = percent
        self._every = EVERY * scale
        self._measure = measure or measured
        self._said: tuple[int | None, dict[str, AlertChange]] = (None, {})

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            try:
                if self._engine.epoch is not None:
                    await self.look()
            except AgentPodError as error:
                _log.info("disks and certificates are looked at later: %s", error)
            except Exception:  # noqa: BLE001 - it is looked again, and nothing else may end because of it
                _log.exception("disks and certificates could not be looked at")
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Look once, and say what is new since this process began to lead."""
        changes = [*await self._disks(), *await self._certificates()]
        epoch, said = self._said
        if epoch != self._engine.epoch:
            said = {}
        news = [one for one in changes if type(said.get(one.reason)) is not type(one)]
        if news:
            await self._report([], alerts=news)
        self._said = (self._engine.epoch, said | {one.reason: one for one in changes})

    async def _disks(self) -> list[AlertChange]:
        try:
            folders = [str(self._folder), *await self._runtime.folders()]
        except AgentPodError:
            # That the engine is away has an alert of its own.
            folders = [str(self._folder)]
        found = await asyncio.to_thread(lambda: [disk for one in folders if (disk := self._measure(one))])
        if not found:
            return []
        worst = max(found, key=lambda disk: disk.percent)
        if worst.percent >= self._percent:
            params = {"path": worst.path, "percent": worst.percent, "free": worst.free}
            return [Raise(reason=DISK, severity=Severity.WARNING, params=params)]
        return [Clear(reason=DISK)] if worst.percent < self._percent - SLACK else []

    async def _certificates(self) -> list[AlertChange]:
        if self._router is None:
            return []
        try:
            found = await self._router.certificates()
        except AgentPodError as error:
            _log.info("the router says nothing of its certificates: %s", error)
            return []
        wrong = [trouble for one in found if (trouble := self._trouble(one))]
        return [wrong[0] if wrong else Clear(reason=CERTIFICATE)]

    def _trouble(self, one: Certificate) -> Raise | None:
        hosts = ", ".join(one.hosts)
        if one.reason:
            cause = {"cause": one.reason, "cause_params": one.params}
            return Raise(reason=CERTIFICATE, severity=Severity.ERROR, params={"hosts": hosts} | cause)
        if one.ends_at is None or one.ends_at - self._clock.now() > NOTICE:
            return None
        ends = {"hosts": hosts, "ends": one.ends_at.date().isoformat()}
        cause = {"cause": "CertificateEnds", "cause_params": ends}
        return Raise(reason=CERTIFICATE, severity=Severity.ERROR, params={"hosts": hosts} | cause)


def measured(path: str) -> Disk | None:
    """Measure the disk of a folder; None where nobody can."""
    try:
        found = os.statvfs(path)
    except OSError as error:
        _log.info("the disk of %s cannot be measured: %s", path, error)
        return None
    used = found.f_blocks - found.f_bfree
    whole = used + found.f_bavail
    percent = round(100 * used / whole) if whole else 0
    return Disk(path=path, percent=percent, free=found.f_bavail * found.f_frsize)
