"""What the server answers, typed for reading; at run time these are the JSON objects themselves.

Nothing is decoded away: members that a newer server adds are there too. A member that is ``NotRequired``
may be missing from the answer of another release.
"""

from __future__ import annotations

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
    Condition,
    Config,
    Door,
    Health,
    Plan,
    Pod,
    PodSpec,
    PodStatus,
    PodSummary,
    Reconciled,
    Stats,
    Tenant,
    TenantStatus,
)

__all__ = [
    "Action",
    "Adapter",
    "Condition",
    "Config",
    "Door",
    "Event",
    "Health",
    "Image",
    "Login",
    "Operation",
    "OperationError",
    "Page",
    "Plan",
    "Plugin",
    "Pod",
    "PodSpec",
    "PodStatus",
    "PodSummary",
    "Problem",
    "ProblemItem",
    "Progress",
    "Ready",
    "Reconciled",
    "Size",
    "Stats",
    "Tenant",
    "TenantStatus",
    "Token",
    "Version",
    "Who",
]
