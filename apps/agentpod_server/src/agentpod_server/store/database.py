"""The pool of connections as the app role, and transactions that say who asks.

A transaction's scope is set for that transaction only; a connection without one sees no row of any
tenant. Roles and schema are made elsewhere (``bootstrap``, ``migrations``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from msgspec import Struct

from agentpod_core.errors import AgentPodError, TemporaryError
from agentpod_server.records import Scope
from agentpod_server.store.access import place_of
from agentpod_server.store.failures import EXPECTED, is_lost, meaning, translated
from agentpod_server.store.transactions import CURRENT, Transaction

CONNECT_TIMEOUT = 5.0
BEGIN_TIMEOUT = 8.0
"""How long a transaction may take to begin, all attempts together: a server that stands still answers none."""
STATEMENT_TIMEOUT = 10.0
PING_TIMEOUT = 4.0
ROLLBACK_TIMEOUT = 2.0
"""How long a rollback may take. A statement that was cancelled ends first, and PostgreSQL ignores a cancel request
that overtakes its statement: the connection is dropped then."""

_WATCHED = {"client_connection_check_interval": "1s"}
"""A statement whose connection was dropped holds its locks no longer than this, where the server's system can tell."""

_SESSION = {
    # A frozen leader must not hold the lease row's lock past the lease.
    "idle_in_transaction_session_timeout": "5s",
    "jit": "off",
    "timezone": "UTC",
}
_SET_SCOPE = "select set_config('app.tenant_id', $1, true), set_config('app.scope', $2, true)"


class Connections(Struct, frozen=True, kw_only=True):
    """How many connections of the pool are open, idle, and allowed."""

    open: int
    idle: int
    limit: int


