"""Two servers of one platform: when the leader is killed, frozen or cut off, the other acts within 12 seconds, once.

Both are real processes on one PostgreSQL and one engine; each reaches PostgreSQL through a relay of its own, which can
stop passing bytes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agentpod_server.store.testing_servers import debians_15, run

pytestmark = [pytest.mark.docker, pytest.mark.slow]

logger = logging.getLogger(__name__)

TAKEOVER = 12.0
CLEAN_TAKEOVER = 3.0
PASSWORD = "operator-pw"


class Relay:
    """Passes bytes between a server and PostgreSQL, until it is cut: then everybody waits, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._passes = asyncio.Event()
        self._passes.set()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result()
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self._passes.clear)

    def heal(self) -> None:
        self._loop.call_soon_threadsafe(self._passes.set)

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passes.wait()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._passes.wait()
                sink.write(data)
                await sink.drain()
        sink.close()


class Server:
    """One of the two, with its relay."""

    def __init__(self, platform, relay: Relay) -> None:
        self.platform = platform
        self.relay = relay

    @property
    def pid(self) -> int:
        return self.platform.process.pid

    def client(self) -> httpx.Client:
        """Give a client of this very server, with the local client's token."""
        token = json.loads((self.platform.state / "context.json").read_text())["token"]
        url = f"http://127.0.0.1:{self.platform.port}"
        return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=10, trust_env=False)

    def ask(self, method: str, path: str, **options) -> httpx.Response:
        """Ask it."""
        with self.client() as client:
            answer = client.request(method, path, **options)
        answer.raise_for_status()
        return answer

    def metric(self, name: str) -> float:
        """Read one of its metrics that has no labels."""
        families = text_string_to_metric_families(self.ask("GET", "/metrics").text)
        return next(sample.value for family in families for sample in family.samples if sample.name == name)

    @property
    def leads(self) -> bool:
        return self.metric("agentpod_leader") == 1.0


class Pair:
    """The two of them, the pods they host, and what the engine says of those."""

    def __init__(self, servers: tuple[Server, Server], pods: dict[str, str], wait_until) -> None:
        self.servers = servers
        self.pods = pods
        self.wait_until = wait_until
        self.instance = servers[0].platform.instance

    def roles(self) -> tuple[Server, Server]:
        """Give the leader and the other one, once both are up and one leads."""
        for server in self.servers:
            if server.platform.process.poll() is not None:
                server.platform.up()

        def settled() -> object:
            leading = [server.leads for server in self.servers]
            return leading if sum(leading) == 1 else None

        first, second = self.servers
        leading = self.wait_until(settled, seconds=15, what="one of the two leads")
        return (first, second) if leading[0] else (second, first)

    def container(self, pod: str) -> dict:
        return self.servers[0].platform.container(self.pods[pod])

    def is_running(self, pod: str) -> bool:
        return bool(self.container(pod).get("State", {}).get("Running"))

    def remove(self, pod: str) -> None:
        """Take a pod's container away, as nobody should."""
        name = f"agentpod-{self.instance}-{self.pods[pod]}"
        subprocess.run(["docker", "rm", "-f", name], capture_output=True, check=True)

    def done_since(self, begun: float, *pods: str) -> Counter[str]:
        """Count what happened to the containers of those pods since then, by the engine's own book."""
        ids = {self.pods[pod] for pod in pods}
        wanted = ["docker", "events", "--since", f"{begun:.3f}", "--until", f"{time.time():.3f}"]
        wanted += ["--filter", "type=container", "--filter", f"label=agentpod.instance={self.instance}"]
        done = subprocess.run([*wanted, "--format", "{{json .}}"], capture_output=True, text=True, check=True)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return Counter(
            event["Action"]
            for event in events
            if event["Actor"]["Attributes"]["agentpod.pod-id"] in ids and event["Action"] in {"create", "start", "die"}
        )

    def seconds_until_back(self, pod: str) -> float:
        """Take a container away and wait until somebody has made it again."""
        begun = time.monotonic()
        self.remove(pod)
        self.wait_until(lambda: self.is_running(pod), seconds=2 * TAKEOVER, what="somebody acts")
        took = time.monotonic() - begun
        logger.info("took over in %.2f s", took)
        return took


