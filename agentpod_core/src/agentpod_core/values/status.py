"""What was concluded about a pod: phase, conditions, and the record that the next pass needs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct


class Phase(StrEnum):
    """Where a pod is in its life."""

    PENDING = "pending"
    CREATING = "creating"
    STARTING = "starting"
    RUNNING = "running"
    DEGRADED = "degraded"
    CRASH_LOOP = "crash-loop"
    BLOCKED = "blocked"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DELETING = "deleting"


class ConditionType(StrEnum):
    """The questions that conditions answer."""

    PLANNED = "Planned"
    APPLIED = "Applied"
    ALIVE = "Alive"
    READY = "Ready"
    ROUTED = "Routed"
    MODEL_READY = "ModelReady"
    CHANNELS_CONNECTED = "ChannelsConnected"
    UP_TO_DATE = "UpToDate"
    ISOLATED = "Isolated"
    HOST_PROTECTED = "HostProtected"


class Condition(Struct, frozen=True, kw_only=True):
    """One answer: true, false, or None for unknown, with a CamelCase reason of the catalogue."""

    type: ConditionType
    status: bool | None
    reason: str
    params: dict[str, Any] = {}
    since: datetime
    generation: int = 0


class PodStatus(Struct, frozen=True, kw_only=True):
    """What is seen of a pod. ``reason`` and ``params`` make its one-sentence verdict."""

    phase: Phase = Phase.PENDING
    ready: bool = False
    observed_generation: int = 0
    reason: str = "Pending"
    params: dict[str, Any] = {}
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: ConditionType) -> Condition | None:
        """Give the condition of that type; None when nothing was concluded yet."""
        for one in self.conditions:
            if one.type is kind:
                return one
        return None


class Record(Struct, frozen=True, kw_only=True):
    """A pod's persisted memory: what a later pass must know and cannot see.

    ``container_id`` is the container that the rest speaks of, ``started_at`` its start. ``files``
    maps paths to the hashes they were last written with. ``failures`` are the times of the
    failures since the last good spell, ``not_before`` when the next try may come. ``generation``
    and ``restarts_done`` are what was served of the spec. ``engine_restarts`` is the engine's
    restart count last seen and ``seen_exit`` the end last seen, so that neither counts twice.
    ``ready_since`` is since when the agent answers without a break, ``was_ready`` whether it ever
    did since its start. ``blocked`` holds the exit code that no restart mends, ``repaired`` says that
    its repair was tried, ``last_exit`` is the code of the last end, ``cause`` the reason of
    the last failure. ``expects_exit`` says that the next end is our own doing and no failure,
    ``expects_start`` that the next start is. ``volumes`` are the engine's names of those that are known
    to have been made. ``heals`` counts how often the agent was told in vain that it came back from an
    unclean end, None when there is nothing to tell, ``heal_at`` is when to tell it again. ``seen_oom``
    is the last kill for want of memory that was reported. ``is_filling`` says that this start was reported
    for its memory, and that it still grows, ``is_silent`` that its silence was counted. ``alerting`` are the
    reasons of the alerts that are open for the pod, ``alarmed_at`` is when one of them last had cause; None once
    somebody saw to the pod. ``put_down`` says that it was ended because nobody wants it as it was: that a person
    stopped it, or that no restart mends it. ``refuses_start`` says that the last try was to start the container as it
    is, and failed or came to nothing. ``change_at`` is when an agent that runs may be ended again for a change, after
    one was ended for it in vain. ``made_of`` is the hash of the spec that the last container was made from, ``asked``
    that of how its agent is asked.
    """

    generation: int = 0
    container_id: str = ""
    files: dict[str, str] = {}
    failures: tuple[datetime, ...] = ()
    not_before: datetime | None = None
    restarts_done: int = 0
    engine_restarts: int = 0
    started_at: datetime | None = None
    ready_since: datetime | None = None
    was_ready: bool = False
    seen_exit: datetime | None = None
    blocked: int | None = None
    last_exit: int | None = None
    cause: str = ""
    expects_exit: bool = False
    expects_start: bool = False
    repaired: bool = False
    volumes: tuple[str, ...] = ()
    heals: int | None = None
    heal_at: datetime | None = None
    seen_oom: datetime | None = None
    alerting: tuple[str, ...] = ()
    alarmed_at: datetime | None = None
    is_filling: bool = False
    is_silent: bool = False
    put_down: bool = False
    refuses_start: bool = False
    change_at: datetime | None = None
    made_of: str = ""
    asked: str = ""


class Severity(StrEnum):
    """How much an event asks of the reader."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Happening(Struct, frozen=True, kw_only=True):
    """An event to be: what happened to which pod or tenant, as reason and params.

    ``kind`` groups events for filters: ``tenant pod container health route operation system``.
    """

    kind: str
    reason: str
    severity: Severity = Severity.INFO
    params: dict[str, Any] = {}
