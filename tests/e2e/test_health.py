"""Agents that hang and agents that grow, end to end on real containers, and what a server tells of itself meanwhile."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agentpod_traefik.certificates import LIFETIME, make_self_signed

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SCALE = 0.2
"""The time scale of the shared platform."""
INTERVAL, TIMEOUT, FAILURES = 10.0 * SCALE, 2.0, 3
"""How the light agent is asked."""
MIB = 1024 * 1024


def processes(container: dict) -> list[int]:
    """Give a container's processes, its first one first."""
    first = container["State"]["Pid"]
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return [first, *map(int, children)]


def told(platform, pod: str, reason: str) -> list[dict]:
    """Give the events of a pod with that reason."""
    events = json.loads(platform.agentpod("pod", "events", pod, "-o", "json").stdout)
    return [event for event in events if event["reason"] == reason]


@pytest.mark.parametrize("which", ["the agent", "all of it"])
def test_a_hung_agent_is_acted_on_in_time(platform, wait_until, which) -> None:
    """An agent that is stopped in its tracks is started again, and that begins in the product's time."""
    name = f"hung-{which.split()[0]}"
    platform.agentpod("create", name, "--type", "echo")
    pod = platform.json("pod", "get", f"{name}/main")
    before = platform.container(pod["id"])
    stopped = processes(before)[-1:] if which == "the agent" else processes(before)
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    at = datetime.now(UTC)
    try:
        found = wait_until(
            lambda: told(platform, f"{name}/main", "NotAnswering"), seconds=30, what="it is seen that the agent hangs"
        )
        took = (datetime.fromisoformat(found[0]["at"]) - at).total_seconds()
        wait_until(
            lambda: platform.container(pod["id"])["State"]["StartedAt"] != before["State"]["StartedAt"],
            seconds=30,
            what="it is started again",
        )
        wait_until(
            lambda: platform.agentpod("health", f"{name}/main", check=None).returncode == 0, seconds=30, what="well"
        )
    finally:
        platform.agentpod("tenant", "delete", name, "--cascade", "--yes")
    assert 0 < took <= INTERVAL * FAILURES + TIMEOUT + 1.0, f"{took:.1f} s"


class Collector:
    """Takes whatever is posted to it: alerts by webhook, and traces."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.traces: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/v1/traces":
                    collector.traces.append(ExportTraceServiceRequest.FromString(body))
                else:
                    collector.alerts.append(json.loads(body)["data"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def spans(self) -> list[tuple[str, dict[str, str]]]:
        """Give name and facts of each span."""
        return [
            (span.name, {one.key.removeprefix("agentpod."): one.value.string_value for one in span.attributes})
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Give a collector that is up."""
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


@pytest.fixture(scope="module")
def small_disks() -> Iterator[list[Path]]:
    """Give a list of folders that are disks of their own; they go after the platforms that live there."""
    mounted: list[Path] = []
    yield mounted
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)
        shutil.rmtree(folder.parent)


@pytest.fixture(scope="module")
def talkative(small_disks, new_platform, collector, free_ports, tmp_path_factory):
    """A platform that tells all it can, with a disk that fills up, a certificate that ends, and a pod in a hurry."""
    certificate, key = tmp_path_factory.mktemp("tls") / "served.crt", tmp_path_factory.mktemp("tls") / "served.key"
    made = make_self_signed("localhost", datetime.now(UTC) - LIFETIME + timedelta(days=6))
    certificate.write_bytes(made[0])
    key.write_bytes(made[1])
    platform = new_platform(
        network="10.231.0.0/16",
        extra={
            "AGENTPOD_TIME_SCALE": "0.02",
            "AGENTPOD_LOG_FORMAT": "json",
            "AGENTPOD_DISK_ALERT_PERCENT": "10",
            "AGENTPOD_NOTIFY_PRIVATE_ADDRESSES": "127.0.0.1",
            "AGENTPOD_ROUTER_TRAEFIK_TLS": "true",
            "AGENTPOD_ROUTER_TRAEFIK_HTTPS": str(free_ports()),
            "AGENTPOD_ROUTER_TRAEFIK_CERTIFICATE": str(certificate),
            "AGENTPOD_ROUTER_TRAEFIK_KEY": str(key),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "NO_PROXY": "127.0.0.1",
        },
    )
    platform.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512m,mode=711", "agentpod-test", platform.state], check=True)
    small_disks.append(platform.state)
    platform.up()
    platform.agentpod("create", "leak", "--type", "echo", "--size", "default")
    return platform


