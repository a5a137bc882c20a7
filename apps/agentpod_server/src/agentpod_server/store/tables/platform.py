"""What the servers themselves need: long work, the lease of the leader, settings."""

from __future__ import annotations

from piccolo.columns import JSONB, UUID, BigInt, ForeignKey, OnDelete, Text, Timestamptz, Varchar
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from agentpod_server.store.piccolo_engine import ENGINE
from agentpod_server.store.tables.pods import Tenants


class Operations(Table, tablename="operations", db=ENGINE):
    """Long verbs as data; ``epoch`` is the leadership that claimed it."""

    id = UUID(primary_key=True, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=True, default=None)
    tenant = Varchar(length=30, default="")
    kind = Varchar(length=32, default=None)
    target = Text(default="")
    status = Varchar(length=16, default="pending")
    progress = JSONB(default="{}")
    error = JSONB(null=True, default=None)
    params = JSONB(default="{}")
    result = JSONB(default="{}")
    epoch = BigInt(default=0)
    created_at = Timestamptz(default=TimestamptzNow())
    updated_at = Timestamptz(default=TimestamptzNow())
    created_by = Text(default="")


class Leases(Table, tablename="leases", db=ENGINE):
    """Who leads, until when by the database's clock; ``epoch`` grows whenever that changes.

    A trigger writes ``renewed_at``, and a gap whenever nobody led in between.
    """

    name = Varchar(length=32, primary_key=True, default=None)
    holder = Text(default="")
    epoch = BigInt(default=0)
    expires_at = Timestamptz(default=TimestamptzNow())
    renewed_at = Timestamptz(null=True, default=None)


class Settings(Table, tablename="settings", db=ENGINE):
    """What is set while the platform runs, key by key."""

    key = Varchar(length=120, primary_key=True, default=None)
    value = JSONB(default="null")
    updated_at = Timestamptz(default=TimestamptzNow())
    updated_by = Text(default="")
