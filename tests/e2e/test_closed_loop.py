"""The main job with the light agent, end to end by the command line on real parts."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def kill_agent(container: dict) -> None:
    """Kill the agent as a crash would: its process, not through the engine."""
    init = container["State"]["Pid"]
    children = Path(f"/proc/{init}/task/{init}/children").read_text().split()
    subprocess.run(["kill", "-9", *(children or [str(init)])], check=True)


def test_closed_loop(platform, wait_until) -> None:
    """A customer's agent is made, reached, killed, mended, removed by hand, made again with its data, and deleted."""
    platform.agentpod("tenant", "create", "acme", "--name", "Acme Ltd")
    platform.agentpod("pod", "create", "acme/support", "--adapter", "echo", "--set", "greeting=Hello from Acme")
    pod = platform.json("pod", "get", "acme/support")
    assert pod["status"]["ready"] is True
    assert platform.agentpod("pod", "status", "acme/support").stdout.strip()
    host = "support-acme.localhost"
    wait_until(lambda: platform.get(host, "/healthz").status_code == 200, seconds=5, what="the address answers")

    first = platform.container(pod["id"])
    token = subprocess.run(
        ["docker", "exec", first["Id"], "cat", "/run/agentpod/secrets/token"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    auth = {"Authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{platform.http}/notes"
    sent = httpx.post(url, headers={"Host": host, **auth}, json={"text": "remember me"}, timeout=5)
    assert sent.status_code in {200, 201}, sent.text

    kill_agent(first)
    wait_until(
        lambda: platform.container(pod["id"])["State"]["StartedAt"] != first["State"]["StartedAt"],
        seconds=20,
        what="the killed agent is started again",
    )
    wait_until(lambda: platform.get(host, "/readyz").status_code == 200, seconds=20, what="it answers again")

    subprocess.run(["docker", "rm", "-f", first["Id"]], check=True, capture_output=True)
    wait_until(lambda: platform.container(pod["id"]), seconds=20, what="the removed container is made again")
    wait_until(lambda: platform.get(host, "/readyz").status_code == 200, seconds=20, what="it answers again")
    second = platform.container(pod["id"])
    assert second["Id"] != first["Id"]
    (network,) = second["NetworkSettings"]["Networks"].values()
    (before,) = first["NetworkSettings"]["Networks"].values()
    assert network["IPAMConfig"]["IPv4Address"] == before["IPAMConfig"]["IPv4Address"]
    assert "remember me" in platform.get(host, "/notes", headers=auth).text

    platform.agentpod("pod", "delete", "acme/support", "--yes")
    platform.agentpod("tenant", "delete", "acme", "--yes")
    wait_until(lambda: not platform.leftovers(), seconds=20, what="nothing is left on the engine")
    assert platform.agentpod("pod", "get", "acme/support", check=3)
    assert platform.get(host, "/healthz").status_code == 404


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_pods_and_routes_outlive_the_server(platform, wait_until, number) -> None:
    """However the server ends, open connections live on, new ones succeed, and its return changes nothing."""
    name = f"outlive{number.value}"
    platform.agentpod("create", name, "--type", "echo")
    pod = platform.json("pod", "get", f"{name}/main")
    host = f"{name}.localhost"
    wait_until(lambda: platform.get(host, "/readyz").status_code == 200, seconds=5, what="the address answers")
    token = subprocess.run(
        ["docker", "exec", platform.container(pod["id"])["Id"], "cat", "/run/agentpod/secrets/token"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    headers = {"Authorization": f"Bearer {token}"}

    def opened() -> ClientConnection:
        # Dialled by address: not every resolver knows that *.localhost is this machine.
        line = socket.create_connection(("127.0.0.1", platform.http), timeout=5)
        url = f"ws://{host}:{platform.http}/ws"
        return connect(url, sock=line, additional_headers=headers, proxy=None)

    before = platform.container(pod["id"])
    with opened() as first:
        assert talks(first)
        platform.end(number)
        assert talks(first)
        with opened() as another:
            assert talks(another)
        platform.up()
        assert talks(first)
    after = platform.json("pod", "get", f"{name}/main")
    seen = platform.container(pod["id"])
    assert (seen["Id"], seen["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert after["spec"] == pod["spec"]
    platform.agentpod("tenant", "delete", name, "--cascade", "--yes")


def talks(connection: ClientConnection) -> bool:
    """Say whether an echo comes back on an open WebSocket."""
    connection.send("ping-1")
    return any("ping-1" in str(connection.recv(timeout=5)) for _ in range(5))


def test_secrets_stay_secret(platform) -> None:
    """No secret value is in ``docker inspect``, the server's log, a command line or an environment."""
    value = "sk-very-secret-4711"
    platform.agentpod("tenant", "create", "vault")
    platform.agentpod("pod", "create", "vault/main", "--adapter", "echo", "--secret", "api_key=-", given=value)
    pod = platform.json("pod", "get", "vault/main")
    container = platform.container(pod["id"])
    token = subprocess.run(
        ["docker", "exec", container["Id"], "cat", "/run/agentpod/secrets/token", "/run/agentpod/secrets/api_key"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert value in token
    places = {
        "docker inspect": json.dumps(container),
        "the server's log": platform.log,
        "the API": json.dumps(pod),
        "the container's log": platform.agentpod("pod", "logs", "vault/main").stdout,
        "events": platform.agentpod("events", "-o", "json").stdout,
        "command lines": subprocess.run(["ps", "axeww"], capture_output=True, text=True, check=True).stdout,
    }
    assert [where for where, text in places.items() if value in text] == []
    platform.agentpod("tenant", "delete", "vault", "--cascade", "--yes")
