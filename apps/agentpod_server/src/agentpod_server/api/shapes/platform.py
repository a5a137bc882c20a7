"""Adapters, plugins, images, operations, events and the server itself, over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from agentpod_core import Severity
from agentpod_core.host import PluginState


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
    distribution: str
    version: str
    config_version: int
    sizes: list[SizeView]
    request: int
    boot_cost: float
    image: str | None
    buildable: bool


class PluginTroubleView(Struct, frozen=True, kw_only=True):
    """What went wrong with a plugin; with a ``call``, while what it offers was in use: so often, the last time then.

    ``over`` says that the same call has worked since.
    """

    reason: str
    message: str
    repair: str | None
    offer: str
    call: str
    count: int
    at: datetime | None
    over: bool


class PluginView(Struct, frozen=True, kw_only=True):
    """A plugin that was found or is missed, and what it offers by kind.

    ``state`` is ok, partly (some of it is in use, something is wrong), failed, disabled or missing (not installed,
    and still needed). ``error`` is all that is wrong now, and what to do about it, as one text.
    """

    name: str
    distribution: str
    version: str
    state: PluginState
    offers: dict[str, list[str]]
    loaded: bool
    error: str | None = None
    troubles: list[PluginTroubleView] = []


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
    """A long work: ``status`` is pending, running, succeeded or failed; ``result`` is what came of it, by its kind."""

    id: str
    kind: str
    target: str
    tenant: str | None
    status: str
    progress: ProgressView
    error: OperationErrorView | None
    result: dict[str, Any]
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


class VersionView(Struct, frozen=True, kw_only=True):
    """Which server this is."""

    version: str
    api: str
    instance: str


class ReadyView(Struct, frozen=True, kw_only=True):
    """Whether the server can do its work; ``checks`` maps each part to "ok" or to a reason."""

    ready: bool
    checks: dict[str, str]