@pytest.fixture(scope="module")
def pair(new_platform, wait_until) -> Iterator[Pair]:
    """Two servers that share a state folder, by different names and ports, and two pods."""
    with debians_15() as postgres:
        asyncio.run(run(postgres, f"create role operator login createrole createdb password '{PASSWORD}'"))
        relays = [Relay(postgres.port), Relay(postgres.port)]
        url = "postgresql://operator:{}@127.0.0.1:{}/shop".format
        first = new_platform(network="10.221.0.0/17", extra={"AGENTPOD_DATABASE_URL": url(PASSWORD, relays[0].port)})
        shared = {name: first.env[name] for name in first.env if name.startswith("AGENTPOD_ROUTER_")}
        second = type(first)(
            first.state,
            network="10.221.0.0/17",
            extra={**shared, "AGENTPOD_NAME": "b", "AGENTPOD_DATABASE_URL": url(PASSWORD, relays[1].port)},
        )
        second.http = first.http
        try:
            first.up()
            second.up()
            first.agentpod("image", "build", "echo")
            first.agentpod("tenant", "create", "acme")
            pods = {}
            for name in ("main", "slow"):
                first.agentpod("pod", "create", f"acme/{name}", "--adapter", "echo")
                pods[name] = first.json("pod", "get", f"acme/{name}")["id"]
            yield Pair(tuple(map(Server, (first, second), relays)), pods, wait_until)
        finally:
            for relay in relays:
                relay.heal()
            for platform in (first, second):
                if platform.process is not None and platform.process.poll() is None:
                    platform.process.send_signal(signal.SIGCONT)
                    platform.process.kill()
                    platform.process.wait(timeout=10)
            first.sweep()
            for relay in relays:
                relay.close()


def test_who_does_not_lead_answers_everything(pair) -> None:
    """Status, plan, events and nudges are the same at both servers; one leads, and both say who."""
    leader, other = pair.roles()
    assert leader.metric("agentpod_leader_epoch") >= 1
    assert other.metric("agentpod_leader_epoch") == 0
    pods = [server.ask("GET", "/api/v1/pods").json()["items"] for server in (leader, other)]
    assert [[(pod["name"], pod["status"]["phase"]) for pod in some] for some in pods] == [
        [("main", "running"), ("slow", "running")]
    ] * 2
    plans = [server.ask("GET", "/api/v1/tenants/acme/pods/main/plan").json() for server in (leader, other)]
    assert [plan["actions"] for plan in plans] == [[], []]
    streaming = {"Accept": "text/event-stream"}
    with other.client() as client, client.stream("GET", "/api/v1/events", headers=streaming) as stream:
        lines = stream.iter_lines()
        passes = _passes(leader)
        other.ask("POST", "/api/v1/reconcile", json={"tenant": "acme", "pod": "main"})
        pair.wait_until(lambda: _passes(leader) > passes, seconds=5, what="the leader makes a pass")
        started_at = pair.container("main")["State"]["StartedAt"]
        other.ask("POST", "/api/v1/tenants/acme/pods/main/restart")
        events = (json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:"))
        assert next(event["reason"] for event in events if event["pod"] == "main")
    pair.wait_until(
        lambda: pair.is_running("main") and pair.container("main")["State"]["StartedAt"] != started_at,
        seconds=10,
        what="the pod was started again",
    )


def _passes(server: Server) -> float:
    families = text_string_to_metric_families(server.ask("GET", "/metrics").text)
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "agentpod_reconcile_seconds_count" and sample.labels["kind"] == "pod"
    )


def test_a_killed_leader_in_the_midst_of_a_stop(pair) -> None:
    """The other one acts in time and lets the stop that is under way come to its end, once."""
    leader, other = pair.roles()
    begun = time.time()
    # A frozen program does not heed the wish to end: the engine waits for it, and then kills it.
    os.kill(pair.container("slow")["State"]["Pid"], signal.SIGSTOP)
    other.ask("POST", "/api/v1/tenants/acme/pods/slow/stop")
    time.sleep(0.5)  # until the leader's stop is under way; nothing tells before it has ended
    assert pair.is_running("slow")
    os.kill(leader.pid, signal.SIGKILL)
    leader.platform.process.wait()

    seconds = pair.seconds_until_back("main")

    assert seconds <= TAKEOVER
    assert other.leads
    pair.wait_until(
        lambda: other.ask("GET", "/api/v1/tenants/acme/pods/slow").json()["status"]["phase"] == "stopped",
        seconds=5,
        what="the stop is concluded",
    )
    assert pair.done_since(begun, "slow") == {"die": 1}
    assert pair.done_since(begun, "main") == {"die": 1, "create": 1, "start": 1}
    other.ask("POST", "/api/v1/tenants/acme/pods/slow/start")
    pair.wait_until(lambda: pair.is_running("slow"), seconds=10, what="it runs again")


