"""Tenants, their pods and what is seen of them."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from agentpod_client.bodies import Wanted


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
    cpu: NotRequired[int | None]
    memory: NotRequired[int | None]
    memory_limit: NotRequired[int | None]
    pids: NotRequired[int | None]
    rx: NotRequired[int | None]
    tx: NotRequired[int | None]


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
    wake_at: NotRequired[str | None]


class Reconciled(TypedDict):
    """A dry run's plans, or how many passes were asked for."""

    dry_run: bool
    passes: int
    items: list[Plan]


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


class TenantStatus(TypedDict):
    """How a tenant's pods are."""

    slug: str
    wanted: Wanted
    total: int
    ready: int
    phases: dict[str, int]
    pods: list[PodSummary]
