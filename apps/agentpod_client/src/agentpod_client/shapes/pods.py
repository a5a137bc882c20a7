"""Tenants, their pods and what is seen of them."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from agentpod_client.bodies import Wanted
from agentpod_client.shapes.platform import Operation


class Condition(TypedDict):
    """One answer about a pod: true, false, or None for unknown."""

    type: str
    status: bool | None
    reason: str
    message: str
    since: str
    generation: int


class PodSpec(TypedDict):
    """What was asked."""

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


class Availability(TypedDict):
    """How available something was from ``begin`` to ``end``; ``percent`` is None where nothing is known."""

    begin: str
    end: str
    ready_seconds: float
    wanted_seconds: float
    unknown_seconds: float
    percent: float | None


class AvailabilitySummary(TypedDict):
    """Availability at a glance, by UTC; today and this month go on until now."""

    today: Availability
    this_month: Availability
    last_month: Availability


class PodStatus(TypedDict):
    """What is seen."""

    observed_generation: int
    phase: str
    ready: bool
    reason: str
    message: str
    repair: str | None
    conditions: list[Condition]
    updated_at: str | None
    availability: NotRequired[AvailabilitySummary | None]


class Pod(TypedDict):
    """An agent of a tenant."""

    id: str
    tenant: str
    name: str
    spec: PodSpec
    status: PodStatus
    urls: list[str]
    created_at: str
    updated_at: str


class Config(TypedDict):
    """A pod's config; secrets that are set read ``{"$secret": true}``."""

    adapter: str
    config_version: int
    generation: int
    config: dict[str, Any]


class Probe(TypedDict):
    """How an agent is asked, in seconds."""

    name: str
    interval: float
    timeout: float
    failures: int
    start_interval: float
    start_deadline: float


class MemoryTrend(TypedDict):
    """Where an agent's memory is heading: bytes, bytes a second, and in how many seconds it is full."""

    used: int
    limit: int | None
    growth: int
    full_in: float | None


class Health(TypedDict):
    """How an agent is; ``well`` is None where it is not to run. What only the leader knows is None elsewhere."""

    tenant: str
    pod: str
    phase: str
    well: bool | None
    alive: bool | None
    ready: bool | None
    reason: str
    message: str
    since: str | None
    probe: Probe | None
    asked_here: bool
    seconds: float | None
    checked_at: str | None
    next_at: str | None
    failures: int | None
    silences: int | None
    waited: float | None
    memory: MemoryTrend | None


class StatsPoint(TypedDict):
    """What a pod used in one step: averages and peaks."""

    at: str
    cpu: int
    cpu_max: int
    memory: int
    memory_max: int
    memory_limit: int | None
    storage: int | None
    restarts: int


class Stats(TypedDict):
    """What a pod uses right now: millicores and bytes; None while it does not run."""

    running: bool
    cpu: NotRequired[int | None]
    memory: NotRequired[int | None]
    memory_limit: NotRequired[int | None]
    pids: NotRequired[int | None]
    rx: NotRequired[int | None]
    tx: NotRequired[int | None]
    storage: NotRequired[int | None]
    step: NotRequired[int | None]
    history: NotRequired[list[StatsPoint]]


class Action(TypedDict):
    """One change that would be made: which, to what, and why."""

    action: str
    target: str
    reason: str
    message: str


class Plan(TypedDict):
    """What a pass would do now for one key; nothing to do is an empty ``actions``."""

    key: str
    tenant: str
    pod: str | None
    actions: list[Action]
    status: NotRequired[PodStatus | None]
    waits_for: NotRequired[str | None]
    waiting: NotRequired[str | None]
    wake_at: NotRequired[str | None]
    concluded_at: NotRequired[str | None]


class Reconciled(TypedDict):
    """A dry run's plans, or how many passes were asked for, and the operation that tells when they have been had."""

    dry_run: bool
    passes: int
    items: list[Plan]
    operation: NotRequired[Operation | None]


class Door(TypedDict):
    """A way in for a browser; a link with an end works once."""

    url: str
    expires_at: str | None


class Tenant(TypedDict):
    """A customer."""

    id: str
    slug: str
    name: str
    email: str
    wanted: Wanted
    generation: int
    pods: int
    created_at: str
    updated_at: str


class PodSummary(TypedDict):
    """A pod in one line of its tenant's status."""

    name: str
    adapter: str
    wanted: Wanted
    phase: str
    ready: bool
    reason: str
    message: str
    availability: float | None


class TenantStatus(TypedDict):
    """How a tenant's pods are."""

    slug: str
    wanted: Wanted
    total: int
    ready: int
    phases: dict[str, int]
    open_alerts: int
    availability: AvailabilitySummary
    pods: list[PodSummary]
