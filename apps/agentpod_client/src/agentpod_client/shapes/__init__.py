"""What the server answers, typed for reading; at run time these are the JSON objects themselves.

Nothing is decoded away: members that a newer server adds are there too. A member that is ``NotRequired``
may be missing from the answer of another release.
"""

from __future__ import annotations

from agentpod_client.shapes.alerts import Alert, Delivery, Notifier, NotifierKind, NotifierTest, Silence, Trouble
from agentpod_client.shapes.identity import Login, Problem, ProblemItem, Token, Who
from agentpod_client.shapes.platform import (
    Adapter,
    Event,
    Image,
    Operation,
    OperationError,
    Page,
    Plugin,
    Progress,
    Ready,
    Size,
    Version,
)
from agentpod_client.shapes.pods import (
    Action,
    Availability,
    AvailabilitySummary,
    Condition,
    Config,
    Door,
    Health,
    MemoryTrend,
    Plan,
    Pod,
    PodSpec,
    PodStatus,
    PodSummary,
    Probe,
    Reconciled,
    Stats,
    StatsPoint,
    Tenant,
    TenantStatus,
)

__all__ = [
    "Action",
    "Adapter",
    "Alert",
    "Availability",
    "AvailabilitySummary",
    "Condition",
    "Config",
    "Delivery",
    "Door",
    "Event",
    "Health",
    "Image",
    "Login",
    "MemoryTrend",
    "Notifier",
    "NotifierKind",
    "NotifierTest",
    "Operation",
    "OperationError",
    "Page",
    "Plan",
    "Plugin",
    "Pod",
    "PodSpec",
    "PodStatus",
    "PodSummary",
    "Probe",
    "Problem",
    "ProblemItem",
    "Progress",
    "Ready",
    "Reconciled",
    "Silence",
    "Size",
    "Stats",
    "StatsPoint",
    "Tenant",
    "TenantStatus",
    "Token",
    "Trouble",
    "Version",
    "Who",
]
