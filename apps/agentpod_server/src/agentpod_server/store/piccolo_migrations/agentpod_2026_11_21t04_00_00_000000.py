"""What pods were when, when nobody led, and up to where events were taken away."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import UUID, BigInt, Timestamptz, Varchar
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.indexes import IndexMethod

ID = "2026-11-21T04:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Availability, and the retention of events"

NOW, NAME = TimestamptzNow(), {"length": 30, "default": ""}

TABLES = {
    ("Availability", "availability"): {
        "id": (UUID, {"primary_key": True}),
        "tenant_id": (UUID, {}),
        "tenant": (Varchar, NAME),
        "pod_id": (UUID, {}),
        "pod": (Varchar, NAME),
        "at": (Timestamptz, {"default": NOW}),
        "state": (Varchar, {"length": 16}),
    },
    ("AvailabilityGaps", "availability_gaps"): {
        "id": (UUID, {"primary_key": True}),
        "since": (Timestamptz, {"default": NOW}),
        "until": (Timestamptz, {"default": NOW}),
    },
    ("EventsPruned", "events_pruned"): {
        "id": (UUID, {"primary_key": True}),
        "tenant_id": (UUID, {"null": True}),
        "tenant": (Varchar, NAME),
        "pod": (Varchar, NAME),
        "seq": (BigInt, {}),
    },
    ("Leases", "leases"): {"renewed_at": (Timestamptz, {"null": True})},
}
NEW = [names for names in TABLES if names[0] != "Leases"]


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="agentpod", description=DESCRIPTION)
    for class_name, table in NEW:
        manager.add_table(class_name=class_name, tablename=table, schema=None, columns=None)
    for (class_name, table), columns in TABLES.items():
        for name, (kind, params) in columns.items():
            manager.add_column(
                table_class_name=class_name,
                tablename=table,
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
