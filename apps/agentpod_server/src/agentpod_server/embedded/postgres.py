"""An embedded PostgreSQL 18: real server programs, launched by us, in a session of its own.

As root it runs as an unprivileged account (the owner of an existing data folder, else see ``accounts``).
It listens on a socket in the state folder and on loopback, with passwords only. A killed server leaves it
running and the next one adopts it; whoever kills PostgreSQL itself loses nothing that was committed. Roles
and databases are the store's: after the first start there is a superuser and no more.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
import socket
from functools import partial
from pathlib import Path

import msgspec

from agentpod_core.errors import AgentPodError, PermanentError, TemporaryError
from agentpod_server import atomic
from agentpod_server.embedded import accounts, initdb, logs, processes, programs
from agentpod_server.embedded import postgres_files as files
from agentpod_server.embedded.access import SUPERUSER, Credentials, DatabaseAccess, socket_folder
from agentpod_server.embedded.accounts import Account
from agentpod_server.embedded.alone import alone
from agentpod_server.embedded.launch import launch
from agentpod_server.embedded.processes import Process
from agentpod_server.state import State

_log = logging.getLogger(__name__)

_STARTS, _PATIENCE, _GRACE = 5, 0.01, 60.0
_LOOK, _FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 0.5, 15.0
_RECOVERY = 600.0
"""How long a start may take: after a crash it reads its log again, which takes minutes on a slow disk."""


class EmbeddedPostgres:
    """The PostgreSQL of one state folder. ``port`` 0 takes a free loopback port and keeps to it."""

    def __init__(self, state: State, *, port: int = 0) -> None:
        self._state = state
        self._port = port
        self._record = state.folder("run") / "postgres.json"
        self._home = state.root / "postgres"
        self._data = self._home / "data"
        self._kept_at = state.root / "database.json"
        self._first_words = state.folder("log") / "postgres.log"

    async def start(self) -> DatabaseAccess:
        """Adopt the running one, or start it (with initdb at the first time); returns when it takes connections.

        Raises:
            PermanentError: ``DatabaseDataVersion``, ``DatabasePortTaken``, ``DatabasePasswordsLost``,
                ``StateFolderUnreachable``, ``DatabaseNotStarted`` with the end of its log as detail.
            TemporaryError: ``DatabaseDiskFull``.
        """
        async with alone(self._record.with_suffix(".busy")):
            return await self._start()

    async def _start(self) -> DatabaseAccess:
        account = self._account()
        bin_folder = await asyncio.to_thread(self._install)
        kept = await self._first_time(bin_folder, account)
        process = processes.running(self._record)
        if process is None:
            await self._end_unrecorded()
        port, on_loopback = self._choose_port(kept, process)
        config = self._config(port, on_loopback=on_loopback)
        identity = _identity(config)
        if process is not None and process.identity != identity:
            _log.info("restarting PostgreSQL (pid %d) with other settings", process.pid)
            await self._end()
            return await self._start()
        if process is None:
            if port != kept.port:
                kept = msgspec.structs.replace(kept, port=port)
                atomic.replace(self._kept_at, msgspec.json.encode(kept))
            process = await self._launch(bin_folder, account, port, config)
            _log.info("PostgreSQL runs as pid %d on port %d", process.pid, port)
        elif not await self._ready(process):
            return await self._start()
        await asyncio.to_thread(programs.remove_others, self._state.folder("programs"))
        return kept.access(self._sockets())

    async def stop(self) -> bool:
        """Shut it down fast and cleanly (open transactions are rolled back); False when none runs."""
        async with alone(self._record.with_suffix(".busy")):
            return await self._end()

    async def _end(self) -> bool:
        process = processes.running(self._record)
        if process is None:
            return await self._end_unrecorded()
        return await process.end(signal.SIGINT, _GRACE)

    async def keep(self) -> None:
        """Start it again whenever it ends, with growing pauses; until cancelled, which leaves it running."""
        pause = _FIRST_PAUSE
        while True:
            try:
                process = processes.running(self._record)
                if process is not None:
                    pause = _FIRST_PAUSE
                    await process.watch(_LOOK, partial(logs.trim, self._first_words))
                    _log.warning("PostgreSQL (pid %d) ended; starting it again", process.pid)
                await self.start()
            except (AgentPodError, OSError) as error:
                _log.error("PostgreSQL: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    @property
    def process(self) -> Process | None:
        """The postmaster while it runs."""
        return processes.running(self._record)

    def program(self, name: str) -> Path:
        """Give the path of one of its programs (``pg_dump``, ``pg_restore``, ``psql``)."""
        return programs.install(self._state.folder("programs")) / name

    def _account(self) -> Account | None:
        if self._data.exists() and (there := accounts.owner(self._data.stat().st_uid)):
            return there if accounts.account(accounts.DATABASE) else None
        return accounts.account(accounts.DATABASE)

    def _install(self) -> Path:
        folder = self._state.folder("programs")
        folder.chmod(0o711)
        return programs.install(folder)

    async def _first_time(self, bin_folder: Path, account: Account | None) -> Credentials:
        """Make the passwords and the data folder where they are not made yet."""
        try:
            kept = msgspec.json.decode(self._kept_at.read_bytes(), type=Credentials)
        except FileNotFoundError:
            if self._data.exists():
                raise PermanentError("DatabasePasswordsLost", file=str(self._kept_at)) from None
            kept = Credentials.fresh()
            atomic.replace(self._kept_at, msgspec.json.encode(kept))
        except msgspec.DecodeError as error:
            raise PermanentError("StateFileDamaged", file=str(self._kept_at)) from error
        await initdb.lay_out(self._home, account)
        if not self._data.exists():
            await initdb.initialise(bin_folder, self._home, account, SUPERUSER, kept.superuser)
        found, wanted = files.data_version(self._data), programs.wheel_version().split(".")[0]
        if found != wanted:
            raise PermanentError("DatabaseDataVersion", found=found, wanted=wanted, folder=str(self._data))
        return kept

    def _choose_port(self, kept: Credentials, process: Process | None) -> tuple[int, bool]:
        """Give the port to use and whether loopback has it: the chosen or remembered one, or a free one at first.

        A remembered port that somebody else took meanwhile still names the socket: who uses that goes on.
        """
        wanted = self._port or kept.port
        if process is not None and wanted == kept.port:
            return wanted, process.identity != _identity(self._config(wanted, on_loopback=False))
        if wanted and _is_free(wanted):
            return wanted, True
        if self._port:
            raise PermanentError("DatabasePortTaken", port=self._port)
        if wanted and self._sockets() is not None:
            _log.warning("port %d is taken: PostgreSQL listens on its socket only, until it starts anew", wanted)
            return wanted, False
        return _free_port(), True

    def _config(self, port: int, *, on_loopback: bool) -> str:
        own = self._home / "custom.conf"
        extra = own.read_text() if own.exists() else ""
        logs_of_it = self._home / "log"
        return files.config(
            port=port, on_loopback=on_loopback, sockets=self._sockets(), logs=logs_of_it, own=own, extra=extra
        )

    def _sockets(self) -> Path | None:
        return socket_folder(self._home / "run")

    async def _end_unrecorded(self) -> bool:
        """End a postmaster of our data folder that no record names, or remove the lock files of one that is no more.

        PostgreSQL itself takes any living process of its account for a postmaster, and one that is dead
        but not collected yet too. Children that outlived theirs are still seen, by their shared memory.
        """
        there = files.postmaster(self._data)
        if there is None:
            return False
        started = processes.started_at(there.pid)
        if started is None or not files.serves(there.pid, self._data):
            for lock in (self._data / "postmaster.pid", *(self._home / "run").glob(".s.PGSQL.*")):
                lock.unlink(missing_ok=True)
            return False
        return await Process(pid=there.pid, started=started, boot=processes.boot_id()).end(signal.SIGINT, _GRACE)

    async def _launch(self, bin_folder: Path, account: Account | None, port: int, config: str) -> Process:
        owner = (account.uid, account.gid) if account else None
        atomic.replace(self._data / "postgresql.conf", config.encode(), owner=owner)
        atomic.replace(self._data / "pg_hba.conf", files.HOST_RULES.encode(), owner=owner)
        for attempt in range(1, _STARTS + 1):
            before = self._logged()
            process = await launch(
                "postgres",
                [str(bin_folder / "postgres"), "-D", str(self._data)],
                record=self._record,
                identity=_identity(config),
                log=self._first_words,
                user=account,
                env={"LC_ALL": "C.UTF-8", "TZ": "UTC"},
                folder=self._data,
            )
            if await self._ready(process):
                return process
            failure = self._failure(self._said_since(before), port)
            if failure.reason != "DatabaseBusy" or attempt == _STARTS:
                raise failure
            await asyncio.sleep(0.1 * 2**attempt)
        raise AssertionError

    async def _ready(self, process: Process) -> bool:
        """Wait until it takes connections; False when it ended. A slow recovery is no failure while it lives."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _RECOVERY
        while process.is_alive:
            there = files.postmaster(self._data)
            if there is not None and there.pid == process.pid and there.ready:
                return True
            if loop.time() >= deadline:
                raise TemporaryError("DatabaseNotStarted", problem=f"no answer within {_RECOVERY:.0f} s")
            await asyncio.sleep(_PATIENCE)
        return False

    def _logged(self) -> dict[Path, int]:
        """Give the size of each of its logs."""
        every = [self._first_words, *(self._home / "log").glob("*.log")]
        return {log: log.stat().st_size for log in every if log.exists()}

    def _said_since(self, before: dict[Path, int]) -> str:
        return "\n".join(logs.since(log, before.get(log, 0)) for log in self._logged())

    def _failure(self, said: str, port: int) -> PermanentError | TemporaryError:
        """Tell from what it said why it ended."""
        signs = ("FATAL", "PANIC", "could not")
        told = [line.strip() for line in said.splitlines() if any(sign in line for sign in signs)]
        problem = told[-1] if told else said.strip()[-200:]
        if "No space left" in said:
            return TemporaryError("DatabaseDiskFull", retry_after=10.0, folder=str(self._home), detail=problem)
        if "could not bind" in said or "could not create any TCP/IP sockets" in said:
            return PermanentError("DatabasePortTaken", port=port, detail=problem)
        if "still in use" in said or "lock file" in said:
            return TemporaryError("DatabaseBusy", folder=str(self._data), detail=problem)
        return PermanentError("DatabaseNotStarted", problem=problem, detail=said[-1500:])


def _identity(config: str) -> str:
    text = f"{programs.wheel_version()} {config} {files.HOST_RULES}"
    return hashlib.sha256(text.encode()).hexdigest()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
