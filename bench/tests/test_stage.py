"""What the reference is made with: twins that must not differ, and the way an address is asked."""

from __future__ import annotations

import copy
import socket
import threading
import time

import pytest

from agentpod_echo import EchoAdapter
from stage.asking import Question, answered_at
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
