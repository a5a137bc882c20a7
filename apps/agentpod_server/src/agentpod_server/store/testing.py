"""Fixtures for tests that need a real PostgreSQL: servers that last a session, one migrated database per test.

A conftest takes them in with ``from agentpod_server.store.testing import *``. Tests run on the wheel's 18;
a module that is to hold on others too says so: ``pytest_generate_tests = on_servers(*EVERY_SERVER)``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from itertools import count

import pytest

from agentpod_server.store.access import Access, role_of
from agentpod_server.store.database import Database
from agentpod_server.store.testing_servers import TestServer, debians_15, has_debians, outside, run, wheels_18

__all__ = ["database", "empty_access", "postgres_access", "postgres_server", "postgres_servers"]

OUR_SERVERS = ("18", "15")
"""The wheel's and Debian's, as superuser; 15 is also the oldest that is supported."""

EVERY_SERVER = (*OUR_SERVERS, "outside")
"""And one that tests have no more rights on than an operator needs."""

_numbers = count(1)


def on_servers(*names: str) -> Callable[[pytest.Metafunc], None]:
    """Give the ``pytest_generate_tests`` of a module whose tests are to run on each of these servers."""

    def generate(metafunc: pytest.Metafunc) -> None:
        if "postgres_server" in metafunc.fixturenames:
            metafunc.parametrize("postgres_server", names, indirect=True)

    return generate


class Servers:
    """The servers of a session, each started when it is asked for first."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._started: dict[str, TestServer] = {}

    def get(self, name: str) -> TestServer:
        """Give a server by its name, or skip the test where this machine has none."""
        if name not in self._started:
            self._started[name] = self._stack.enter_context(self._new(name))
        return self._started[name]

    def _new(self, name: str) -> AbstractContextManager[TestServer]:
        if name == "outside":
            return outside(lambda: self.get("15" if has_debians() else "18"))
        return {"18": wheels_18, "15": debians_15}[name]()


@pytest.fixture(scope="session")
def postgres_servers() -> Iterator[Servers]:
    """Give the servers of this session."""
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture
def postgres_server(request: pytest.FixtureRequest, postgres_servers: Servers) -> TestServer:
    """Give the server that this test runs on: the wheel's unless its module says otherwise."""
    return postgres_servers.get(getattr(request, "param", "18"))


@pytest.fixture
async def postgres_access(postgres_server: TestServer) -> AsyncIterator[Access]:
    """Give a migrated database of the test's own, by the URLs of its owner and app roles."""
    async with _database(postgres_server, postgres_server.template) as access:
        yield access


@pytest.fixture
async def empty_access(postgres_server: TestServer) -> AsyncIterator[Access]:
    """Give a database of the test's own that nobody has migrated."""
    async with _database(postgres_server, postgres_server.empty) as access:
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
        self._name = f"{server.prefix}_t{next(_numbers)}"

    async def __aenter__(self) -> Access:
        access = self._server.access(self._name)
        owner = role_of(access.owner_dsn)
        # Without fsync a copy of the files is several times as quick as one through the log.
        made = f"create database {self._name} template {self._template} owner {owner} strategy file_copy"
        await run(self._server, made)
        return access

    async def __aexit__(self, *_: object) -> None:
        await run(self._server, f"drop database {self._name} with (force)")
