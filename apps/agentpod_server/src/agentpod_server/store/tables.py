"""The tables as Piccolo knows them: columns, keys and single-column constraints.

Row-level security, triggers, checks and composite indexes live in the migrations, in SQL. Ids come
from the app; JSON columns hold msgspec's own encoding of the value named beside them.
"""

from __future__ import annotations

from piccolo.columns import (
    JSONB,
    UUID,
    BigInt,
    Boolean,
    Bytea,
    ForeignKey,
    Integer,
    OnDelete,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from agentpod_server.store.piccolo_engine import ENGINE


class Nodes(Table, tablename="nodes", db=ENGINE):
    """Machines that pods run on."""

    name = Varchar(length=63, primary_key=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())


class Tenants(Table, tablename="tenants", db=ENGINE):
    """Customers."""

    id = UUID(primary_key=True, default=None)
    slug = Varchar(length=30, unique=True, default=None)
    name = Text(default="")
    email = Text(default="")
    wanted = Varchar(length=16, default="running")
    generation = Integer(default=1)
    created_at = Timestamptz(default=TimestamptzNow())
    updated_at = Timestamptz(default=TimestamptzNow())


class AddressLeases(Table, tablename="address_leases", db=ENGINE):
    """Which piece of a node's address plan is whose."""

    id = UUID(primary_key=True, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=False, default=None)
    node = ForeignKey(Nodes, on_delete=OnDelete.restrict, null=False, default="local")
    number = Integer(default=None)
    subnet = Varchar(length=43, default=None)
    gateway = Varchar(length=39, default=None)
    created_at = Timestamptz(default=TimestamptzNow())


class Pods(Table, tablename="pods", db=ENGINE):
    """Pods; ``tenant``, ``wanted`` and ``adapter`` repeat what never differs from elsewhere, for the listings."""

    id = UUID(primary_key=True, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.restrict, null=False, default=None)
    tenant = Varchar(length=30, default=None)
    name = Varchar(length=30, default=None)
    subdomain = Varchar(length=63, unique=True, default=None)
    generation = Integer(default=1)
    wanted = Varchar(length=16, default="running")
    adapter = Varchar(length=63, default=None)
    node = ForeignKey(Nodes, on_delete=OnDelete.restrict, null=False, default="local")
    address = Varchar(length=39, default=None)
    created_at = Timestamptz(default=TimestamptzNow())
    updated_at = Timestamptz(default=TimestamptzNow())


class PodConfigs(Table, tablename="pod_configs", db=ENGINE):
    """One immutable row per generation of a pod; ``spec`` is a PodSpec."""

    id = UUID(primary_key=True, default=None)
    pod_id = ForeignKey(Pods, on_delete=OnDelete.cascade, null=False, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.restrict, null=False, default=None)
    generation = Integer(default=None)
    adapter = Varchar(length=63, default=None)
    config_version = Integer(default=1)
    spec = JSONB(default=None)
    created_at = Timestamptz(default=TimestamptzNow())
    created_by = Text(default="")


class PodWorkloads(Table, tablename="pod_workloads", db=ENGINE):
    """What each generation was rendered to: a Workload, and the secrets it was rendered with by name."""

    id = UUID(primary_key=True, default=None)
    pod_id = ForeignKey(Pods, on_delete=OnDelete.cascade, null=False, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.restrict, null=False, default=None)
    generation = Integer(default=None)
    workload = JSONB(default=None)
    secrets = JSONB(default="{}")
    credential = Text(default=None, null=True)
    created_at = Timestamptz(default=TimestamptzNow())


class PodStatus(Table, tablename="pod_status", db=ENGINE):
    """What was concluded about a pod: ``status`` is a PodStatus, ``record`` a Record."""

    pod_id = ForeignKey(Pods, primary_key=True, on_delete=OnDelete.cascade, null=False, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.restrict, null=False, default=None)
    node = ForeignKey(Nodes, on_delete=OnDelete.restrict, null=False, default="local")
    phase = Varchar(length=16, default="pending")
    ready = Boolean(default=False)
    observed_generation = Integer(default=0)
    status = JSONB(default="{}")
    record = JSONB(default="{}")
    updated_at = Timestamptz(default=TimestamptzNow())


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


class EventsPruned(Table, tablename="events_pruned", db=ENGINE):
    """Up to which number events were taken away: of a pod with too many, or (no names) of all for their age."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=True, default=None)
    tenant = Varchar(length=30, default="")
    pod = Varchar(length=30, default="")
    seq = BigInt(default=None)


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


class Secrets(Table, tablename="secrets", db=ENGINE):
    """Encrypted secrets, a row per version: the data key wrapped by the key ``key_id``, and the value.

    Those without a tenant are the platform's own.
    """

    id = UUID(primary_key=True, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=True, default=None)
    key = Text(default=None)
    version = Integer(default=None)
    key_id = Varchar(length=8, default=None)
    wrapped = Bytea(default=None)
    sealed = Bytea(default=None)
    created_at = Timestamptz(default=TimestamptzNow())


class Alerts(Table, tablename="alerts", db=ENGINE):
    """What a person should know of a pod or, without one, of the platform; no foreign keys, as with events."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=True, default=None)
    tenant = Varchar(length=30, default="")
    pod_id = UUID(null=True, default=None)
    pod = Varchar(length=30, default="")
    reason = Varchar(length=64, default=None)
    severity = Varchar(length=16, default=None)
    params = JSONB(default="{}")
    raised_at = Timestamptz(default=TimestamptzNow())
    cleared_at = Timestamptz(null=True, default=None)


class AlertRoutes(Table, tablename="alert_routes", db=ENGINE):
    """Whom to tell of which alerts: a target of the notifier ``kind``; ``settings`` hold references to secrets.

    One without a tenant is told of all. ``failure`` is what went wrong last, null once something got through.
    """

    id = UUID(primary_key=True, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=True, default=None)
    tenant = Varchar(length=30, default="")
    name = Varchar(length=30, default=None)
    kind = Varchar(length=63, default=None)
    settings = JSONB(default="{}")
    min_severity = Varchar(length=16, default="warning")
    reasons = JSONB(default="[]")
    failure = JSONB(null=True, default=None)
    delivered_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())
    created_by = Text(default="")


