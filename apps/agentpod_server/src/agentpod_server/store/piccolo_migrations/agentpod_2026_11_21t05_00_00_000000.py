"""What pods used in the course of time."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import UUID, BigInt, Integer, Timestamptz
from piccolo.columns.indexes import IndexMethod

ID = "2026-11-21T05:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "History of what pods used"

COLUMNS = {
    "id": (BigInt, {"primary_key": True}),
    "tenant_id": (UUID, {}),
    "pod_id": (UUID, {}),
    "span": (Integer, {}),
    "at": (Timestamptz, {}),
    "samples": (Integer, {}),
    "cpu": (Integer, {}),
    "cpu_max": (Integer, {}),
    "memory": (BigInt, {}),
    "memory_max": (BigInt, {}),
    "memory_limit": (BigInt, {"null": True}),
    "storage": (BigInt, {"null": True}),
    "restarts": (Integer, {}),
}


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="agentpod", description=DESCRIPTION)
    manager.add_table(class_name="MetricsHistory", tablename="metrics_history", schema=None, columns=None)
    for name, (kind, params) in COLUMNS.items():
        manager.add_column(
            table_class_name="MetricsHistory",
            tablename="metrics_history",
            column_name=name,
            db_column_name=name,
            column_class_name=kind.__name__,
            column_class=kind,
            params={
                "default": None,
                "null": False,
                "primary_key": False,
                "unique": False,
                "index": False,
                "index_method": IndexMethod.btree,
                "choices": None,
                "db_column_name": None,
                "secret": False,
                **params,
            },
            schema=None,
        )
    return manager
