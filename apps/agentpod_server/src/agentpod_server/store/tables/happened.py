"""What happened and what was measured, and who did what."""

from __future__ import annotations

from piccolo.columns import JSONB, UUID, BigInt, Integer, Text, Timestamptz, Varchar
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from agentpod_server.store.piccolo_engine import ENGINE


class Events(Table, tablename="events", db=ENGINE):
    """What happened; a trigger draws ``seq``. No foreign keys: history outlives its subjects."""

    seq = BigInt(primary_key=True, default=None)
    id = UUID(unique=True, default=None)
    at = Timestamptz(default=TimestamptzNow())
    tenant_id = UUID(null=True, default=None)
    tenant = Varchar(length=30, default="")
    pod_id = UUID(null=True, default=None)
    pod = Varchar(length=30, default="")
    kind = Varchar(length=32, default=None)
    reason = Varchar(length=64, default=None)
    severity = Varchar(length=16, default="info")
    params = JSONB(default="{}")
    actor = Text(default="")
    request_id = Text(default="")
    generation = Integer(default=0)


class EventsPruned(Table, tablename="events_pruned", db=ENGINE):
    """Up to which number events were taken away: of a pod with too many, or (no names) of all for their age."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=True, default=None)
    tenant = Varchar(length=30, default="")
    pod = Varchar(length=30, default="")
    seq = BigInt(default=None)


class Availability(Table, tablename="availability", db=ENGINE):
    """From when on a pod was ready, not ready, not wanted or unknown; its history outlives it."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(default=None)
    tenant = Varchar(length=30, default="")
    pod_id = UUID(default=None)
    pod = Varchar(length=30, default="")
    at = Timestamptz(default=TimestamptzNow())
    state = Varchar(length=16, default=None)


class AvailabilityGaps(Table, tablename="availability_gaps", db=ENGINE):
    """When nobody led, so that nobody saw any pod."""

    id = UUID(primary_key=True, default=None)
    since = Timestamptz(default=TimestamptzNow())
    until = Timestamptz(default=TimestamptzNow())


class MetricsHistory(Table, tablename="metrics_history", db=ENGINE):
    """What a pod used in one span of so many seconds, averages and peaks; the database draws ``id``."""

    id = BigInt(primary_key=True, default=None)
    tenant_id = UUID(default=None)
    pod_id = UUID(default=None)
    span = Integer(default=None)
    at = Timestamptz(default=None)
    samples = Integer(default=None)
    cpu = Integer(default=None)
    cpu_max = Integer(default=None)
    memory = BigInt(default=None)
    memory_max = BigInt(default=None)
    memory_limit = BigInt(null=True, default=None)
    storage = BigInt(null=True, default=None)
    restarts = Integer(default=None)


class AuditLog(Table, tablename="audit_log", db=ENGINE):
    """Who did what; rows are only ever added."""

    id = UUID(primary_key=True, default=None)
    at = Timestamptz(default=TimestamptzNow())
    tenant_id = UUID(null=True, default=None)
    actor = Text(default="")
    action = Varchar(length=64, default=None)
    target = Text(default="")
    request_id = Text(default="")
    params = JSONB(default="{}")
