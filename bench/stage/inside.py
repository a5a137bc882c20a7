"""The platform's database, entered as the server itself is let in: for what the API has no word for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Self

from agentpod_core.embedding import RESYNC
from agentpod_server.records import Scope
from agentpod_server.store.database import Database
from agentpod_server.store.listen import CHANNELS
from stage.platform import Platform

_SCOPE = Scope(actor="bench")


class Inside:
    """A connection that is kept while its context lasts, and sees all tenants."""

    def __init__(self, platform: Platform) -> None:
        self._database = Database(platform.database, name="bench")
        self._loop = asyncio.Runner()

    def __enter__(self) -> Self:
        self._loop.run(self._database.open())
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._database.close())
        self._loop.close()

    def fetch(self, sql: str, *args: Any) -> list[Any]:
        """Give the rows of a query."""
        return self._loop.run(self._fetched(sql, args))

    def execute(self, statements: Iterable[str]) -> None:
        """Run statements in one transaction."""
        self._loop.run(self._executed(statements))

    def resync(self) -> None:
        """Have the leader look at everything soon, as after changes that it may have missed."""
        self.fetch("select pg_notify($1, $2)", CHANNELS["changes"], RESYNC)

    async def _fetched(self, sql: str, args: tuple[Any, ...]) -> list[Any]:
        async with self._database.transaction(_SCOPE) as transaction:
            return await transaction.fetch(sql, *args)

    async def _executed(self, statements: Iterable[str]) -> None:
        async with self._database.transaction(_SCOPE) as transaction:
            for statement in statements:
                await transaction.execute(statement)
