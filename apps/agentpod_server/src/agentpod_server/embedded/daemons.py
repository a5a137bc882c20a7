"""Runs ``Daemon``s in sessions of their own: adopts what runs, replaces what changed, restarts what died.

Started by root they run as an unprivileged account with only the capabilities they name. Cancelling
``keep`` or ending the server leaves them running; only ``stop`` ends them.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from agentpod_core.errors import AgentPodError, PermanentError
from agentpod_core.values.routes import Daemon
from agentpod_server.embedded import accounts, logs, processes
from agentpod_server.embedded.alone import alone
from agentpod_server.embedded.launch import launch
from agentpod_server.embedded.layout import lay_out
from agentpod_server.embedded.processes import Process
from agentpod_server.state import State

_log = logging.getLogger(__name__)

GRACE = 10.0
_LOOK = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE, _GOOD_SPELL = 0.5, 30.0, 60.0


class Daemons:
    """The daemons of one state folder. ``grace`` is how many seconds one gets for a clean end."""

    def __init__(self, state: State, *, grace: float = GRACE) -> None:
        self._state = state
        self._grace = grace

    async def start(self, daemon: Daemon) -> Process:
        """Adopt the running one of that identity, replace one of another, start a missing one; idempotent.

        Raises:
            PermanentError: ``ProcessNotStarted``, or a path that is not ours to write.
        """
        record = self._record(daemon.name)
        async with alone(record.with_suffix(".busy")):
            return await self._start(daemon, record)

    async def _start(self, daemon: Daemon, record: Path) -> Process:
        identity = _identity(daemon)
        account = accounts.account(accounts.PROXY)
        there = processes.running(record)
        is_current = there is not None and there.identity == identity
        try:
            await asyncio.to_thread(lay_out, daemon, account, self._state.root, with_files=not is_current)
        except OSError as error:
            problem = f"{error.strerror}: {error.filename}"
            raise PermanentError("ProcessNotStarted", name=daemon.name, step="files", problem=problem) from error
        if there is not None:
            if is_current:
                return there
            _log.info("replacing daemon %s (pid %d)", daemon.name, there.pid)
            await there.end(signal.SIGTERM, self._grace)
        process = await launch(
            daemon.name,
            daemon.argv,
            record=record,
            identity=identity,
            log=self.log(daemon),
            user=account,
            env=daemon.env,
            capabilities=daemon.capabilities,
            groups=daemon.groups,
        )
        _log.info("daemon %s runs as pid %d", daemon.name, process.pid)
        return process

    async def keep(self, daemon: Daemon, is_mine: Callable[[], bool] = lambda: True) -> None:
        """Start it, and again whenever it ends, with growing pauses; until cancelled, which leaves it running.

        Of several servers one keeps it: who finds that it is not ``is_mine`` only looks again later.
        """
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            if not is_mine():
                await asyncio.sleep(_LOOK)
                continue
            begun = loop.time()
            try:
                process = await self.start(daemon)
                await process.watch(_LOOK, partial(logs.trim, self.log(daemon)))
                _log.warning("daemon %s (pid %d) ended; starting it again", daemon.name, process.pid)
            except (AgentPodError, OSError) as error:
                # A full disk is no reason to give up, and none to look away.
                _log.error("daemon %s: %s", daemon.name, error)
            if loop.time() - begun >= _GOOD_SPELL:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def stop(self, name: str) -> bool:
        """End it, by force if it takes longer than the grace; False when none runs."""
        process = processes.running(self._record(name))
        if process is None:
            return False
        await process.end(signal.SIGTERM, self._grace)
        return True

    def running(self, name: str) -> Process | None:
        """Give the daemon of that name while it runs."""
        return processes.running(self._record(name))

    def names(self) -> list[str]:
        """List the daemons of this state folder that run."""
        records = sorted(self._state.folder("run", "daemons").glob("*.json"))
        return [path.stem for path in records if processes.running(path) is not None]

    def log(self, daemon: Daemon) -> Path:
        """Say where its output goes."""
        return Path(daemon.log) if daemon.log else self._state.folder("log") / f"{daemon.name}.log"

    def _record(self, name: str) -> Path:
        return self._state.folder("run", "daemons") / f"{name}.json"


def _identity(daemon: Daemon) -> str:
    """Tell daemons apart by what they say of themselves, or by everything that makes them."""
    if daemon.identity:
        return daemon.identity
    return hashlib.sha256(msgspec.json.encode(daemon, order="deterministic")).hexdigest()
