"""An agent that refuses to start is mended by its adapter's own repair, or is blocked after one try of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]

POD = "workshop/bench"
CONFIG = "/etc/echo/config.json"
TRY = "bench-workshop 1000 workshop lo token"
"""What a repair sees: the pod's host name, user, environment, volumes and secrets, and no network."""


class Mended:
    """A pod with a repair of its own, on the real engine."""

    def __init__(self, platform) -> None:
        self.platform = platform
        self.id = platform.json("pod", "get", POD)["id"]

    @property
    def container(self) -> dict:
        return self.platform.container(self.id)

    @property
    def phase(self) -> str:
        return self.platform.json("pod", "get", POD)["status"]["phase"]

    def folder(self, place: str) -> Path:
        """Give the host's folder of one of its volumes, which is there when the agent is not."""
        return next(Path(one["Source"]) for one in self.container["Mounts"] if one["Destination"] == place)

    def told(self) -> list[str]:
        """List the repairs that events tell of."""
        events = self.platform.json("pod", "events", POD)
        return [event["reason"] for event in events if event["reason"] in ("Repairing", "CommandFailed")]

    def tried(self) -> list[str]:
        """List the repairs that there were."""
        return (self.folder("/data") / "repairs").read_text().splitlines()

    def containers(self) -> int:
        """Count the pod's containers, whatever they are for."""
        label = f"label=agentpod.pod-id={self.id}"
        listed = subprocess.run(["docker", "ps", "-aq", "--filter", label], capture_output=True, text=True, check=True)
        return len(listed.stdout.split())


def test_a_repair_is_tried_once(platform, wait_until) -> None:
    """It runs alone, with all that the pod has: what it mends runs, what it does not is blocked until a restart."""
    platform.agentpod("tenant", "create", "workshop")
    platform.agentpod("pod", "create", POD, "--adapter", "mending")
    pod = Mended(platform)
    first, config, good = pod.container, pod.folder("/etc/echo") / "config.json", pod.folder("/data") / "good.json"
    good.write_text(config.read_text())

    config.write_text("broken by hand")
    platform.agentpod("pod", "restart", POD, "--no-wait")
    wait_until(lambda: pod.told() and pod.phase == "running", seconds=120, what=f"it is mended: {pod.told()}")
    assert (pod.told(), pod.tried(), pod.containers()) == (["Repairing"], [TRY], 1)
    assert pod.container["Id"] == first["Id"]
    assert json.loads(config.read_text()) == json.loads(good.read_text())
    assert platform.get("bench-workshop.localhost").status_code == 200

    aside = good.rename(good.with_suffix(".aside"))
    config.write_text("broken by hand")
    platform.agentpod("pod", "restart", POD, "--no-wait")
    wait_until(lambda: pod.phase == "blocked", seconds=120, what="what is past mending is blocked")
    assert (pod.told(), pod.tried(), pod.containers()) == (["Repairing"] * 2, [TRY] * 2, 1)
    assert "cannot use its config files" in platform.agentpod("pod", "status", POD).stdout
    state = pod.container["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 78)

    # Who asks for a restart has seen to it, and may be helped once more.
    aside.rename(good)
    platform.agentpod("pod", "restart", POD)
    assert (pod.phase, pod.told(), pod.tried()) == ("running", ["Repairing"] * 3, [TRY] * 3)
    platform.agentpod("tenant", "delete", "workshop", "--cascade", "--yes")
