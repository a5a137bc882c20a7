"""What is seen of one running agent, over the wire."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from agentpod_server.api.shapes.pods import StatusView


class HealthView(Struct, frozen=True, kw_only=True):
    """The last probe of a pod; ``alive`` and ``ready`` are null where it was not asked yet."""

    phase: str
    alive: bool | None
    ready: bool | None
    reason: str
    message: str
    seconds: float | None
    checked_at: datetime | None


class StatsView(Struct, frozen=True, kw_only=True):
    """What a pod uses right now: millicores and bytes; all null while it does not run."""

    running: bool
    cpu: int | None = None
    memory: int | None = None
    memory_limit: int | None = None
    pids: int | None = None
    rx: int | None = None
    tx: int | None = None


class DoorView(Struct, frozen=True, kw_only=True):
    """Where a browser opens the pod; a link with an end works once."""

    url: str
    expires_at: datetime | None


class ActionView(Struct, frozen=True, kw_only=True):
    """One change that would be made: which, to what, and why."""

    action: str
    target: str
    reason: str
    message: str


class PlanView(Struct, frozen=True, kw_only=True):
    """What a pass would do now for one key: ``pod:<id>`` or ``tenant:<id>``.

    Nothing to do is an empty ``actions``. ``status`` (pods only) is what would be concluded.
    """

    key: str
    tenant: str
    pod: str | None
    actions: list[ActionView]
    status: StatusView | None = None
    wake_at: datetime | None = None


class ReconcileRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pods to look at now: one, those of a tenant, or (nothing given) all.

    ``dry_run`` only says what would be done.
    """

    tenant: str | None = None
    pod: str | None = None
    dry_run: bool = False


class ReconcileView(Struct, frozen=True, kw_only=True):
    """A dry run's plans, or how many passes were asked for."""

    dry_run: bool
    passes: int
    items: list[PlanView]
