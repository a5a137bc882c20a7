"""What was seen in the world: engine objects as a runtime reports them, without the engine's own words.

An unreachable engine is no observation at all (``TemporaryError``), never an empty one.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class ContainerState(StrEnum):
    """The states a container can be seen in."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"
    DEAD = "dead"
    REMOVING = "removing"


class Limits(Struct, frozen=True, kw_only=True):
    """The limits and the restart policy in force; only a deep observation knows them.

    ``restart`` is whether the engine starts what ends, but for what was stopped; None is any other policy.
    """

    memory: int | None = None
    cpus: int | None = None
    pids: int | None = None
    restart: bool | None = True


class Container(Struct, frozen=True, kw_only=True):
    """One of our containers (labelled with our instance).

    ``labels`` are all its labels. ``address`` is its address in its tenant's network while it has
    one, ``network`` that network's name. ``exit_code`` is None while it runs. A shallow listing
    leaves ``limits``, ``exit_code`` and times at None; ``deep`` says which it was. ``restarts``
    is the engine's own count of restarts by policy.
    """

    id: str
    name: str
    state: ContainerState
    labels: dict[str, str] = {}
    network: str | None = None
    address: str | None = None
    image: str = ""
    deep: bool = False
    exit_code: int | None = None
    oom_killed: bool = False
    restarts: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    limits: Limits | None = None

    @property
    def pod_id(self) -> str:
        """The pod that this container belongs to; empty for one that carries no such label."""
        return self.labels.get("agentpod.pod-id", "")

    @property
    def spec_hash(self) -> str:
        """The hash of the container part of the workload it was made from."""
        return self.labels.get("agentpod.spec-hash", "")


class SeenVolume(Struct, frozen=True, kw_only=True):
    """One of our volumes."""

    name: str
    labels: dict[str, str] = {}


class SeenNetwork(Struct, frozen=True, kw_only=True):
    """One of our networks."""

    id: str
    name: str
    subnet: str
    labels: dict[str, str] = {}


class Protection(Struct, frozen=True, kw_only=True):
    """Whether the host itself is closed to pods; None is "could not be told", with a reason."""

    active: bool | None
    reason: str = ""


class World(Struct, frozen=True, kw_only=True):
    """What of ours is on one engine, but for volumes, which only matter to their pod. ``containers`` are shallow."""

    containers: tuple[Container, ...] = ()
    networks: tuple[SeenNetwork, ...] = ()
    protection: Protection = Protection(active=None)


class PodWorld(Struct, frozen=True, kw_only=True):
    """What there is of one pod. ``containers`` are shallow."""

    containers: tuple[Container, ...] = ()
    volumes: tuple[SeenVolume, ...] = ()


class EngineEvent(Struct, frozen=True, kw_only=True):
    """Something happened to one of our objects; only a hint where to look.

    ``kind`` is for example ``start die oom destroy update``; ``pod_id`` and ``tenant`` come from
    the object's labels, ``name`` is the container's. ``kind`` ``resync`` means that events may have been
    lost: look at all. After an outage it says ``since`` when.
    """

    kind: str
    pod_id: str = ""
    tenant: str = ""
    at: datetime | None = None
    name: str = ""
    since: datetime | None = None


class Usage(Struct, frozen=True, kw_only=True):
    """What a container uses right now. ``cpu`` is in millicores, ``memory`` and ``limit`` in bytes."""

    cpu: int
    memory: int
    limit: int | None = None
    pids: int | None = None
    rx: int = 0
    tx: int = 0


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where something answers, as the runtime observed it."""

    host: str
    port: int
