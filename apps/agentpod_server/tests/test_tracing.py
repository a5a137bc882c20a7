"""Traces are sent where the environment says so, hold no words of errors, and cost nothing otherwise."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from agentpod_core import PermanentError, TemporaryError
from agentpod_server import tracing
from agentpod_server.telemetry import ServerTelemetry
from agentpod_server.tracing import Tracing

exporting = pytest.importorskip("opentelemetry.sdk.trace.export")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")


class Traced:
    """Telemetry whose traces stay in memory."""

    def __init__(self) -> None:
        self.kept = memory.InMemorySpanExporter()
        processor = exporting.SimpleSpanProcessor(self.kept)
        self.telemetry = ServerTelemetry(tracing=Tracing(processor, version="1.2", instance="abcdefgh"))

    @property
    def spans(self) -> dict[str, object]:
        return {span.name: span for span in self.kept.get_finished_spans()}


@pytest.fixture
def traced(monkeypatch) -> Traced:
    """Give it, whatever the machine's own variables say."""
    for name in (*tracing.ENDPOINTS, *tracing.PROTOCOLS, "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)
    return Traced()


def test_a_pass_and_its_changes_are_one_trace(traced) -> None:
    """A change is part of its pass; both have kind, reason and outcome."""
    with traced.telemetry.span("reconcile", reconcile="pod:1#3.7"):
        with traced.telemetry.span("act", action="StartContainer", why="Asked"):
            pass
        traced.telemetry.reconciled("pod:1", 0.1, "failed")
    act, whole = traced.spans["act"], traced.spans["reconcile"]
    assert act.parent.span_id == whole.context.span_id
    assert dict(act.attributes) == {"agentpod.action": "StartContainer", "agentpod.why": "Asked"}
    assert dict(whole.attributes) == {"agentpod.reconcile": "pod:1#3.7", "agentpod.outcome": "failed"}
    assert whole.status.status_code.name == "ERROR"
    assert whole.resource.attributes["service.name"] == "agentpod"
    assert whole.resource.attributes["service.instance.id"] == "abcdefgh"


def test_a_failure_is_named_by_its_reason_alone(traced) -> None:
    """What went wrong stands in a trace as its reason; words, which may hold anything, do not."""
    with pytest.raises(TemporaryError), traced.telemetry.span("act", action="StartContainer"):
        raise TemporaryError("EngineUnreachable", detail="sk-secret")
    span = traced.spans["act"]
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "EngineUnreachable")
    assert "sk-secret" not in span.to_json()


def test_a_request_continues_its_senders_trace(traced) -> None:
    """A traceparent header makes the request part of that trace; its name is the route's, without ids."""
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with traced.telemetry.request("abcdefgh", "GET", headers):
        traced.telemetry.answered("GET", "/api/v1/tenants/{tenant}", 503, 0.01)
    span = traced.spans["GET /api/v1/tenants/{tenant}"]
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert span.attributes["agentpod.request"] == "abcdefgh"
    assert span.status.status_code.name == "ERROR"


def test_bad_probes_are_traced(traced) -> None:
    """Each probe that finds an agent ill is a span as long as it took; of the good ones few are."""
    traced.telemetry.probed("1", 2.0, "Timeout", ready=False)
    (span,) = traced.kept.get_finished_spans()
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(2.0, abs=0.001)
    assert span.attributes["agentpod.outcome"] == "Timeout"
    traced.kept.clear()
    for _ in range(1000):
        traced.telemetry.probed("1", 0.001, "Answering", ready=True)
    assert len(traced.kept.get_finished_spans()) < 60


def test_the_operators_name_for_the_service_wins(traced, monkeypatch) -> None:
    """OTEL_SERVICE_NAME is heeded."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "agents of ours")
    other = Traced()
    with other.telemetry.span("act", action="StartContainer"):
        pass
    assert other.spans["act"].resource.attributes["service.name"] == "agents of ours"


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Run who takes traces by OTLP over HTTP; gives its address and what came."""
    came: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", came
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_arrive_where_the_environment_says(traced, receiver, monkeypatch) -> None:
    """OTEL_EXPORTER_OTLP_ENDPOINT is all that it takes; what is left is sent at the end."""
    address, came = receiver
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    telemetry = ServerTelemetry(tracing=tracing.opened(version="1.2", instance="abcdefgh"))
    with telemetry.span("reconcile", reconcile="pod:1#3.7"):
        pass
    telemetry.close()
    ((path, body),) = came
    assert path == "/v1/traces"
    assert b"pod:1#3.7" in body


@pytest.mark.parametrize(
    ("variables", "asked_by"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_TRACES_EXPORTER": "none"}, None),
    ],
)
def test_the_standard_variables_decide(variables, asked_by) -> None:
    """An endpoint asks for traces, and what switches OpenTelemetry off does so here."""
    assert tracing.configured(variables) == asked_by


def test_a_missing_library_is_named(traced, monkeypatch) -> None:
    """Traces that were asked for and cannot be had end the start, with what to install."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(PermanentError) as caught:
        tracing.opened(version="1.2", instance="abcdefgh")
    assert caught.value.reason == "TracingNotInstalled"
    assert caught.value.params["extra"] == "agentpod-server[otel]"
    assert caught.value.params["setting"] == "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_another_protocol_is_refused(traced, monkeypatch) -> None:
    """What cannot be spoken is said, not guessed."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(PermanentError) as caught:
        tracing.opened(version="1.2", instance="abcdefgh")
    assert caught.value.params == {"protocol": "grpc", "known": "http/protobuf"}


def test_nothing_of_it_is_loaded_unasked() -> None:
    """A server that traces nothing does not import the library."""
    code = (
        "import sys; from agentpod_server import main, tracing; tracing.opened(version='', instance='');"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PATH": ""})
    assert done.stdout == "[]\n"


async def test_concurrent_passes_are_traces_of_their_own(traced) -> None:
    """Passes that run at the same time are no part of one another."""

    async def work(name: str) -> None:
        with traced.telemetry.span("reconcile", reconcile=name):
            await asyncio.sleep(0)

    await asyncio.gather(work("one"), work("two"))
    one, two = traced.kept.get_finished_spans()
    assert one.context.trace_id != two.context.trace_id
