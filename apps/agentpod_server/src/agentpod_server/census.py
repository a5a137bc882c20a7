"""What is counted when somebody asks for the metrics: how everything stands at that moment.

The database is asked at most once in a few seconds, and when it does not answer its numbers are left out: a metric
that is absent can be told from one that is zero.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from agentpod_core import AgentPodError, Severity
from agentpod_core.controller import Controller
from agentpod_core.values.status import Phase
from agentpod_server.records import Scope
from agentpod_server.services import EventHub
from agentpod_server.store import counting
from agentpod_server.store.database import Connections, Database
from agentpod_server.store.failures import EXPECTED

_FRESH: Final = 5.0
_PATIENCE: Final = 3.0
"""Less than who asks for metrics usually waits."""
_OUTBOX: Final = ("pending", "failed")
_SYSTEM = Scope(actor="system")

_log = logging.getLogger(__name__)


class Standing(Struct, frozen=True, kw_only=True):
    """How one server stands; ``epoch`` None while it does not lead."""

    epoch: int | None = None
    keys: int = 0
    oldest: float = 0.0
    streams: int = 0
    connections: Connections = Connections(open=0, idle=0, limit=0)


class Census(Collector):
    """The state of one server and of the platform, for a registry; ``refresh`` reads what only the database knows."""

    def __init__(self, database: Database, controller: Controller, hub: EventHub, registry: CollectorRegistry) -> None:
        self._database = database
        self._controller = controller
        self._hub = hub
        self._counted: counting.Counted | None = None
        self._counted_at = -_FRESH
        self._counting: asyncio.Task[None] | None = None
        registry.register(self)

    async def refresh(self) -> None:
        """Count in the database, unless that was done a moment ago; whoever asks meanwhile waits for the same count."""
        if self._counting is None:
            if time.monotonic() - self._counted_at < _FRESH:
                return
            self._counting = asyncio.create_task(self._count(), name="census")
        await asyncio.shield(self._counting)

    async def _count(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE), self._database.transaction(_SYSTEM):
                self._counted = await counting.count()
        except (AgentPodError, TimeoutError, *EXPECTED) as error:
            _log.info("the metrics are without what the database knows: %r", error)
            self._counted = None
        finally:
            self._counted_at = time.monotonic()
            self._counting = None

    def collect(self) -> Iterable[Metric]:
        """Give the metrics as they are now."""
        standing = Standing(
            epoch=self._controller.epoch,
            keys=self._controller.depth,
            oldest=self._controller.oldest,
            streams=self._hub.subscribers,
            connections=self._database.connections,
        )
        return families(standing, self._counted)


def families(standing: Standing, counted: counting.Counted | None) -> Iterator[Metric]:
    """Make metrics of it."""
    yield _gauge("leader", "Whether this server leads: 1 or 0.", standing.epoch is not None)
    yield _gauge("leader_epoch", "The epoch in which it leads; 0 while it does not.", standing.epoch or 0)
    yield _gauge("queue_keys", "Keys that wait for a reconcile pass.", standing.keys)
    yield _gauge("queue_oldest_seconds", "For how long the first of them has waited.", standing.oldest)
    yield _gauge("event_streams", "Readers that follow events at this server.", standing.streams)
    pool = standing.connections
    used = {"idle": pool.idle, "busy": pool.open - pool.idle}
    yield _by("database_connections", "Connections of this server's pool, by use.", "use", used, used)
    yield _gauge("database_connections_limit", "Connections that the pool may open.", pool.limit)
    yield _gauge("database_up", "Whether the database answered: 1 or 0.", counted is not None)
    if counted is not None:
        yield _by("pods", "Pods of the platform, by phase.", "phase", counted.pods, Phase)
        yield _gauge("pods_ready", "Pods of the platform that answer.", counted.ready)
        yield _gauge("tenants", "Tenants of the platform.", counted.tenants)
        yield _by("alerts", "Alerts that are open, by severity.", "severity", counted.alerts, Severity)
        yield _by("outbox", "Messages about alerts that are not delivered, by state.", "state", counted.outbox, _OUTBOX)
        oldest = "For how long the first message has waited to be delivered."
        yield _gauge("outbox_oldest_seconds", oldest, counted.outbox_oldest)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"agentpod_{name}", text, value=float(value))


def _by(name: str, text: str, label: str, counts: Mapping[str, int], values: Iterable[str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"agentpod_{name}", text, labels=[label])
    for value in values:
        family.add_metric([str(value)], counts.get(str(value), 0))
    return family
