"""Alerts, whom they are told, what is still to be told, and when not to; secrets that belong to no tenant."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.columns.column_types import JSONB, UUID, BigInt, Boolean, ForeignKey, Integer, Text, Timestamptz, Varchar
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.indexes import IndexMethod
from piccolo.table import Table

ID = "2026-11-21T03:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Alerts, their targets, outbox and silences"


class Tenants(Table, tablename="tenants", schema=None):
    """The part of it that keys refer to."""

    id = UUID(default=None, null=False, primary_key=True, unique=False, index=False)


NOW, NAME = TimestamptzNow(), {"length": 30, "default": ""}
KEY = (UUID, {"primary_key": True})
OF_A_TENANT = (
    ForeignKey,
    {
        "references": Tenants,
        "on_delete": OnDelete.cascade,
        "on_update": OnUpdate.cascade,
        "target_column": None,
        "null": True,
    },
)

TABLES = {
    ("Alerts", "alerts"): {
        "id": KEY,
        "tenant_id": (UUID, {"null": True}),
        "tenant": (Varchar, NAME),
        "pod_id": (UUID, {"null": True}),
        "pod": (Varchar, NAME),
        "reason": (Varchar, {"length": 64}),
        "subject": (Text, {"default": ""}),
        "severity": (Varchar, {"length": 16}),
        "params": (JSONB, {"default": "{}"}),
        "raised_at": (Timestamptz, {"default": NOW}),
        "cleared_at": (Timestamptz, {"null": True}),
        "is_stopped": (Boolean, {"default": False}),
    },
    ("AlertRoutes", "alert_routes"): {
        "id": KEY,
        "tenant_id": OF_A_TENANT,
        "tenant": (Varchar, NAME),
        "name": (Varchar, {"length": 30}),
        "kind": (Varchar, {"length": 63}),
        "settings": (JSONB, {"default": "{}"}),
        "min_severity": (Varchar, {"length": 16, "default": "warning"}),
        "reasons": (JSONB, {"default": "[]"}),
        "is_paused": (Boolean, {"default": False}),
        "generation": (Integer, {"default": 1}),
        "failure": (JSONB, {"null": True}),
        "failures": (Integer, {"default": 0}),
        "failed_message": (UUID, {"null": True}),
        "not_before": (Timestamptz, {"null": True}),
        "delivered_at": (Timestamptz, {"null": True}),
        "created_at": (Timestamptz, {"default": NOW}),
        "created_by": (Text, {"default": ""}),
    },
    ("AlertsOutbox", "alerts_outbox"): {
        "id": KEY,
        "tenant_id": (UUID, {"null": True}),
        "number": (BigInt, {}),
        "alert_id": (UUID, {}),
        "route_id": (UUID, {}),
        "subject": (UUID, {}),
        "kind": (Varchar, {"length": 16}),
        "state": (Varchar, {"length": 16, "default": "pending"}),
        "attempts": (Integer, {"default": 0}),
        "missed": (Integer, {"default": 0}),
        "epoch": (BigInt, {"default": 0}),
        "due_at": (Timestamptz, {"default": NOW}),
        "error": (JSONB, {"null": True}),
        "created_at": (Timestamptz, {"default": NOW}),
        "done_at": (Timestamptz, {"null": True}),
    },
    ("Silences", "silences"): {
        "id": KEY,
        "tenant_id": OF_A_TENANT,
        "tenant": (Varchar, NAME),
        "pod": (Varchar, NAME),
        "reason": (Varchar, {"length": 64, "default": ""}),
        "comment": (Text, {"default": ""}),
        "ends_at": (Timestamptz, {"default": NOW}),
        "created_at": (Timestamptz, {"default": NOW}),
        "created_by": (Text, {"default": ""}),
    },
}

async def forwards():
    """Add the tables."""
    manager = MigrationManager(migration_id=ID, app_name="agentpod", description=DESCRIPTION)
    for class_name, table in TABLES:
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
    manager.alter_column(
        table_class_name="Secrets",
        tablename="secrets",
        column_name="tenant_id",
        db_column_name="tenant_id",
        params={"null": True},
        old_params={"null": False},
        column_class=ForeignKey,
        old_column_class=ForeignKey,
        schema=None,
    )

    return manager
