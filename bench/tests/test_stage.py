"""What the reference is made with: twins that must not differ, and the way an address is asked."""

from __future__ import annotations

import copy
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager
from importlib import metadata

import pytest

from agentpod_core import ContainerState, Reply
from agentpod_echo import EchoAdapter
from cases.events import is_of_container, is_of_pod
from stage import processes, simulated
from stage.asking import Question, answered_at
from stage.following import Following
from stage.plugins import installed
from stage.plugins.handshaking import HANDSHAKE_EVERY, HandshakingProbe
from stage.twin import contents, differences, workload

OURS = {
    "Image": "sha256:1",
    "Driver": "overlay2",
    "Config": {"Image": "echo:1", "Env": ["A=1"], "Labels": {"agentpod.pod-id": "1"}},
    "HostConfig": {"Memory": 5, "Init": True},
    "Mounts": [{"Type": "volume", "Destination": "/data", "RW": True, "Source": "/x"}],
    "NetworkSettings": {"Networks": {"ours": {"IPAMConfig": {"IPv4Address": "10.0.0.2"}, "IPPrefixLen": 26}}},
}


def changed(*path, value):
    twin = copy.deepcopy(OURS)
    place = twin
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return twin


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("Mounts", 0, "Source"), "/y"),
        (("Config", "Labels"), {"agentpod-bench": "7"}),
        (("NetworkSettings", "Networks", "ours", "IPAMConfig"), {"IPv4Address": "10.9.9.9"}),
    ],
)
def test_names_addresses_and_labels_may_differ(path, value):
    """Two containers on one engine cannot share these."""
    assert differences(OURS, changed(*path, value=value)) == []


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        (("HostConfig", "Memory"), 6, "HostConfig.Memory: 5 != 6"),
        (("HostConfig", "Init"), False, "HostConfig.Init: True != False"),
        (("Config", "Env"), [], "Config.Env: ['A=1'] != []"),
        (("Config", "Labels"), {}, "labels: 1 != 0"),
        (("Mounts",), [], "mounts: [('volume', '/data', True)] != []"),
    ],
)
def test_everything_that_costs_something_must_be_the_same(path, value, what):
    """A reference that is spared some of the work proves nothing."""
    assert differences(OURS, changed(*path, value=value)) == [what]


def test_the_reference_gets_the_files_that_the_adapter_writes():
    """Secrets are stood in for by texts of the usual length."""
    files = {file.path: file for file in contents(workload(EchoAdapter(), {}))}
    assert (sorted(files), len(files["/run/agentpod/secrets/token"].content)) == (
        ["/etc/echo/config.json", "/etc/echo/live.json", "/run/agentpod/secrets/token"],
        42,
    )


@pytest.fixture
def server():
    """Give a server whose first connections are left without an answer, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        held: list[socket.socket] = []

        def serve() -> None:
            for number in range(4):
                connection, _ = listening.accept()
                held.append(connection)
                if number == 3:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(timeout=5)
        for connection in held:
            connection.close()


def test_a_question_that_hangs_hides_no_answer(server):
    """The next one is asked while it waits, and its answer is what counts."""
    begun = time.time()
    assert answered_at(Question(port=server, host="x")) - begun < 0.5


def test_who_never_answers_is_given_up_on():
    """The case fails instead of waiting for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(TimeoutError, match="x/page answers"):
        answered_at(Question(port=port, host="x", path="/page"), seconds=0.1)


@pytest.fixture
def stream():
    """Give a connection to a server that says a line, waits until it is told to, and says another."""
    go_on = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n")
                go_on.wait(5)
                connection.sendall(b"7\r\nsecond\n\r\n")
                connection.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield http.client.HTTPConnection("127.0.0.1", listening.getsockname()[1]), go_on
        thread.join(timeout=5)


def test_a_followed_line_has_the_moment_at_which_it_came_in(stream):
    """Lines come in while the answer goes on, not only when it ends."""
    line, go_on = stream
    with Following(line, "/", {}) as following:
        first = following.first(lambda line: line == b"first\n", since=0.0)
        between = time.time()
        go_on.set()
        second = following.first(lambda line: line == b"second\n", since=0.0)
    assert first <= between <= second


def test_a_followed_line_from_before_is_not_the_one(stream):
    """What came in before the change is not its echo."""
    line, _ = stream
    with Following(line, "/", {}) as following:
        since = following.first(lambda line: line == b"first\n", since=0.0) + 0.001
        with pytest.raises(TimeoutError):
            following.first(lambda line: line == b"first\n", since=since, seconds=0.05)


def test_an_event_is_told_by_whom_it_names():
    """The engine's lines name a container, the platform's a pod; its comments name nobody."""
    lines = (b'{"Actor": {"Attributes": {"name": "c1"}}}\n', b'data: {"pod": "p1"}\n', b": \n", b"id: 7\n")
    assert (is_of_container(lines[0], "c1"), [is_of_pod(line, "p1") for line in lines[1:]]) == (
        True,
        [True, False, False],
    )


def test_processor_time_of_what_ended_below_is_counted():
    """A program that starts others is not cheaper for it."""
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    before = processes.processor([os.getpid()])
    subprocess.run([sys.executable, "-c", burn], check=True)
    assert processes.processor([os.getpid()]) - before >= 0.25


def test_a_plugin_of_the_bench_is_found_as_an_installed_one_is(tmp_path):
    """The server loads it by its entry point, from a folder that it is told to look in."""
    folders = [str(folder) for folder in installed("handshaking", tmp_path)]
    found = [
        point.value
        for distribution in metadata.distributions(path=folders)
        for point in distribution.entry_points
        if point.group == "agentpod"
    ]
    assert found == ["stage.plugins.handshaking"]


class Line:
    """A link that counts what it is asked for."""

    def __init__(self):
        self.asked = []

    async def http(self, method, path, **_):
        self.asked.append(path)
        return Reply(status=200)

    @asynccontextmanager
    async def websocket(self, path, **_):
        self.asked.append(path)
        yield self

    async def receive(self, seconds):
        return '{"type": "hello"}'


async def test_agents_shake_hands_at_first_and_then_now_and_then(monkeypatch):
    """A page each time, a handshake every 60 s: what OpenClaw's are asked."""
    line, probe, now = Line(), HandshakingProbe(), 0.0
    monkeypatch.setattr("stage.plugins.handshaking.time.monotonic", lambda: now)
    for _ in range(8):
        assert (await probe.check(line, {"path": "/readyz"}, timeout=1)).ready
        now += HANDSHAKE_EVERY / 6
    assert line.asked == ["/readyz", "/ws", *["/readyz"] * 6, "/ws", "/readyz"]


async def test_the_simulation_has_nothing_to_do():
    """Its pods run as the plan wants them, so that a resync is one that finds nothing; else it says so."""
    async with simulated.simulation(30) as running:
        assert 0 < await running.resync() < 1


def test_the_simulated_pods_are_in_networks_that_have_room():
    """No two of them have one address, and every one runs."""
    there = simulated.world(120)
    containers = simulated.runtime(there).engine.containers.values()
    assert (len(there.tenants), len({one.address for one in containers}), {one.state for one in containers}) == (
        3,
        120,
        {ContainerState.RUNNING},
    )
