"""What goes over the wire of ``/api/v1``: every request and every answer, as it is in JSON.

Members are snake_case; times are RFC 3339 in UTC; amounts are bytes and millicores. Nothing here
ever holds a secret's value, but for the requests that set one and the one answer that shows a new
API token.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from agentpod_core import Severity
from agentpod_core.values.pods import Wanted
from agentpod_server.records import Role

ItemT = TypeVar("ItemT")


class Page(Struct, Generic[ItemT], frozen=True, kw_only=True):
    """A part of a listing; ``next`` is the cursor of the following part, null at the end."""

    items: list[ItemT]
    next: str | None = None


# ------------------------------------------------------------------------------------------ tenants


class TenantCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a tenant; ``name`` is for people and defaults to the slug."""

    slug: str
    name: str | None = None
    email: str = ""


class TenantPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON merge patch of a tenant: what is absent stays, null goes back to the default."""

    name: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET


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
    """A pod in one line of its tenant's status."""

    name: str
    adapter: str
    wanted: Wanted
    phase: str
    ready: bool
    reason: str
    message: str


class TenantStatusView(Struct, frozen=True, kw_only=True):
    """How a tenant's pods are: how many of each phase, how many ready, and each in one line."""

    slug: str
    wanted: Wanted
    total: int
    ready: int
    phases: dict[str, int]
    pods: list[PodSummary]


# --------------------------------------------------------------------------------------------- pods


class PodCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a pod.

    ``config`` is strict JSON by the adapter's schema. ``set`` maps dotted paths to raw texts which
    the schema turns into values; ``secrets`` maps dotted paths of secret fields to their values.
    Both are laid over ``config``. ``memory`` takes bytes or ``"2GiB"``, ``cpus`` millicores or ``"0.5"``.
    """

    name: str
    adapter: str
    config: dict[str, Any] = {}
    set: dict[str, str] = {}
    secrets: dict[str, str] = {}
    subdomain: str | None = None
    image: str | None = None
    size: str | None = None
    memory: int | str | None = None
    cpus: int | str | None = None
    wanted: Wanted = Wanted.RUNNING


class PodPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON merge patch of a pod: what is absent stays, null goes back to the default.

    ``config`` is itself a merge patch of the pod's config, ``set`` and ``secrets`` are laid over
    the outcome. A pod's name and adapter are for life.
    """

    config: dict[str, Any] | UnsetType = UNSET
    set: dict[str, str] = {}
    secrets: dict[str, str] = {}
    subdomain: str | UnsetType | None = UNSET
    image: str | UnsetType | None = UNSET
    size: str | UnsetType | None = UNSET
    memory: int | str | UnsetType | None = UNSET
    cpus: int | str | UnsetType | None = UNSET
    wanted: Wanted | UnsetType = UNSET


