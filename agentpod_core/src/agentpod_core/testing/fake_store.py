"""The core's store in memory with the troubles that a test makes; it passes the store's contract."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from agentpod_core.embedding import MemoryStore, Told
from agentpod_core.embedding.memory_alerts import KeptAlert
from agentpod_core.errors import TemporaryError
from agentpod_core.ports import RESYNC, Sample
from agentpod_core.testing.store_stage import WORKLOAD
from agentpod_core.values.alerts import AlertChange
from agentpod_core.values.status import Happening, PodStatus, Record
from agentpod_core.values.workload import Workload


class FakeStore(MemoryStore):
    """Implements ``agentpod_core.ports.Store`` and its own stage.

    ``pass_time`` moves the lease's clock on. ``saved`` counts the writes of statuses. ``fail`` makes
    the next calls of the engine raise.
    """

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, address_range: str = "10.217.0.0/16"
    ) -> None:
        super().__init__(monotonic=lambda: monotonic() + self._passed, address_range=address_range)
        self.saved = 0
        self._passed = 0.0
        self._failures: list[Exception] = []
        self._is_down = False

    async def add_pod(self, tenant_id: str, name: str, *, workload: Workload = WORKLOAD, **parts: Any) -> str:
        """Create a pod; by default one with a bit of everything."""
        return await super().add_pod(tenant_id, name, workload=workload, **parts)

    async def change_spec(self, pod_id: str, **changes: Any) -> int:
        """Make a new generation with those fields of the spec changed."""
        pod = self._pods[pod_id]
        return self._generation(pod, msgspec.structs.replace(pod.spec, **changes), pod.workload)

    async def events(self) -> list[Told]:
        """Read all events in their order."""
        return self.told

    async def history(self, pod_id: str) -> list[Sample]:
        """Read what is kept of a pod's samples, the oldest first."""
        return self.samples(pod_id)

    async def kept_alerts(self) -> list[KeptAlert]:
        """Read all alerts in the order in which they were raised."""
        return self.alerts

    async def pass_time(self, seconds: float) -> None:
        """Move the lease's clock on."""
        self._passed += seconds

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Make the store unreachable while the block runs; changes made meanwhile are not told."""
        self._is_down = True
        try:
            yield
        finally:
            self._is_down = False
            self.lose_changes()

    def fail(self, *errors: Exception) -> None:
        """Raise these from the next calls of the engine, one each."""
        self._failures += errors

    def lose_changes(self) -> None:
        """Tell whoever follows that changes may have been missed."""
        super()._tell(RESYNC)

    async def save(  # noqa: PLR0913 - all that a pass writes at once
        self,
        epoch: int,
        pod_id: str,
        *,
        status: PodStatus,
        record: Record,
        happenings: Sequence[Happening] = (),
        alerts: Sequence[AlertChange] = (),
    ) -> None:
        """Write what was concluded, and count it."""
        await super().save(epoch, pod_id, status=status, record=record, happenings=happenings, alerts=alerts)
        self.saved += pod_id in self._pods

    def _tell(self, *keys: str) -> None:
        if not self._is_down:
            super()._tell(*keys)

    def _reach(self) -> None:
        if self._failures:
            raise self._failures.pop(0)
        if self._is_down:
            raise TemporaryError("StoreUnreachable")
