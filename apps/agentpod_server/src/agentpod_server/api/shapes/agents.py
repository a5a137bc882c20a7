"""What is seen of one running agent, over the wire."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from agentpod_server.api.shapes.platform import OperationView
from agentpod_server.api.shapes.pods import StatusView


class ProbeView(Struct, frozen=True, kw_only=True):
    """How an agent is asked, in seconds: every ``interval``, while it starts every ``start_interval``.

    After ``failures`` silences in a row, or a start that takes longer than ``start_deadline``, it is started again.
    """

    name: str
    interval: float
    timeout: float
    failures: int
    start_interval: float
    start_deadline: float


class MemoryView(Struct, frozen=True, kw_only=True):
    """Where an agent's memory is heading: bytes, bytes a second, and in how many seconds it is full.

    ``full_in`` is null where it does not grow steadily, or has no limit.
    """

    used: int
    limit: int | None
    growth: int
    full_in: float | None


class HealthView(Struct, frozen=True, kw_only=True):
    """How an agent is, by the last answer to its probe.

    ``well`` is null for a pod that is not to run. ``alive`` and ``ready`` are null where it was not asked yet.
    ``since`` is when its present answer was given first. Only the server that leads asks: where ``asked_here`` is
    false, what follows is null, and what stands above was concluded elsewhere. ``failures`` counts answers in a
    row that were not ready, ``silences`` those that did not come, ``waited`` the seconds of a start so far.
    """

    tenant: str
    pod: str
    phase: str
    well: bool | None
    alive: bool | None
    ready: bool | None
    reason: str
    message: str
    since: datetime | None
    probe: ProbeView | None
    asked_here: bool
    seconds: float | None
    checked_at: datetime | None
    next_at: datetime | None
    failures: int | None
    silences: int | None
    waited: float | None
    memory: MemoryView | None


class StatsPointView(Struct, frozen=True, kw_only=True):
    """What a pod used from ``at`` on for one step: averages and peaks, and how often it was started again.

    ``memory_limit`` and ``storage`` are the last ones known, null for none.
    """

    at: datetime
    cpu: int
    cpu_max: int
    memory: int
    memory_max: int
    memory_limit: int | None
    storage: int | None
    restarts: int


class StatsView(Struct, frozen=True, kw_only=True):
    """What a pod uses right now: millicores and bytes; null while it does not run, or where it is not known.

    ``storage`` is what its volumes hold; it is measured about once an hour. ``history`` (asked for by ``since``) has
    a point for every ``step`` seconds, the oldest first; steps in which nothing was measured are left out.
    """

    running: bool
    cpu: int | None = None
    memory: int | None = None
    memory_limit: int | None = None
    pids: int | None = None
    rx: int | None = None
    tx: int | None = None
    storage: int | None = None
    step: int | None = None
    history: list[StatsPointView] = []


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

    Nothing to do is an empty ``actions``. ``status`` (pods only) is what would be concluded. Where something
    is to be done and cannot be yet, ``waits_for`` is why, as a reason, and ``waiting`` the same as a sentence.
    ``wake_at`` is when the next look is due though nothing happens; null for the usual round. ``concluded_at`` is
    when a pass last wrote down something new.
    """

    key: str
    tenant: str
    pod: str | None
    actions: list[ActionView]
    status: StatusView | None = None
    waits_for: str | None = None
    waiting: str | None = None
    wake_at: datetime | None = None
    concluded_at: datetime | None = None


class ReconcileRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pods to look at now: one, those of a tenant, or (nothing given) all.

    ``dry_run`` only says what would be done.
    """

    tenant: str | None = None
    pod: str | None = None
    dry_run: bool = False


class ReconcileView(Struct, frozen=True, kw_only=True):
    """A dry run's plans, or how many passes were asked for, and the operation that tells when they have been had."""

    dry_run: bool
    passes: int
    items: list[PlanView]
    operation: OperationView | None = None
