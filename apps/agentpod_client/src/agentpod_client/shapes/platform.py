"""What can be run, what happens, and the server itself."""

from __future__ import annotations

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

ItemT = TypeVar("ItemT")


class Page(TypedDict, Generic[ItemT]):
    """A part of a listing; ``next`` is the cursor of the following part, None at the end."""

    items: list[ItemT]
    next: NotRequired[str | None]


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
    """A long verb as data; ``result`` is what came of it, by its kind."""

    id: str
    kind: str
    target: str
    tenant: str | None
    status: str
    progress: Progress
    error: OperationError | None
    result: dict[str, Any]
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
    distribution: str
    version: str
    config_version: int
    sizes: list[Size]
    request: int
    boot_cost: float
    image: str | None
    buildable: bool


class PluginTrouble(TypedDict):
    """What went wrong with a plugin, in which call of which offer, and how often; ``over``: it has worked since."""

    reason: str
    message: str
    repair: str | None
    offer: str
    call: str
    count: int
    at: str | None
    over: bool


class Plugin(TypedDict):
    """A plugin that is installed or missed: what it offers by kind, how it stands with it, and why."""

    name: str
    distribution: str
    version: str
    state: Literal["ok", "partly", "failed", "disabled", "missing"]
    offers: dict[str, list[str]]
    loaded: bool
    error: NotRequired[str | None]
    troubles: NotRequired[list[PluginTrouble]]


class Image(TypedDict):
    """An image that the engine has."""

    name: str
    adapters: list[str]


class Ready(TypedDict):
    """Whether the server can do its work, part by part."""

    ready: bool
    checks: dict[str, str]


class Version(TypedDict):
    """Which server this is."""

    version: str
    api: str
    instance: str
