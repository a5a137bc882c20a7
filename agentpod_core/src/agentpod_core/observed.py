"""What a pass sees of one pod: its containers, its volumes and what its probe last said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from agentpod_core.values.reports import ProbeResult
from agentpod_core.values.world import Container, Protection


class Lack(Struct, frozen=True, kw_only=True):
    """Why an adapter or a probe cannot be had, as a reason of the catalogue with its params."""

    reason: str
    params: dict[str, Any] = {}


class Probed(Struct, frozen=True, kw_only=True):
    """The probe's word on one start of a container.

    ``failures`` counts the checks in a row that found the agent not ready, ``silences`` those to
    which it gave no answer at all; ``at`` is when the last one ended. ``started_at`` names the
    start it speaks of. ``waited`` is for how many seconds that start was asked in vain so far,
    by a clock that does not jump; less than went by where many agents boot at once. With a ``lack``
    nobody asked, for the probe itself cannot be had: what counts then is that the container runs.
    """

    result: ProbeResult
    failures: int
    silences: int = 0
    waited: float = 0.0
    at: datetime
    started_at: datetime | None
    lack: Lack | None = None


class Observed(Struct, frozen=True, kw_only=True):
    """One pod in the world.

    ``containers`` are all that carry its id; the one with its name was looked at deeply.
    ``volumes`` are the names of its volumes that exist (only needed, and only looked up, for a
    pod that is to be deleted). ``probed`` None means that nobody asked the agent yet.
    ``has_boot_slot`` False means that starts have to wait. ``routed`` is whether its route is set,
    None before the routes were looked at. ``adapter_lack`` is why the pod's adapter cannot be had;
    the pod goes on with the workload that was rendered when it could.
    """

    containers: tuple[Container, ...] = ()
    volumes: tuple[str, ...] = ()
    probed: Probed | None = None
    routed: bool | None = None
    protection: Protection = Protection(active=None)
    has_boot_slot: bool = True
    adapter_lack: Lack | None = None
