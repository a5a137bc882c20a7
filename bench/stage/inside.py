"""The platform's database, entered as the server itself is let in: for what the API has no word for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Self

import asyncpg

from agentpod_core.embedding import RESYNC
from agentpod_server.store.listen import CHANNELS
from stage.platform import Platform

_SEE_ALL = "select set_config('app.scope', 'all', false)"


class Inside:
    """A connection that is kept while its context lasts, and sees all tenants; a query is one trip there and back."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._loop = asyncio.Runner()
        self._connection: asyncpg.Connection | None = None

    def __enter__(self) -> Self:
        self._connection = self._loop.run(_connected(self._platform.database))
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._open.close())
        self._loop.close()

    def fetch(self, sql: str, *args: Any) -> list[Any]:
        """Give the rows of a query."""
        return self._loop.run(self._open.fetch(sql, *args))

    def execute(self, statements: Iterable[str]) -> None:
        """Run statements in one transaction."""
        self._loop.run(self._executed(statements))

    def resync(self) -> None:
        """Have the leader look at everything soon, as after changes that it may have missed."""
        self.fetch("select pg_notify($1, $2)", CHANNELS["changes"], RESYNC)

    @property
    def _open(self) -> asyncpg.Connection:
        assert self._connection is not None
        return self._connection

    async def _executed(self, statements: Iterable[str]) -> None:
        async with self._open.transaction():
            for statement in statements:
                await self._open.execute(statement)


async def _connected(dsn: str) -> asyncpg.Connection:
    made = await asyncpg.connect(dsn)
    await made.execute(_SEE_ALL)
    return made
