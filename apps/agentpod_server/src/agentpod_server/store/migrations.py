"""Brings the schema forward: Piccolo's migrations as the owner role, in one transaction under a lock.

All that is missing is applied or nothing is, and of several that start at once one does it. What the
app role may do to each table is written here and granted anew every time.
"""

from __future__ import annotations

import contextlib
import io
import os

import asyncpg
from piccolo.apps.migrations.tables import Migration

from agentpod_core.errors import PermanentError
from agentpod_server.records import Scope
from agentpod_server.store.failures import is_lost, meaning
from agentpod_server.store.reach import connected
from agentpod_server.store.transactions import CURRENT, Transaction

APP = "agentpod"
CONF = "agentpod_server.store.piccolo_conf"
_LOCK = 4_702_111_234_474_983_745
_STATEMENT_SECONDS = 600.0
"""How long one statement may take, the wait for another server that migrates included."""

_ALL = "select, insert, update, delete"
_APPEND = "select, insert"
_PRUNED = "select, insert, delete"

GRANTS: dict[str, str] = {
    "nodes": "select",
    "tenants": _ALL,
    "address_leases": _ALL,
    "pods": _ALL,
    "pod_configs": _APPEND,
    "pod_workloads": _APPEND,
    "pod_status": _ALL,
    "events": _PRUNED,
    "availability": _PRUNED,
    "availability_gaps": _PRUNED,
    "events_pruned": _ALL,
    "metrics_history": _ALL,
    "operations": _ALL,
    "secrets": _ALL,
    "alerts": _ALL,
    "alert_routes": _ALL,
    "alerts_outbox": _ALL,
    "silences": _ALL,
    "users": _ALL,
    "sessions": _ALL,
    "api_tokens": _ALL,
    "audit_log": _APPEND,
    "leases": _ALL,
    "settings": _ALL,
    "migration": "select",
}
"""What the app role may do, table by table; history and past generations are only ever added to, and pruned."""


async def migrate(owner_dsn: str, app_role: str) -> list[str]:
    """Apply the migrations that are missing and give their ids; none is fine.

    Raises:
        TemporaryError: ``StoreUnreachable``; as ``reach.connected`` does.
        PermanentError: ``MigrationFailed``, and nothing was changed.
    """
    async with connected(owner_dsn, statement_seconds=_STATEMENT_SECONDS) as connection:
        try:
            async with connection.transaction():
                return await _migrate(connection, app_role)
        except asyncpg.PostgresError as error:
            if meaning(error, connection_lost=is_lost(connection)) is not None:
                raise
            raise PermanentError("MigrationFailed", problem=str(error)) from error


async def _migrate(connection: asyncpg.Connection, app_role: str) -> list[str]:
    await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
    # Later migrations that move data must see it: the owner is under row-level security as well.
    await connection.execute("select set_config('app.scope', 'all', true)")
    # Piccolo finds engine and apps by this alone, whatever the surroundings say.
    os.environ["PICCOLO_CONF"] = CONF
    token = CURRENT.set(Transaction(None, connection, Scope(actor="migration")))
    try:
        before = await _applied()
        await _forwards()
        after = await _applied()
    finally:
        CURRENT.reset(token)
    await _grant(connection, app_role)
    return [name for name in after if name not in before]


async def _forwards() -> None:
    """Run what is missing. Piccolo prints while it works; that becomes the detail of a failure."""
    from piccolo.apps.migrations.commands.forwards import run_forwards  # noqa: PLC0415 - imports black and more

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        result = await run_forwards(APP)
    if not result.success:
        raise PermanentError("MigrationFailed", problem=result.message or "", detail=printed.getvalue())


async def _applied() -> list[str]:
    if not await Migration.table_exists():
        return []
    return await Migration.get_migrations_which_ran(APP)


async def _grant(connection: asyncpg.Connection, app_role: str) -> None:
    role = '"' + app_role.replace('"', '""') + '"'
    for table, verbs in GRANTS.items():
        await connection.execute(f"revoke all on {table} from {role}; grant {verbs} on {table} to {role}")
    await connection.execute(f"grant usage on sequence events_seq to {role}")