def test_growing_memory_is_told_and_relieved_before_it_is_full(talkative, wait_until) -> None:
    """A leak is reported while there is room left, and ends in a restart in a quiet moment, not in a kill."""
    platform = talkative
    pod = platform.json("pod", "get", "leak/main")
    container = platform.container(pod["id"])
    token = subprocess.run(
        ["docker", "exec", container["Id"], "cat", "/run/agentpod/secrets/token"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (network,) = container["NetworkSettings"]["Networks"].values()
    url = f"http://{network['IPAddress']}:8080/admin/memory"
    headers = {"Authorization": f"Bearer {token}"}
    httpx.post(url, headers=headers, json={"bytes": 70 * MIB}, timeout=5)
    is_over = threading.Event()

    def leak() -> None:
        while not is_over.wait(1.0):
            try:
                httpx.post(url, headers=headers, json={"bytes": MIB}, timeout=5)
            except httpx.HTTPError:
                return

    leaking = threading.Thread(target=leak)
    leaking.start()
    try:
        wait_until(lambda: told(platform, "leak/main", "MemoryGrowing"), seconds=60, what="growth is told")
        wait_until(lambda: told(platform, "leak/main", "RestartedBeforeFull"), seconds=30, what="it is relieved")
        is_over.set()
        wait_until(
            lambda: platform.container(pod["id"])["State"]["StartedAt"] != container["State"]["StartedAt"],
            seconds=30,
            what="it is started again",
        )
    finally:
        is_over.set()
        leaking.join()
    after = platform.container(pod["id"])
    assert (after["State"]["OOMKilled"], told(platform, "leak/main", "OutOfMemory")) == (False, [])
    wait_until(
        lambda: platform.json("pod", "stats", "leak/main", "--since", "1h")["history"], seconds=30, what="history"
    )
    wait_until(lambda: platform.json("pod", "get", "leak/main")["status"]["ready"], seconds=30, what="it is well again")
    health = platform.json("health", "leak/main")
    assert health["probe"]["name"] == "http"


def test_a_server_tells_of_what_it_stands_on(talkative, collector, wait_until) -> None:
    """A disk that fills up and a certificate that ends are alerts, and a receiver that is added later hears of both."""
    target = {"url": f"{collector.url}/hook", "key": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()}
    given = [one for name, value in target.items() for one in ("--secret", f"{name}=@{_file(talkative, name, value)}")]
    talkative.agentpod("notifier", "add", "ops", "--kind", "webhook", *given)
    wanted = {("DiskNearlyFull", str(talkative.state)), ("CertificateTrouble", "localhost, *.localhost")}
    engine = subprocess.run(["docker", "info", "-f", "{{.DockerRootDir}}"], capture_output=True, text=True, check=True)
    disk = shutil.disk_usage(engine.stdout.strip())
    if disk.used > 0.11 * (disk.used + disk.free):
        wanted.add(("DiskNearlyFull", engine.stdout.strip()))

    wait_until(lambda: wanted <= _about(collector.alerts), seconds=60, what="the receiver hears of them")

    assert wanted <= _about(talkative.json("alert", "list"))
    heard = {one["reason"]: one["params"] for one in collector.alerts}
    assert heard["CertificateTrouble"]["cause"] == "CertificateEnds"


def _file(platform, name: str, text: str) -> Path:
    file = platform.state.parent / name
    file.write_text(text)
    return file


def _about(alerts: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Give the reason of each alert, and of which disk or certificate it is."""
    return {(one["reason"], one["params"].get("path") or one["params"].get("hosts", "")) for one in alerts}


ABOVE_ZERO = {
    'agentpod_reconcile_seconds_count{kind="pod",outcome="ok"}',
    'agentpod_action_seconds_count{action="CreateContainer",outcome="ok"}',
    'agentpod_container_starts_total{why="NoContainer"}',
    'agentpod_container_starts_total{why="RestartedByEngine"}',
    "agentpod_probe_seconds_count",
    'agentpod_probes_total{outcome="Answering"}',
    "agentpod_event_loop_lag_seconds_count",
    'agentpod_request_seconds_count{method="GET",status="200"}',
    'agentpod_pods{phase="running"}',
    'agentpod_alerts{severity="error"}',
}
"""Of a platform that made a pod, which was killed once."""
THERE = {"agentpod_queue_keys", "agentpod_queue_oldest_seconds", 'agentpod_outbox{state="pending"}'}
"""What is mostly zero."""


def test_a_server_tells_of_what_it_does(talkative, collector, wait_until) -> None:
    """Its numbers, its log and its traces hold what the engine did, each pass by its id."""
    pod = talkative.json("pod", "get", "leak/main")["id"]
    state = talkative.container(pod)["State"]
    assert state["Pid"] > 1
    os.kill(state["Pid"], signal.SIGKILL)
    wait_until(
        lambda: talkative.container(pod)["State"]["StartedAt"] != state["StartedAt"], seconds=60, what="it runs again"
    )

    for name in sorted(ABOVE_ZERO | THERE):
        wait_until(lambda name=name: name not in _lacking(talkative), seconds=60, what=f"{name} is told")

    lines = [json.loads(line) for line in talkative.log.splitlines() if line.startswith("{")]
    passes = [one.get("reconcile", "") for one in lines if one["message"].startswith("routes changed")]
    assert passes
    assert [one for one in passes if not one.startswith("routes#")] == []

    def traced() -> set[tuple[str, str]]:
        return {
            (name, facts.get("action") or facts.get("reconcile", "").partition("#")[0])
            for name, facts in collector.spans
        }

    wanted = {("reconcile", f"pod:{pod}"), ("act", "CreateContainer"), ("act", "StartContainer")}
    wait_until(lambda: wanted <= traced(), seconds=60, what="a pass and its changes are traced")


def _lacking(platform) -> set[str]:
    """Name the numbers that a server does not show, or that are zero and must not be."""
    context = json.loads((platform.state / "context.json").read_text())
    headers = {"Authorization": f"Bearer {context['token']}"}
    text = httpx.get(f"{context['server']}/metrics", headers=headers, timeout=10).text
    shown = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return (ABOVE_ZERO | THERE) - shown.keys() | {one for one in ABOVE_ZERO & shown.keys() if float(shown[one]) == 0}
