"""What the server answers, typed for reading; at run time these are the JSON objects themselves.

Because nothing is decoded away, ``-o json`` passes on fields that a newer server adds.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class Tenant(TypedDict):
    """A customer."""

    id: str
    slug: str
    name: str
    email: str
    wanted: Literal["running", "stopped", "deleted"]
    generation: int
    pods: int
    created_at: str
    updated_at: str


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
    wanted: Literal["running", "stopped", "deleted"]
    restarts: int


class PodStatus(TypedDict):
    """What is seen."""

    observed_generation: int
    phase: str
    ready: bool
    reason: str
    message: str
    repair: NotRequired[str | None]
    conditions: list[Condition]
    updated_at: str | None


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


class Event(TypedDict):
    """Something that happened."""

    seq: int
    id: str
    at: str
    tenant: str
    pod: str
    kind: str
    reason: str
    severity: Literal["info", "warning", "error"]
    params: dict[str, Any]
    message: str
    actor: str
    request_id: str
    generation: int


class Progress(TypedDict):
    """How far an operation is."""

    percent: float | None
    line: str


class OperationError(TypedDict):
    """Why an operation failed."""

    reason: str
    message: str
    repair: str | None
    params: dict[str, Any]


class Operation(TypedDict):
    """A long verb as data."""

    id: str
    kind: str
    target: str
    tenant: str | None
    status: Literal["pending", "running", "succeeded", "failed"]
    progress: Progress
    error: OperationError | None
    created_by: str
    created_at: str
    updated_at: str


class Size(TypedDict):
    """Limits that a size stands for; None is no limit."""

    name: str
    memory: int | None
    cpus: int | None
    pids: int | None


class Adapter(TypedDict):
    """A kind of agent."""

    id: str
    title: str
    plugin: str
    version: str
    config_version: int
    sizes: list[Size]
    request: int
    boot_cost: float
    image: str | None
    buildable: bool


class Plugin(TypedDict):
    """An installed plugin: what it offers by kind, or why it was left out."""

    name: str
    distribution: str
    version: str
    offers: dict[str, list[str]]
    loaded: bool
    error: str | None


class Image(TypedDict):
    """An image that the engine has."""

    name: str
    adapters: list[str]


class PodSummary(TypedDict):
    """A pod in one line of its tenant's status."""

    name: str
    adapter: str
    wanted: str
    phase: str
    ready: bool
    reason: str
    message: str


class TenantStatus(TypedDict):
    """How a tenant's pods are."""

    slug: str
    wanted: str
    total: int
    ready: int
    phases: dict[str, int]
    pods: list[PodSummary]


class Config(TypedDict):
    """A pod's config; secrets that are set read ``{"$secret": true}``."""

    adapter: str
    config_version: int
    generation: int
    config: dict[str, Any]


class Health(TypedDict):
    """The last probe of a pod; None where it was not asked yet."""

    phase: str
    alive: bool | None
    ready: bool | None
    reason: str
    message: str
    seconds: float | None
    checked_at: str | None


class Stats(TypedDict):
    """What a pod uses right now: millicores and bytes; None while it does not run."""

    running: bool
    cpu: int | None
    memory: int | None
    memory_limit: int | None
    pids: int | None
    rx: int | None
    tx: int | None


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
    status: PodStatus | None
    wake_at: str | None


class Reconciled(TypedDict):
    """A dry run's plans, or how many passes were asked for."""

    dry_run: bool
    passes: int
    items: list[Plan]


class Door(TypedDict):
    """A way in for a browser; a link with an end works once."""

    url: str
    expires_at: str | None


class Ready(TypedDict):
    """Whether the server can do its work, part by part."""

    ready: bool
    checks: dict[str, str]


class Version(TypedDict):
    """Which server this is."""

    version: str
    api: str
    instance: str


class Login(TypedDict):
    """What a login gave."""

    user: str
    token: str | None
    expires_at: str | None


class Who(TypedDict):
    """Who is asking, and with what reach."""

    actor: str
    tenant: str | None
