"""Whose database it is: the id of the instance that made it stands in its settings, for good.

Two platforms on one database would take each other's pods for strangers; the second one is refused.
"""

from __future__ import annotations

import asyncpg
import msgspec

from agentpod_core.errors import PermanentError
from agentpod_server.records import Scope
from agentpod_server.store import rows, settings
from agentpod_server.store.database import Database

KEY = "instance"

_IS_OURS = "select to_regclass('public.settings') is not null and to_regclass('public.pod_workloads') is not null"


async def claim(database: Database, instance: str) -> None:
    """Write the instance's id into a database that has none, and refuse one that has another.

    Raises:
        PermanentError: ``DatabaseOfAnotherInstance``.
    """
    async with database.transaction(Scope(actor="platform")) as transaction:
        await transaction.execute(
            "insert into settings (key, value, updated_at, updated_by) values ($1, $2, now(), $3)"
            " on conflict (key) do nothing",
            KEY,
            rows.text(instance),
            transaction.scope.actor,
        )
        _demand_same(await settings.read(KEY), instance)


async def demand_ours(admin: asyncpg.Connection, instance: str) -> None:
    """Refuse a database of another instance before its roles are touched; one without tables is nobody's.

    Raises:
        PermanentError: ``DatabaseOfAnotherInstance``.
        InsufficientPrivilegeError: the role of ``admin`` may not look.
    """
    if not await admin.fetchval(_IS_OURS):
        return
    async with admin.transaction(readonly=True):
        await admin.execute("select set_config('app.scope', 'all', true)")
        found = await admin.fetchval("select value from settings where key = $1", KEY)
    if found is not None:
        _demand_same(msgspec.json.decode(found), instance)


def _demand_same(found: object, instance: str) -> None:
    if found != instance:
        raise PermanentError("DatabaseOfAnotherInstance", found=found, ours=instance)
