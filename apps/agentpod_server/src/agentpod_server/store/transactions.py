"""The open transaction of this task: what every repository function runs in, and refuses to run without.

The transaction travels by context variable and belongs to the task that opened it. Piccolo's own
``engine.transaction()`` is not used: a backend that dies inside it poisons its task for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any

import asyncpg

from agentpod_server.records import Scope
from agentpod_server.store.failures import translated


class Transaction:
    """An open transaction with its scope; only ``Database.transaction`` makes one."""

    def __init__(self, database: object, connection: asyncpg.Connection, scope: Scope) -> None:
        self.database = database
        self.connection = connection
        self.scope = scope
        self._task = asyncio.current_task()
        self._last_acts: list[Callable[[], Awaitable[None]]] = []

    @property
    def belongs_here(self) -> bool:
        """Whether the running task is the one that opened it."""
        return self._task is asyncio.current_task()

    def at_end(self, act: Callable[[], Awaitable[None]]) -> None:
        """Run ``act`` right before the commit, after everything else, in the order of the calls."""
        self._last_acts.append(act)

    async def run_last_acts(self) -> None:
        """Run what was put off to the end."""
        while self._last_acts:
            await self._last_acts.pop(0)()

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Give all rows."""
        with translated(self.connection):
            return await self.connection.fetch(sql, *args)  # type: ignore[no-any-return]

    async def row(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """Give the first row; None without one."""
        with translated(self.connection):
            return await self.connection.fetchrow(sql, *args)

    async def value(self, sql: str, *args: Any) -> Any:
        """Give the first column of the first row; None without one."""
        with translated(self.connection):
            return await self.connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> int:
        """Run a statement and give the number of rows it touched."""
        with translated(self.connection):
            tag: str = await self.connection.execute(sql, *args)
        last = tag.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for many rows."""
        with translated(self.connection):
            await self.connection.executemany(sql, rows)


CURRENT: ContextVar[Transaction | None] = ContextVar("agentpod_transaction", default=None)


def joined() -> Transaction | None:
    """Give the transaction that this task opened; None outside of one."""
    transaction = CURRENT.get()
    return transaction if transaction is not None and transaction.belongs_here else None


def demanded() -> Transaction:
    """Give the transaction of this task.

    Raises:
        RuntimeError: there is none, or it belongs to another task: the caller is wrong, not the data.
    """
    transaction = CURRENT.get()
    if transaction is None:
        msg = "a repository function needs `async with database.transaction(scope):` around it"
        raise RuntimeError(msg)
    if not transaction.belongs_here:
        msg = "a transaction belongs to the task that opened it; no gather, wait_for or create_task inside"
        raise RuntimeError(msg)
    return transaction
