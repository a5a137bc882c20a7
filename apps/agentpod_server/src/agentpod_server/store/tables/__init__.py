"""The tables as Piccolo knows them: columns, keys and single-column constraints.

Row-level security, triggers, checks and composite indexes live in the migrations, in SQL. Ids come
from the app; JSON columns hold msgspec's own encoding of the value named beside them.
"""

from __future__ import annotations

from piccolo.table import Table

from agentpod_server.store.tables.happened import (
    AuditLog,
    Availability,
    AvailabilityGaps,
    Events,
    EventsPruned,
    MetricsHistory,
)
from agentpod_server.store.tables.identity import ApiTokens, Secrets, Sessions, Users
from agentpod_server.store.tables.platform import Leases, Operations, Settings
from agentpod_server.store.tables.pods import AddressLeases, Nodes, PodConfigs, Pods, PodStatus, PodWorkloads, Tenants
from agentpod_server.store.tables.telling import AlertRoutes, Alerts, AlertsOutbox, Silences

__all__ = [
    "TABLES",
    "AddressLeases",
    "AlertRoutes",
    "Alerts",
    "AlertsOutbox",
    "ApiTokens",
    "AuditLog",
    "Availability",
    "AvailabilityGaps",
    "Events",
    "EventsPruned",
    "Leases",
    "MetricsHistory",
    "Nodes",
    "Operations",
    "PodConfigs",
    "PodStatus",
    "PodWorkloads",
    "Pods",
    "Secrets",
    "Sessions",
    "Settings",
    "Silences",
    "Tenants",
    "Users",
]

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
