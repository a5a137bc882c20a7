"""Agents that hang and agents that grow, end to end on real containers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

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


def test_growing_memory_is_told_and_relieved_before_it_is_full(new_platform, wait_until) -> None:
    """A leak is reported while there is room left, and ends in a restart in a quiet moment, not in a kill."""
    platform = new_platform(network="10.231.0.0/16", extra={"AGENTPOD_TIME_SCALE": "0.02"})
    platform.up()
    platform.agentpod("create", "leak", "--type", "echo", "--size", "default")
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
