"""Piccolo's engine without connections of its own: every query runs in this task's open transaction.

Piccolo binds tables to one engine when they are imported and would connect right then. This one
never connects; it borrows the connection of the transaction, and refuses to run without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from piccolo.engine.postgres import PostgresEngine, PostgresTransaction
from piccolo.querystring import QueryString

from agentpod_server.store.transactions import demanded


class _Joined(PostgresTransaction):
    """What Piccolo calls a transaction, for a migration: part of ours, which alone begins and commits."""

    def __init__(self, engine: PostgresEngine) -> None:
        self.engine = engine

    async def __aenter__(self) -> Self:
        self.connection = demanded().connection
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return False


class TransactionEngine(PostgresEngine):
    """Runs Piccolo's queries in the transaction that ``Database.transaction`` opened."""

    def __init__(self) -> None:
        # The parent's constructor connects to ask for the version; nothing of it is wanted.
        self.config: dict[str, Any] = {}
        self.extensions: Sequence[str] = ()
        self.extra_nodes: dict[str, PostgresEngine] = {}
        self.pool = None
        self.log_queries = False
        self.log_responses = False
        self.engine_type = "postgres"
        self.min_version_number = 15
        self.query_id = 0
        self.current_transaction: ContextVar[Any] = ContextVar("agentpod_piccolo_unused", default=None)

    async def run_querystring(self, querystring: QueryString, in_pool: bool = True) -> list[dict[str, Any]]:  # noqa: ARG002, FBT001, FBT002 - Piccolo's signature
        """Run a query in the open transaction."""
        sql, args = querystring.compile_string(engine_type=self.engine_type)
        return [dict(row) for row in await demanded().fetch(sql, *args)]

    async def run_ddl(self, ddl: str, in_pool: bool = True) -> list[dict[str, Any]]:  # noqa: ARG002, FBT001, FBT002 - Piccolo's signature
        """Run a schema change in the open transaction."""
        return [dict(row) for row in await demanded().fetch(ddl)]

    def transaction(self, allow_nested: bool = True) -> PostgresTransaction:  # noqa: ARG002, FBT001, FBT002 - Piccolo's signature
        """Join the open transaction; Piccolo's migrations ask for one."""
        return _Joined(self)


ENGINE = TransactionEngine()
