"""What the engine and the server tell of their work: metrics in a registry of their own, facts for the log, traces.

Labels are few and bounded: kinds, actions and reasons, never ids. A thousand pods make no more series
than one.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from agentpod_core.values.status import Happening
from agentpod_server import logs
from agentpod_server.tracing import Tracing

_PASS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ACTION_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_PROBE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_LOGGED: Final = frozenset({"request", "reconcile", "action"})
"""Of the facts of a span those that are put on each line of the log."""
_BY_ENGINE: Final = frozenset({"RestartedByEngine", "OutOfMemory"})
_MOST_VALUES: Final = 100
_OTHER: Final = "Other"
_TRACED_PROBES: Final = 100
"""Of so many probes that found an agent well one is traced."""


class ServerTelemetry:
    """Implements ``agentpod_core.ports.Telemetry``. ``registry`` is open to further collectors of the server."""

    def __init__(self, *, version: str = "", instance: str = "", tracing: Tracing | None = None) -> None:
        self.registry = CollectorRegistry()
        self._tracing = tracing
        self._values: dict[str, set[str]] = {}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        Info("agentpod", "This AgentPod server: its version and its platform.", registry=self.registry).info(
            {"version": version, "platform": instance}
        )
        self._passes = Histogram(
            "agentpod_reconcile_seconds",
            "Duration of reconcile passes, by kind of key and outcome.",
            ("kind", "outcome"),
            buckets=_PASS_SECONDS,
            registry=self.registry,
        )
        self._actions = Histogram(
            "agentpod_action_seconds",
            "Duration of the changes made to the engine, by action and outcome: ok, or the reason of the error.",
            ("action", "outcome"),
            buckets=_ACTION_SECONDS,
            registry=self.registry,
        )
        self._starts = Counter(
            "agentpod_container_starts",
            "Containers that were started, by why: 'NoContainer' where there was none before, 'RestartedByEngine' and "
            "'OutOfMemory' restarts by the container engine itself, the rest restarts by this server.",
            ("why",),
            registry=self.registry,
        )
        self._probes = Histogram(
            "agentpod_probe_seconds", "Duration of health probes.", buckets=_PROBE_SECONDS, registry=self.registry
        )
        self._answers = Counter(
            "agentpod_probes", "Health probes, by the reason they ended with.", ("outcome",), registry=self.registry
        )
        self._requests = Histogram(
            "agentpod_request_seconds",
            "Time until a request to API or dashboard began to be answered, by method and status.",
            ("method", "status"),
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self._lag = Histogram(
            "agentpod_event_loop_lag_seconds",
            "How much later than asked for the event loop did what was due.",
            buckets=_LAG_SECONDS,
            registry=self.registry,
        )

    @contextmanager
    def span(self, name: str, **facts: str) -> Iterator[None]:
        """Log with these facts in the block, trace it, and count the containers that were started in it."""
        with logs.telling({fact: facts[fact] for fact in facts if fact in _LOGGED}), self._traced(name, facts):
            yield
        if facts.get("action") == "StartContainer":
            self._starts.labels(self._bounded("why", facts.get("why", ""))).inc()

    @contextmanager
    def request(self, request_id: str, method: str, headers: Mapping[str, str]) -> Iterator[None]:
        """Log with the request's id in the block, and trace it as part of its sender's trace."""
        facts = {"request": request_id}
        with logs.telling(facts), self._traced(method, facts, headers):
            yield

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request whose answer begins; ``route`` is its path with names for what varies."""
        self._requests.labels(self._bounded("method", method), str(status)).observe(seconds)
        if self._tracing:
            self._tracing.rename(f"{method} {route}")
            self._tracing.note(method=method, route=route, status=status)
            if status >= 500:  # noqa: PLR2004 - what a server is to blame for
                self._tracing.failed(str(status))

    def reconciled(self, key: str, seconds: float, outcome: str) -> None:
        """Count one pass under its key's kind: ``pod``, ``tenant``, ``routes``, ``resync``."""
        self._passes.labels(key.partition(":")[0], outcome).observe(seconds)
        if self._tracing:
            self._tracing.note(outcome=outcome)
            if outcome == "failed":
                self._tracing.failed(outcome)

    def acted(self, action: str, seconds: float, outcome: str) -> None:
        """Count one action."""
        self._actions.labels(action, self._bounded("action", outcome)).observe(seconds)

    def happened(self, happenings: Iterable[Happening]) -> None:
        """Count the restarts among what was found to have happened: an engine's own are seen afterwards only."""
        for one in happenings:
            if one.reason in _BY_ENGINE and (times := one.params.get("times")):
                self._starts.labels(one.reason).inc(times)

    def probed(self, pod_id: str, seconds: float, outcome: str, *, ready: bool) -> None:
        """Count one probe; whose it was is in the events, not here. Bad ones are traced, and some of the others."""
        outcome = self._bounded("probe", outcome)
        self._probes.observe(seconds)
        self._answers.labels(outcome).inc()
        if self._tracing and (not ready or random.randrange(_TRACED_PROBES) == 0):  # noqa: S311 - a sample
            facts = {"pod": pod_id, "outcome": outcome}
            self._tracing.past("probe", seconds, facts, failed="" if ready else outcome)

    def lagged(self, seconds: float) -> None:
        """Count by how much the event loop was late."""
        self._lag.observe(max(seconds, 0.0))

    def exposition(self) -> tuple[bytes, str]:
        """Give the metrics as text, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def close(self) -> None:
        """Send the traces that were not sent yet."""
        if self._tracing:
            self._tracing.close()

    def _traced(
        self, name: str, facts: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> AbstractContextManager[None]:
        return self._tracing.span(name, facts, headers) if self._tracing else nullcontext()

    def _bounded(self, label: str, value: str) -> str:
        """Give the value, or a common one for those beyond the first hundred: a plugin makes reasons as it likes."""
        known = self._values.setdefault(label, set())
        if value not in known and len(known) >= _MOST_VALUES:
            return _OTHER
        known.add(value)
        return value