class Database:
    """A PostgreSQL database as the app role sees it. The constructor does no I/O."""

    def __init__(self, dsn: str, *, pool_size: int = 10, name: str = "agentpod") -> None:
        self._dsn = dsn
        self._where = place_of(dsn)
        self._pool_size = pool_size
        self._name = name
        self._pool: asyncpg.Pool | None = None
        self._watched = _WATCHED

    async def open(self) -> None:
        """Open the pool; twice is fine.

        Raises:
            TemporaryError: ``StoreUnreachable``.
            PermanentError: ``DatabaseRefused``, user or password are wrong.
        """
        if self._pool is not None:
            return
        with translated(where=self._where):
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=0,  # a floor would be restored in the background, with a traceback per failure
                max_size=self._pool_size,
                connect=self._connect,
                timeout=CONNECT_TIMEOUT,
                command_timeout=STATEMENT_TIMEOUT,
                server_settings=_SESSION | {"application_name": self._name},
            )
        try:
            await self.ping()
        except AgentPodError:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every connection; transactions that do not end soon are cut off."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            await asyncio.wait_for(pool.close(), CONNECT_TIMEOUT)
        except (TimeoutError, *EXPECTED):
            pool.terminate()

    @property
    def connections(self) -> Connections:
        """How the pool is used now."""
        pool = self._pool
        is_open = pool is not None and not pool.is_closing()
        return Connections(
            open=pool.get_size() if pool and is_open else 0,
            idle=pool.get_idle_size() if pool and is_open else 0,
            limit=self._pool_size,
        )

    async def connect(self) -> asyncpg.Connection:
        """Open a connection beside the pool, for one that listens; the caller closes it."""
        with translated(where=self._where):
            return await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_TIMEOUT,
                command_timeout=STATEMENT_TIMEOUT,
                server_settings={"timezone": "UTC", "application_name": f"{self._name}-listen"},
            )

    async def _connect(self, *args: Any, server_settings: dict[str, str], **options: Any) -> asyncpg.Connection:
        """Open a connection of the pool. What is set here outlasts the reset of one that is given back."""
        if self._watched:
            try:
                return await asyncpg.connect(*args, server_settings=server_settings | self._watched, **options)
            except asyncpg.InvalidParameterValueError as error:
                if not any(name in str(error) for name in self._watched):
                    raise
                self._watched = {}
        return await asyncpg.connect(*args, server_settings=server_settings, **options)

    async def ping(self) -> None:
        """Return when the database answers.

        Raises:
            TemporaryError: ``StoreUnreachable``.
        """
        try:
            async with asyncio.timeout(PING_TIMEOUT), self.transaction(Scope()) as transaction:
                await transaction.value("select 1")
        except TimeoutError as error:
            raise TemporaryError("StoreUnreachable", detail=f"no answer within {PING_TIMEOUT:g} s") from error

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[Transaction]:
        """Open a transaction in which repository functions see what ``scope`` may see.

        An exception rolls everything back. Transactions do not nest, and stay in their task.

        Raises:
            RuntimeError: this task has one open already, or the database is not open.
            TemporaryError: ``StoreUnreachable``, also when the commit's answer was lost.
        """
        outer = CURRENT.get()
        if outer is not None and outer.belongs_here:
            msg = "transactions do not nest"
            raise RuntimeError(msg)
        if self._pool is None:
            msg = "the database is not open"
            raise RuntimeError(msg)
        pool = self._pool
        connection, bounds = await self._begin(pool, scope)
        transaction = Transaction(self, connection, scope)
        token = CURRENT.set(transaction)
        try:
            yield transaction
            await transaction.run_last_acts()
            with translated(connection):
                await bounds.commit()
        except BaseException:
            await _roll_back(bounds, connection)
            raise
        finally:
            CURRENT.reset(token)
            await _release(pool, connection)

    async def _begin(
        self, pool: asyncpg.Pool, scope: Scope
    ) -> tuple[asyncpg.Connection, asyncpg.transaction.Transaction]:
        """Begin on a connection that works; after a restart of the server the pool is full of others."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BEGIN_TIMEOUT
        for last in [*[False] * self._pool_size, True]:
            connection = await self._acquired(pool, deadline - loop.time())
            bounds = connection.transaction()
            try:
                with translated(connection):
                    async with asyncio.timeout_at(deadline):
                        await bounds.start()
                        await connection.execute(_SET_SCOPE, scope.tenant_id or "", "" if scope.tenant_id else "all")
            except BaseException as error:
                await _release(pool, connection, is_spoilt=True)
                if last or loop.time() >= deadline or not isinstance(error, TemporaryError):
                    raise
            else:
                return connection, bounds
        raise AssertionError

    async def _acquired(self, pool: asyncpg.Pool, seconds: float) -> asyncpg.Connection:
        try:
            return await pool.acquire(timeout=seconds)
        except asyncpg.InterfaceError as error:  # the pool is closing
            raise TemporaryError("StoreUnreachable", detail=str(error)) from error
        except EXPECTED as error:
            said = meaning(error, where=self._where)
            if said is None:
                raise
            raise said from error


async def _release(pool: asyncpg.Pool, connection: asyncpg.Connection, *, is_spoilt: bool = False) -> None:
    """Give a connection back; one that is spoilt or fails at that is closed hard, and the pool makes another."""
    try:
        if is_spoilt and not is_lost(connection):
            connection.terminate()
        await pool.release(connection)
    except EXPECTED:
        if not is_lost(connection):
            connection.terminate()


async def _roll_back(bounds: asyncpg.transaction.Transaction, connection: asyncpg.Connection) -> None:
    """Undo the transaction, or drop a connection on which even that fails: the server undoes it then.

    Whoever is cancelled once more meanwhile waits no longer.
    """
    if is_lost(connection):
        return
    try:
        async with asyncio.timeout(ROLLBACK_TIMEOUT):
            await bounds.rollback()
    except BaseException as error:
        if not is_lost(connection):
            connection.terminate()
        if not isinstance(error, EXPECTED):
            raise