class AlertsOutbox(Table, tablename="alerts_outbox", db=ENGINE):
    """Messages: one for each alert and target, and one when it is over; ``epoch`` is the leadership that tries it.

    ``tenant_id`` is the target's; messages of one ``subject`` reach a target in their order.
    """

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=True, default=None)
    alert_id = UUID(default=None)
    route_id = UUID(default=None)
    subject = UUID(default=None)
    kind = Varchar(length=16, default=None)
    state = Varchar(length=16, default="pending")
    attempts = Integer(default=0)
    epoch = BigInt(default=0)
    due_at = Timestamptz(default=TimestamptzNow())
    error = JSONB(null=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())
    done_at = Timestamptz(null=True, default=None)


class Silences(Table, tablename="silences", db=ENGINE):
    """When nobody is to be told, of which tenant, pod and reason; empty is any.

    A tenant's own is for its own targets.
    """

    id = UUID(primary_key=True, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=True, default=None)
    tenant = Varchar(length=30, default="")
    pod = Varchar(length=30, default="")
    reason = Varchar(length=64, default="")
    comment = Text(default="")
    ends_at = Timestamptz(default=TimestamptzNow())
    created_at = Timestamptz(default=TimestamptzNow())
    created_by = Text(default="")


class Users(Table, tablename="users", db=ENGINE):
    """People who can log in; without a tenant they see all of them."""

    id = UUID(primary_key=True, default=None)
    login = Varchar(length=120, unique=True, default=None)
    email = Text(default="")
    password_hash = Text(default=None)
    role = Varchar(length=16, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=True, default=None)
    language = Varchar(length=16, default="")
    created_at = Timestamptz(default=TimestamptzNow())
    updated_at = Timestamptz(default=TimestamptzNow())


class Sessions(Table, tablename="sessions", db=ENGINE):
    """Browsers that are logged in; ``hash`` is of the session's id, which nobody can read back."""

    hash = Varchar(length=64, primary_key=True, default=None)
    user_id = ForeignKey(Users, on_delete=OnDelete.cascade, null=False, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=True, default=None)
    data = JSONB(default="{}")
    created_at = Timestamptz(default=TimestamptzNow())
    expires_at = Timestamptz(default=None, index=True)


class ApiTokens(Table, tablename="api_tokens", db=ENGINE):
    """Bearer tokens by the hash of their value."""

    id = UUID(primary_key=True, default=None)
    hash = Varchar(length=64, unique=True, default=None)
    name = Text(default="")
    hint = Varchar(length=16, default="")
    role = Varchar(length=16, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=True, default=None)
    created_by = Text(default="")
    created_at = Timestamptz(default=TimestamptzNow())
    expires_at = Timestamptz(null=True, default=None)
    used_at = Timestamptz(null=True, default=None)


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


TABLES: tuple[type[Table], ...] = (
    Nodes,
    Tenants,
    AddressLeases,
    Pods,
    PodConfigs,
    PodWorkloads,
    PodStatus,
    Events,
    Availability,
    AvailabilityGaps,
    EventsPruned,
    MetricsHistory,
    Operations,
    Secrets,
    Alerts,
    AlertRoutes,
    AlertsOutbox,
    Silences,
    Users,
    Sessions,
    ApiTokens,
    AuditLog,
    Leases,
    Settings,
)
