"""Alerts, who is told of them, and what waits to be told."""

from __future__ import annotations

from piccolo.columns import JSONB, UUID, BigInt, Boolean, ForeignKey, Integer, OnDelete, Text, Timestamptz, Varchar
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from agentpod_server.store.piccolo_engine import ENGINE
from agentpod_server.store.tables.pods import Tenants


class Alerts(Table, tablename="alerts", db=ENGINE):
    """What a person should know of a pod or, without one, of the platform; no foreign keys, as with events.

    ``subject`` keeps apart what is open of one reason, such as disks. One that ``is_stopped`` ended with its pod.
    """

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=True, default=None)
    tenant = Varchar(length=30, default="")
    pod_id = UUID(null=True, default=None)
    pod = Varchar(length=30, default="")
    reason = Varchar(length=64, default=None)
    subject = Text(default="")
    severity = Varchar(length=16, default=None)
    params = JSONB(default="{}")
    raised_at = Timestamptz(default=TimestamptzNow())
    cleared_at = Timestamptz(null=True, default=None)
    is_stopped = Boolean(default=False)


class AlertRoutes(Table, tablename="alert_routes", db=ENGINE):
    """Whom to tell of which alerts: a target of the notifier ``kind``; ``settings`` hold references to secrets.

    One without a tenant is told of all. ``failure`` is what went wrong last, null once something got through.
    ``failures`` counts what was tried in vain since then, the same message alone once; ``failed_message`` is the last,
    and nothing is sent before ``not_before``.
    """

    id = UUID(primary_key=True, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=True, default=None)
    tenant = Varchar(length=30, default="")
    name = Varchar(length=30, default=None)
    kind = Varchar(length=63, default=None)
    settings = JSONB(default="{}")
    min_severity = Varchar(length=16, default="warning")
    reasons = JSONB(default="[]")
    is_paused = Boolean(default=False)
    generation = Integer(default=1)
    failure = JSONB(null=True, default=None)
    failures = Integer(default=0)
    failed_message = UUID(null=True, default=None)
    not_before = Timestamptz(null=True, default=None)
    delivered_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())
    created_by = Text(default="")


class AlertsOutbox(Table, tablename="alerts_outbox", db=ENGINE):
    """Messages: one for each alert and target, and one when it is over; ``epoch`` is the leadership that tries it.

    ``tenant_id`` is the target's; messages of one ``subject`` reach a target in their order, which ``number`` (drawn by
    the database) gives. ``missed`` counts the tries of the target that it has waited through in vain.
    """

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=True, default=None)
    number = BigInt(default=None)
    alert_id = UUID(default=None)
    route_id = UUID(default=None)
    subject = UUID(default=None)
    kind = Varchar(length=16, default=None)
    state = Varchar(length=16, default="pending")
    attempts = Integer(default=0)
    missed = Integer(default=0)
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
