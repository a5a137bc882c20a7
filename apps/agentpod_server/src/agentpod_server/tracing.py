"""Traces by OpenTelemetry, where its standard ``OTEL_*`` variables name an endpoint; nothing of it is loaded otherwise.

A trace is a request, or a pass with its changes. What they hold are kinds, reasons and ids, never a secret or a body.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from agentpod_core import AgentPodError, PermanentError

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL: Final = "http/protobuf"
EXTRA: Final = "agentpod-server[otel]"

_NANO: Final = 1_000_000_000


def configured(environ: Mapping[str, str] | None = None) -> str | None:
    """Give the variable that asks for traces; None when none does."""
    variables = os.environ if environ is None else environ
    if variables.get("OTEL_SDK_DISABLED", "").lower() == "true" or variables.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    return next((name for name in ENDPOINTS if variables.get(name)), None)


class Tracing:
    """Writes traces. ``version`` and ``instance`` say whose they are, ``processor`` (the library's) where they go."""

    def __init__(self, processor: Any, *, version: str, instance: str) -> None:
        resources = import_module("opentelemetry.sdk.resources")
        self._trace = import_module("opentelemetry.trace")
        self._extract = import_module("opentelemetry.propagate").extract
        service = {"service.name": "agentpod", "service.version": version, "service.instance.id": instance}
        # What the operator says by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES wins.
        resource = resources.Resource.create(service).merge(resources.OTELResourceDetector().detect())
        self._provider = import_module("opentelemetry.sdk.trace").TracerProvider(resource=resource)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("agentpod", version)

    @contextmanager
    def span(self, name: str, facts: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Iterator[None]:
        """Trace the block; a request is part of its sender's trace, if ``headers`` name one."""
        kind = self._trace.SpanKind.INTERNAL if headers is None else self._trace.SpanKind.SERVER
        context = None if headers is None else self._extract(headers)
        with self._tracer.start_as_current_span(
            name, context, kind, _attributes(facts), record_exception=False, set_status_on_exception=False
        ):
            try:
                yield
            except Exception as error:
                # Its reason, not its words: who reads traces is not always who may read a log.
                self.failed(error.reason if isinstance(error, AgentPodError) else type(error).__name__)
                raise

    def note(self, **facts: str | int) -> None:
        """Put facts on the span that is open."""
        self._trace.get_current_span().set_attributes(_attributes(facts))

    def rename(self, name: str) -> None:
        """Give the span that is open another name: a request's route is known once it was found."""
        self._trace.get_current_span().update_name(name)

    def failed(self, reason: str) -> None:
        """Say that what the open span stands for went wrong, and why."""
        self._trace.get_current_span().set_status(self._trace.StatusCode.ERROR, reason)

    def past(self, name: str, seconds: float, facts: Mapping[str, str], *, failed: str = "") -> None:
        """Trace what is over and took so long."""
        end = time.time_ns()
        span = self._tracer.start_span(name, attributes=_attributes(facts), start_time=end - int(seconds * _NANO))
        if failed:
            span.set_status(self._trace.StatusCode.ERROR, failed)
        span.end(end)

    def close(self) -> None:
        """Send what was not sent yet."""
        self._provider.shutdown()


def opened(*, version: str, instance: str) -> Tracing | None:
    """Begin to trace, where the environment asks for it.

    Raises:
        PermanentError: ``TracingNotInstalled``; ``TracingProtocolUnknown``.
    """
    asked_by = configured()
    if asked_by is None:
        return None
    protocol = next((found for name in PROTOCOLS if (found := os.environ.get(name))), PROTOCOL)
    if protocol != PROTOCOL:
        raise PermanentError("TracingProtocolUnknown", protocol=protocol, known=PROTOCOL)
    try:
        exporting = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        batching = import_module("opentelemetry.sdk.trace.export")
    except ModuleNotFoundError as error:
        raise PermanentError("TracingNotInstalled", setting=asked_by, extra=EXTRA, module=error.name) from error
    processor = batching.BatchSpanProcessor(exporting.OTLPSpanExporter())
    return Tracing(processor, version=version, instance=instance)


def _attributes(facts: Mapping[str, str | int]) -> dict[str, str | int]:
    return {f"agentpod.{name}": value for name, value in facts.items()}
