"""What a pass sees of one pod: its containers, its volumes and what its probe last said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from agentpod_core.values.reports import ProbeResult, Repair
from agentpod_core.values.status import ConditionType, PodStatus, Record
from agentpod_core.values.workload import Probe
from agentpod_core.values.world import Container, Protection


class Lack(Struct, frozen=True, kw_only=True):
    """Why an adapter or a probe cannot be had, as a reason of the catalogue with its params."""

    reason: str
    params: dict[str, Any] = {}


class Refusal(Struct, frozen=True, kw_only=True):
    """What stands in the way of something, as a reason of the catalogue with its params, and when it is tried again.

    With ``can_mend`` it may pass by itself; what may not waits for a person.
    """

    reason: str
    params: dict[str, Any] = {}
    can_mend: bool
    next_at: datetime | None = None


class Probed(Struct, frozen=True, kw_only=True):
    """The probe's word on one start of a container.

    ``failures`` counts the checks in a row that found the agent not ready, ``silences`` those to
    which it gave no answer at all; ``at`` is when the last one ended, ``since`` when its word was
    first given, ``next_at`` when it is asked again. ``started_at`` names the start it speaks of.
    ``waited`` is for how many seconds that start was asked in vain so far, by a clock that does not
    jump; less than went by where many agents boot at once. ``unasked`` is for how many seconds in a
    row it could not be asked, for a reason that is not the agent's: that counts as neither failure
    nor silence. With a ``lack`` nobody asked, for the probe cannot be had, or could not ask for too
    long: what counts then is that the container runs. ``probe`` is what it was asked with: a container
    that waits for its next version is asked as it was before.
    """

    result: ProbeResult
    failures: int
    silences: int = 0
    waited: float = 0.0
    unasked: float = 0.0
    at: datetime
    since: datetime | None = None
    next_at: datetime | None = None
    started_at: datetime | None
    lack: Lack | None = None
    probe: Probe | None = None


class Trend(Struct, frozen=True, kw_only=True):
    """Where a running pod is heading, from its last samples.

    ``memory`` and ``limit`` are in bytes, ``growth`` in bytes a second, ``full_in`` in how many seconds the limit
    is reached if it goes on like that; None where it does not grow, or has no limit. ``watched`` is for how many
    seconds, the last hour at most, all this was looked at, and ``grown`` by how many bytes it grew in them.
    ``is_quiet`` says that it has had next to nothing to do for minutes, ``is_busy`` that it is burning processor
    time right now.
    """

    memory: int
    limit: int | None
    growth: float
    full_in: float | None
    grown: int = 0
    watched: float = 0.0
    is_quiet: bool
    is_busy: bool


class Observed(Struct, frozen=True, kw_only=True):
    """One pod in the world.

    ``containers`` are all that carry its id; the one with its name was looked at deeply.
    ``volumes`` are the names of its volumes that exist; None where nobody looked, for it matters only
    to a pod that is to be deleted or made anew. ``probed`` None means that nobody asked the agent yet.
    ``has_boot_slot`` False means that starts have to wait. ``routed`` is whether its route is set,
    None before the routes were looked at. ``adapter_lack`` is why the pod's adapter cannot be had;
    the pod goes on with the workload that was rendered when it could. ``trend`` None means too few samples.
    ``oom_at`` is when the engine last told that a process of it was killed for want of memory. ``away`` is
    since when and until when the engine itself was gone the last time. ``repair`` is what the adapter says
    about the exit code that no restart mends. ``has_image`` False means that the wanted image is not known to be on
    the engine; it is looked for only where a container is to be made. ``refused_image`` is how the last try to get it
    for this very spec failed. What ended before ``watched_since`` ended unseen; ``back_at`` is since when the engine
    is known to answer.
    """

    containers: tuple[Container, ...] = ()
    volumes: tuple[str, ...] | None = None
    probed: Probed | None = None
    routed: bool | None = None
    protection: Protection = Protection(active=None)
    has_boot_slot: bool = True
    adapter_lack: Lack | None = None
    trend: Trend | None = None
    oom_at: datetime | None = None
    away: tuple[datetime, datetime] | None = None
    repair: Repair | None = None
    has_image: bool = True
    refused_image: Refusal | None = None
    watched_since: datetime | None = None
    back_at: datetime | None = None


def concluded(status: PodStatus, record: Record, failures: int) -> Probed | None:
    """Give what an agent must have answered for the leader to conclude that status; None where nobody asked it.

    For whoever does not ask agents itself. ``failures`` is how many bad answers in a row count.
    """
    ready, alive = status.condition(ConditionType.READY), status.condition(ConditionType.ALIVE)
    if ready is None or ready.status is None:
        return None
    is_silent = alive is not None and alive.status is False
    return Probed(
        result=ProbeResult(alive=not is_silent, ready=ready.status, reason=ready.reason, params=ready.params),
        failures=0 if ready.status else failures,
        silences=failures if is_silent else 0,
        at=ready.since,
        started_at=record.started_at,
    )
