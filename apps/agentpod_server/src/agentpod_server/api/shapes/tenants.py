"""Tenants over the wire."""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from agentpod_core.values.pods import Wanted
from agentpod_server.api.shapes.availability import AvailabilitySummaryView
from agentpod_server.api.shapes.names import Email, Slug, Title


class TenantCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a tenant; ``name`` is for people and defaults to the slug."""

    slug: Slug
    name: Title | None = None
    email: Email = ""


class TenantPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON merge patch of a tenant: what is absent stays, null goes back to the default."""

    name: Title | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET


class TenantView(Struct, frozen=True, kw_only=True):
    """A tenant; ``pods`` counts its pods."""

    id: str
    slug: str
    name: str
    email: str
    wanted: Wanted
    generation: int
    pods: int
    created_at: datetime
    updated_at: datetime


class PodSummary(Struct, frozen=True, kw_only=True):
    """A pod in one line of its tenant's status; ``availability`` is this month's, in percent."""

    name: str
    adapter: str
    wanted: Wanted
    phase: str
    ready: bool
    reason: str
    message: str
    availability: float | None


class TenantStatusView(Struct, frozen=True, kw_only=True):
    """How a tenant's pods are: how many of each phase, how many ready, and each in one line."""

    slug: str
    wanted: Wanted
    total: int
    ready: int
    phases: dict[str, int]
    open_alerts: int
    availability: AvailabilitySummaryView
    pods: list[PodSummary]
