"""Opens a first connection to a PostgreSQL and says why it cannot be had or used, without the password.

What fails later, on connections that once worked, is told by ``failures``.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

import asyncpg

from agentpod_core.errors import AgentPodError, PermanentError, TemporaryError
from agentpod_server.store.access import FILES, place_of
from agentpod_server.store.failures import EXPECTED, is_refused, translated

OLDEST = 15
CONNECT_SECONDS = 10.0
STATEMENT_SECONDS = 30.0
_CLOSE_SECONDS = 5.0


@asynccontextmanager
async def connected(dsn: str, *, statement_seconds: float | None = None) -> AsyncIterator[asyncpg.Connection]:
    """Connect for one piece of work, each statement of which may take ``STATEMENT_SECONDS`` or as long as is said.

    Raises:
        TemporaryError: ``DatabaseUnreachable``; ``StoreUnreachable``: it was lost at work, or gave no answer.
        PermanentError: ``DatabaseRefused``; ``DatabaseTls``; ``DatabaseUrlUnusable``.
    """
    try:
        connection = await asyncpg.connect(
            dsn, timeout=CONNECT_SECONDS, command_timeout=statement_seconds or STATEMENT_SECONDS
        )
    except EXPECTED as error:
        raise explained(error, dsn) from error
    try:
        with translated(connection):
            yield connection
    finally:
        try:
            await connection.close(timeout=_CLOSE_SECONDS)
        except EXPECTED:
            connection.terminate()


def explained(error: BaseException, dsn: str) -> AgentPodError:
    """Say what it means that a connection could not be opened."""
    where, problem = place_of(dsn), _in_words(error)
    if isinstance(error, TimeoutError):
        return TemporaryError("DatabaseUnreachable", where=where, problem=f"no answer within {CONNECT_SECONDS:.0f} s")
    if isinstance(error, ssl.SSLError) or "rejected SSL upgrade" in problem:
        return PermanentError("DatabaseTls", where=where, problem=problem)
    if isinstance(error, asyncpg.ClientConfigurationError):
        return PermanentError("DatabaseUrlUnusable", problem=problem)
    if isinstance(error, FileNotFoundError | PermissionError) and (option := _unreadable(dsn)):
        return PermanentError("DatabaseUrlUnusable", problem=f"{option}: {problem}")
    if is_refused(error):
        return PermanentError("DatabaseRefused", where=where, problem=problem)
    return TemporaryError("DatabaseUnreachable", where=where, problem=problem)


def _in_words(error: BaseException) -> str:
    if isinstance(error, OSError) and (error.errno or 0) > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno or 0)
    return str(error).strip() or type(error).__name__


def _unreadable(dsn: str) -> str | None:
    """Give the first option of a URL that names a file which cannot be read; the driver does not say which."""
    for option, path in parse_qsl(urlsplit(dsn).query):
        if option in FILES and not os.access(path, os.R_OK):
            return f"{option}={path}"
    return None


async def demand_usable(connection: asyncpg.Connection) -> None:
    """Refuse a server that is too old, and a pooler that hands connections around.

    Raises:
        PermanentError: ``DatabaseTooOld``; ``DatabasePooled``.
    """
    found = major_version(await _asked(connection, "select current_setting('server_version_num')::int"))
    if found < OLDEST:
        raise PermanentError("DatabaseTooOld", found=found, needed=OLDEST)
    # PostgreSQL tells a client the pid of its own backend; a pooler has one to give that no backend has.
    if await _asked(connection, "select pg_backend_pid()") != connection.get_server_pid():
        raise PermanentError("DatabasePooled")


async def demand_utf8(connection: asyncpg.Connection, database: str) -> None:
    """Refuse a database that cannot hold every text.

    Raises:
        PermanentError: ``DatabaseEncoding``.
    """
    found = await connection.fetchval("show server_encoding")
    if found != "UTF8":
        raise PermanentError("DatabaseEncoding", database=database, found=found)


def major_version(number: int) -> int:
    """Give the major version of a ``server_version_num``: 150018 is 15, and 90624, from when it had two parts, 9."""
    return number // 10000


async def _asked(connection: asyncpg.Connection, sql: str) -> int:
    try:
        return int(await connection.fetchval(sql))
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError) as error:
        raise PermanentError("DatabasePooled", detail=str(error)) from error
