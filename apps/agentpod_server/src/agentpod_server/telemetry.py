"""Metrics of the engine and the server, in a registry of their own, as Prometheus text.

Labels are few and bounded: kinds, actions and reasons, never ids. A thousand pods make no more series
than one.
"""

from __future__ import annotations

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

_PASS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ACTION_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_PROBE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class PrometheusTelemetry:
    """Implements ``agentpod_core.ports.Telemetry``. ``registry`` is open to further collectors of the server."""

    def __init__(self, *, version: str = "", instance: str = "") -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        Info("agentpod", "This AgentPod server.", registry=self.registry).info(
            {"version": version, "instance": instance}
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
            "Duration of the changes made to the engine, by action and outcome.",
            ("action", "outcome"),
            buckets=_ACTION_SECONDS,
            registry=self.registry,
        )
        self._probes = Histogram(
            "agentpod_probe_seconds",
            "Duration of health probes.",
            buckets=_PROBE_SECONDS,
            registry=self.registry,
        )
        self._answers = Counter(
            "agentpod_probes", "Health probes, by the reason they ended with.", ("outcome",), registry=self.registry
        )

    def reconciled(self, key: str, seconds: float, outcome: str) -> None:
        """Count one pass under its key's kind: ``pod``, ``tenant``, ``routes``."""
        self._passes.labels(key.partition(":")[0], outcome).observe(seconds)

    def acted(self, action: str, seconds: float, outcome: str) -> None:
        """Count one action."""
        self._actions.labels(action, outcome).observe(seconds)

    def probed(self, pod_id: str, seconds: float, outcome: str) -> None:
        """Count one probe; whose it was is in the events, not here."""
        del pod_id
        self._probes.observe(seconds)
        self._answers.labels(outcome).inc()

    def exposition(self) -> tuple[bytes, str]:
        """Give the metrics as text, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
