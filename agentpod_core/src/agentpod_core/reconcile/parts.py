"""What a pass is made of, and what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

from msgspec import Struct

from agentpod_core.observed import Lack
from agentpod_core.plan import Timings
from agentpod_core.plugpoints.routers import Router
from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.ports import Clock, PodInput, Store, Telemetry
from agentpod_core.values.reports import Repair
from agentpod_core.values.routes import Route
from agentpod_core.values.status import PodStatus
from agentpod_core.values.workload import File
from agentpod_core.values.world import Container, Endpoint

Merge = Callable[[str, File, bytes, bytes], Awaitable[bytes]]
"""Combines a file that the agent may have rewritten with what is wanted: adapter's name, file, current, wanted."""


Mend = Callable[[str, int], Awaitable[Repair | None]]
"""Asks an adapter, by name, what to do about an exit code that no restart mends; None where nothing is known."""

Heal = Callable[[PodInput, Endpoint, str], Awaitable[None]]
"""Lets the adapter of that pod bring back what its agent, at that endpoint of that container, leaves off."""


async def keep_wanted(_adapter: str, _file: File, _current: bytes, wanted: bytes) -> bytes:
    """Write the file as it is wanted: the way without the adapter."""
    return wanted


def has_all(_adapter: str) -> Lack | None:
    """Miss no adapter: the way without a host."""
    return None


async def mend_nothing(_adapter: str, _exit_code: int) -> Repair | None:
    """Know no repair: the way without the adapter."""
    return None


async def heal_nothing(_pod: PodInput, _endpoint: Endpoint, _container: str) -> None:
    """Bring nothing back: the way without the adapter."""


class Silence:
    """Telemetry that tells nobody."""

    def span(self, name: str, **facts: str) -> AbstractContextManager[object]:
        """Take no note of what happens in the block."""
        del name, facts
        return nullcontext()

    def reconciled(self, key: str, seconds: float, outcome: str) -> None:
        """Take no note of a pass."""

    def acted(self, action: str, seconds: float, outcome: str) -> None:
        """Take no note of an action."""

    def probed(self, pod_id: str, seconds: float, outcome: str, *, ready: bool) -> None:
        """Take no note of a probe."""


class Parts(Struct, frozen=True, kw_only=True):
    """What a pass works with.

    ``fixed_routes`` are served beside the pods' own, ``merge``, ``mend`` and ``heal`` ask adapters, ``adapter_lack``
    says why the one of a name cannot be had. Without a ``router`` pods have no public addresses, and whether they are
    routed is unknown.
    """

    instance: str
    store: Store
    runtime: Runtime
    clock: Clock
    router: Router | None = None
    telemetry: Telemetry = Silence()
    timings: Timings = Timings()
    fixed_routes: tuple[Route, ...] = ()
    merge: Merge = keep_wanted
    mend: Mend = mend_nothing
    heal: Heal = heal_nothing
    adapter_lack: Callable[[str], Lack | None] = has_all


class Pass(Struct, frozen=True, kw_only=True):
    """How a pass for a pod ended. ``pod`` None: the pod is gone. ``container`` is as last seen."""

    pod: PodInput | None
    tenant_id: str = ""
    status: PodStatus | None = None
    container: Container | None = None
    wake_at: datetime | None = None
