"""What the API takes, typed for writing: the keyword arguments of the methods that change something.

In a patch (``TenantPatch``, ``PodPatch``, ``NotifierPatch``) a member that is not given stays as it is, and None
goes back to the default.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Wanted = Literal["running", "stopped", "deleted"]
Role = Literal["admin", "operator", "viewer"]
Severity = Literal["info", "warning", "error"]


class TenantCreate(TypedDict):
    """A tenant to be; ``name`` is for people and defaults to the slug."""

    slug: str
    name: NotRequired[str | None]
    email: NotRequired[str]


class TenantPatch(TypedDict, total=False):
    """A change of a tenant."""

    name: str | None
    email: str | None


class PodCreate(TypedDict):
    """A pod to be.

    ``config`` is JSON by the adapter's schema; ``set`` maps dotted paths to texts that the schema turns
    into values, ``secrets`` dotted paths of secret fields to their values. ``memory`` takes bytes or
    ``"2GiB"``, ``cpus`` millicores or ``"0.5"``.
    """

    name: str
    adapter: str
    config: NotRequired[dict[str, Any]]
    set: NotRequired[dict[str, str]]
    secrets: NotRequired[dict[str, str]]
    subdomain: NotRequired[str | None]
    image: NotRequired[str | None]
    size: NotRequired[str | None]
    memory: NotRequired[int | str | None]
    cpus: NotRequired[int | str | None]
    wanted: NotRequired[Wanted]


class PodPatch(TypedDict, total=False):
    """A change of a pod; ``config`` is itself a merge patch, ``set`` and ``secrets`` are laid over the outcome."""

    config: dict[str, Any]
    set: dict[str, str]
    secrets: dict[str, str]
    subdomain: str | None
    image: str | None
    size: str | None
    memory: int | str | None
    cpus: int | str | None
    wanted: Wanted


class ConfigWrite(TypedDict, total=False):
    """A pod's config, or a merge patch of it; ``{"$secret": true}`` keeps the secret that is stored."""

    config: dict[str, Any]
    set: dict[str, str]
    secrets: dict[str, str]


class ImageBuild(TypedDict):
    """An adapter whose image is to be built."""

    adapter: str


class ReconcileRequest(TypedDict, total=False):
    """Which pods to look at now: one, those of a tenant, or all; ``dry_run`` only says what would be done."""

    tenant: str | None
    pod: str | None
    dry_run: bool


class Login(TypedDict):
    """A user's name and password; with ``token_name`` an API token is made instead of a session."""

    user: str
    password: str
    token_name: NotRequired[str | None]


class TokenCreate(TypedDict):
    """An API token to be; with ``tenant`` it sees that tenant alone. ``expires_at`` is an RFC 3339 time."""

    name: str
    role: NotRequired[Role]
    tenant: NotRequired[str | None]
    expires_at: NotRequired[str | None]


class SilenceCreate(TypedDict):
    """What nobody is to be told of until ``ends_at``, an RFC 3339 time: a tenant, a pod of it, a reason."""

    ends_at: str
    tenant: NotRequired[str | None]
    pod: NotRequired[str | None]
    reason: NotRequired[str | None]
    comment: NotRequired[str]


class NotifierCreate(TypedDict):
    """A notifier to be; with ``tenant`` it is told of that tenant's alerts alone. No ``reasons`` is all of them.

    ``config``, ``set`` and ``secrets`` are as with a pod, by the kind's schema.
    """

    name: str
    kind: str
    tenant: NotRequired[str | None]
    config: NotRequired[dict[str, Any]]
    set: NotRequired[dict[str, str]]
    secrets: NotRequired[dict[str, str]]
    min_severity: NotRequired[Severity]
    reasons: NotRequired[list[str]]


class NotifierPatch(TypedDict, total=False):
    """A change of a notifier; ``config`` is itself a merge patch, ``set`` and ``secrets`` are laid over the outcome."""

    config: dict[str, Any]
    set: dict[str, str]
    secrets: dict[str, str]
    min_severity: Severity | None
    reasons: list[str] | None
    paused: bool
