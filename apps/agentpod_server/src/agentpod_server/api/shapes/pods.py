"""What is asked of pods, over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from agentpod_core.values.pods import Wanted
from agentpod_server.api.shapes.availability import AvailabilitySummaryView
from agentpod_server.api.shapes.names import Slug, Subdomain

Texts = Annotated[dict[str, str], Meta(max_length=500)]
"""Texts by dotted path. Saying what is wrong with each takes time that all requests share."""


class PodCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a pod.

    ``config`` is strict JSON by the adapter's schema. ``set`` maps dotted paths to raw texts which
    the schema turns into values; ``secrets`` maps dotted paths of secret fields to their values.
    Both are laid over ``config``. ``memory`` takes bytes or ``"2GiB"``, ``cpus`` millicores or ``"0.5"``.
    """

    name: Slug
    adapter: str
    config: dict[str, Any] = {}
    set: Texts = {}
    secrets: Texts = {}
    subdomain: Subdomain | None = None
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
    set: Texts = {}
    secrets: Texts = {}
    subdomain: Subdomain | UnsetType | None = UNSET
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
    set: Texts = {}
    secrets: Texts = {}


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
    """What is seen of a pod; ``message`` is the verdict in one sentence, ``repair`` what to do about it.

    It is older than the spec while ``observed_generation`` is smaller than the spec's ``generation``.
    ``availability`` is given by the pod's own status alone; elsewhere it is null.
    """

    observed_generation: int
    phase: str
    ready: bool
    reason: str
    message: str
    repair: str | None
    conditions: list[ConditionView]
    updated_at: datetime | None
    availability: AvailabilitySummaryView | None = None


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