class ConfigWrite(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pod's config: the whole of it (PUT), or a merge patch of it (PATCH).

    A secret given as ``{"$secret": true}`` keeps the value that is stored, so what was read can be
    written back.
    """

    config: dict[str, Any] = {}
    set: dict[str, str] = {}
    secrets: dict[str, str] = {}


class ConfigView(Struct, frozen=True, kw_only=True):
    """A pod's config; secrets that are set read ``{"$secret": true}``."""

    adapter: str
    config_version: int
    generation: int
    config: dict[str, Any]


class SpecView(Struct, frozen=True, kw_only=True):
    """What was asked of a pod. ``memory`` is in bytes, ``cpus`` in millicores, null is the size's own."""

    generation: int
    adapter: str
    config: dict[str, Any]
    config_version: int
    subdomain: str
    image: str | None
    size: str | None
    memory: int | None
    cpus: int | None
    wanted: Wanted
    restarts: int


class ConditionView(Struct, frozen=True, kw_only=True):
    """One answer to one question: true, false, or null for unknown."""

    type: str
    status: bool | None
    reason: str
    message: str
    since: datetime
    generation: int


class StatusView(Struct, frozen=True, kw_only=True):
    """What is seen of a pod; ``message`` is the verdict in one sentence.

    It is older than the spec while ``observed_generation`` is smaller than the spec's ``generation``.
    """

    observed_generation: int
    phase: str
    ready: bool
    reason: str
    message: str
    conditions: list[ConditionView]
    updated_at: datetime | None


class PodView(Struct, frozen=True, kw_only=True):
    """A pod: what was asked, what is seen, and where it is reached."""

    id: str
    tenant: str
    name: str
    spec: SpecView
    status: StatusView
    urls: list[str]
    created_at: datetime
    updated_at: datetime


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


# ------------------------------------------------------------------------------ adapters and plugins


class SizeView(Struct, frozen=True, kw_only=True):
    """Limits that a size stands for; null is no limit."""

    name: str
    memory: int | None
    cpus: int | None
    pids: int | None


class AdapterView(Struct, frozen=True, kw_only=True):
    """A kind of agent that can be run. The first of ``sizes`` is the default."""

    id: str
    title: str
    plugin: str
    version: str
    config_version: int
    sizes: list[SizeView]
    request: int
    boot_cost: float
    image: str | None
    buildable: bool


class PluginView(Struct, frozen=True, kw_only=True):
    """A plugin that was found, and what it offers by kind; ``error`` says why it was left out."""

    name: str
    distribution: str
    version: str
    offers: dict[str, list[str]]
    loaded: bool
    error: str | None = None


# --------------------------------------------------------------------------- events and operations


class EventView(Struct, frozen=True, kw_only=True):
    """Something that happened; ``seq`` grows with the order in which it was committed."""

    seq: int
    id: str
    at: datetime
    tenant: str
    pod: str
    kind: str
    reason: str
    severity: Severity
    message: str
    params: dict[str, Any]
    actor: str
    request_id: str
    generation: int


class ProgressView(Struct, frozen=True, kw_only=True):
    """How far a long work is; ``percent`` is null where nobody can say."""

    percent: float | None
    line: str


class OperationErrorView(Struct, frozen=True, kw_only=True):
    """Why a long work failed."""

    reason: str
    message: str
    repair: str | None
    params: dict[str, Any]


class OperationView(Struct, frozen=True, kw_only=True):
    """A long work: ``status`` is pending, running, succeeded or failed."""

    id: str
    kind: str
    target: str
    tenant: str | None
    status: str
    progress: ProgressView
    error: OperationErrorView | None
    created_by: str
    created_at: datetime
    updated_at: datetime


class ImageBuild(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the image of an adapter to be built on this machine."""

    adapter: str


class ImageView(Struct, frozen=True, kw_only=True):
    """An image that the engine has and that this platform built or runs."""

    name: str
    adapters: list[str]


# ---------------------------------------------------------------------------------------- identity


class Login(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user's name and password. With ``token_name`` an API token is made instead of a session."""

    user: str
    password: str
    token_name: Annotated[str, Meta(min_length=1, max_length=80)] | None = None


class LoginView(Struct, frozen=True, kw_only=True):
    """A session began (its cookie is set; ``csrf`` goes into X-CSRF-Token), or ``token`` was made: shown this once."""

    user: str
    csrf: str | None = None
    token: str | None = None
    expires_at: datetime | None = None


class TokenCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for an API token; with ``tenant`` it sees that tenant alone."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    role: Role = Role.OPERATOR
    tenant: str | None = None
    expires_at: datetime | None = None


class TokenView(Struct, frozen=True, kw_only=True):
    """An API token; ``token`` is there only in the answer that made it."""

    id: str
    name: str
    prefix: str
    role: Role
    tenant: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    token: str | UnsetType | None = UNSET


class WhoView(Struct, frozen=True, kw_only=True):
    """Who is asking, and with what reach."""

    actor: str
    role: Role
    tenant: str | None


# ------------------------------------------------------------------------------------------- server


class VersionView(Struct, frozen=True, kw_only=True):
    """Which server this is."""

    version: str
    api: str
    instance: str


class ReadyView(Struct, frozen=True, kw_only=True):
    """Whether the server can do its work; ``checks`` maps each part to "ok" or to a reason."""

    ready: bool
    checks: dict[str, str]


class ProblemItemView(Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a request."""

    path: str
    reason: str
    message: str


class ProblemView(Struct, frozen=True, kw_only=True):
    """An error, as RFC 9457 ``application/problem+json`` with AgentPod's reason, params and repair."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    reason: str
    params: dict[str, Any]
    repair: str | None
    request_id: str
    problems: list[ProblemItemView] | UnsetType = UNSET