def test_a_frozen_leader(pair) -> None:
    """The other one acts in time; who wakes up sees that it leads no more, and does nothing."""
    leader, other = pair.roles()
    epoch = leader.metric("agentpod_leader_epoch")
    begun = time.time()
    os.kill(leader.pid, signal.SIGSTOP)
    try:
        seconds = pair.seconds_until_back("main")
    finally:
        os.kill(leader.pid, signal.SIGCONT)

    assert seconds <= TAKEOVER
    pair.wait_until(lambda: not leader.leads, seconds=5, what="it knows that it leads no more")
    assert other.metric("agentpod_leader_epoch") > epoch
    # Both look at it once more: who still believed in its lease would make it a second time.
    passes = _passes(other)
    leader.ask("POST", "/api/v1/reconcile", json={"tenant": "acme", "pod": "main"})
    pair.wait_until(lambda: _passes(other) > passes, seconds=5, what="another pass")
    assert pair.done_since(begun, "main", "slow") == {"die": 1, "create": 1, "start": 1}


def test_a_leader_that_is_cut_off(pair) -> None:
    """It still reaches the engine and not the store: it stops acting by itself before the other one begins."""
    leader, other = pair.roles()
    begun = time.time()
    leader.relay.cut()
    try:
        # What its passes need of the store does not come, so that it can at most have acted by what it knows.
        seconds = pair.seconds_until_back("main")
        answered = httpx.get(f"http://127.0.0.1:{leader.platform.port}/healthz", timeout=5)
    finally:
        leader.relay.heal()

    assert seconds <= TAKEOVER
    assert answered.status_code == 200
    pair.wait_until(lambda: not leader.leads and other.leads, seconds=15, what="the other one leads alone")
    assert pair.done_since(begun, "main", "slow") == {"die": 1, "create": 1, "start": 1}


def test_a_leader_that_is_told_to_end(pair) -> None:
    """It gives the lease up, and the other one acts at once, also on the router's process that it keeps from now on."""
    leader, other = pair.roles()
    begun = time.time()
    leader.platform.process.send_signal(signal.SIGTERM)
    seconds = pair.seconds_until_back("main")

    assert seconds <= CLEAN_TAKEOVER
    assert leader.platform.process.wait(timeout=10) == 0
    assert pair.done_since(begun, "main", "slow") == {"die": 1, "create": 1, "start": 1}
    router = json.loads((other.platform.state / "run" / "daemons" / "traefik.json").read_text())
    os.kill(router["pid"], signal.SIGKILL)
    pair.wait_until(
        lambda: other.platform.get("acme.localhost", "/readyz").status_code == 200,
        seconds=15,
        what="the pod is reached through a router that was started again",
    )


def test_the_halves_of_a_server(pair) -> None:
    """One process answers and another one acts, does the long work too, and shows its metrics where it is told."""
    answering, acting = (server.platform for server in pair.servers)
    for platform in (answering, acting):
        if platform.process.poll() is None:
            platform.end(signal.SIGTERM)
    answering.up(verb="server")
    acting.process = subprocess.Popen(
        [acting.bin / "agentpod", "controller"],
        env=acting.env | {"AGENTPOD_METRICS_PORT": str(acting.port)},
        stderr=subprocess.DEVNULL,
    )

    assert "echo" in answering.agentpod("image", "build", "echo").stdout
    pair.seconds_until_back("main")

    assert [server.leads for server in pair.servers] == [False, True]
    assert answering.agentpod("down").returncode == 0
    assert [platform.process.wait(timeout=10) for platform in (answering, acting)] == [0, 0]
