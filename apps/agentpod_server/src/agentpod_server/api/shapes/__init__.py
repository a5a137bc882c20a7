"""What goes over the wire of ``/api/v1``: every request and every answer, as it is in JSON.

Members are snake_case; times are RFC 3339 in UTC; amounts are bytes and millicores. Nothing here
ever holds a secret's value, but for the requests that set one and the one answer that shows a new
API token.
"""

from __future__ import annotations

from agentpod_server.api.shapes.agents import (
    ActionView,
    DoorView,
    HealthView,
    MemoryView,
    PlanView,
    ProbeView,
    ReconcileRequest,
    ReconcileView,
    StatsPointView,
    StatsView,
)
from agentpod_server.api.shapes.alerts import (
    AlertView,
    DeliveryView,
    NotifierCreate,
    NotifierDeliveryView,
    NotifierKindView,
    NotifierPatch,
    NotifierTestView,
    NotifierView,
    SilenceCreate,
    SilenceView,
    TroubleView,
)
from agentpod_server.api.shapes.availability import AvailabilitySummaryView, AvailabilityView
from agentpod_server.api.shapes.identity import Login, LoginView, TokenCreate, TokenView, WhoView
from agentpod_server.api.shapes.pages import Page
from agentpod_server.api.shapes.platform import (
    AdapterView,
    EventView,
    ImageBuild,
    ImageView,
    OperationErrorView,
    OperationView,
    PluginView,
    ProgressView,
    ReadyView,
    SizeView,
    VersionView,
)
from agentpod_server.api.shapes.pods import (
    ConditionView,
    ConfigView,
    ConfigWrite,
    PodCreate,
    PodPatch,
    PodView,
    SpecView,
    StatusView,
)
from agentpod_server.api.shapes.problems import ProblemItemView, ProblemView
from agentpod_server.api.shapes.tenants import PodSummary, TenantCreate, TenantPatch, TenantStatusView, TenantView

__all__ = [
    "ActionView",
    "AdapterView",
    "AlertView",
    "AvailabilitySummaryView",
    "AvailabilityView",
    "ConditionView",
    "ConfigView",
    "ConfigWrite",
    "DeliveryView",
    "DoorView",
    "EventView",
    "HealthView",
    "ImageBuild",
    "ImageView",
    "Login",
    "LoginView",
    "MemoryView",
    "NotifierCreate",
    "NotifierDeliveryView",
    "NotifierKindView",
    "NotifierPatch",
    "NotifierTestView",
    "NotifierView",
    "OperationErrorView",
    "OperationView",
    "Page",
    "PlanView",
    "PluginView",
    "PodCreate",
    "PodPatch",
    "PodSummary",
    "PodView",
    "ProbeView",
    "ProblemItemView",
    "ProblemView",
    "ProgressView",
    "ReadyView",
    "ReconcileRequest",
    "ReconcileView",
    "SilenceCreate",
    "SilenceView",
    "SizeView",
    "SpecView",
    "StatsPointView",
    "StatsView",
    "StatusView",
    "TenantCreate",
    "TenantPatch",
    "TenantStatusView",
    "TenantView",
    "TokenCreate",
    "TokenView",
    "TroubleView",
    "VersionView",
    "WhoView",
]
