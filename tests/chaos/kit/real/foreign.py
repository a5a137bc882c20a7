"""What is nobody's on the engine and has to stay as it is: a container, a volume, a network, and a taken address."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from real.tenancy import IMAGE, Pod

NAME = "nobodys"
TAKER = "takes-an-address"
SUBNET, GATEWAY = "10.99.0.0/26", "10.99.0.1"
WATCHED = ("Id", "Name", "Image", "Config", "HostConfig", "Mounts")


class Foreign:
    """Says how all of it is; two of these are equal while nobody touched anything."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._containers = [NAME]

    def take_address(self, pod: Pod) -> None:
        """Give the address of a pod that is down to a container of nobody's."""
        ours = ("--filter", f"label=agentpod.tenant={pod.tenant}", "--format", "{{.Name}}")
        network = self._engine.docker("network", "ls", *ours).strip()
        given = (f"--network={network}", f"--ip={pod.address}", "--restart=always", "--entrypoint=sleep")
        self._engine.docker("run", "-d", "--name", TAKER, *given, IMAGE, "36000")
        self._containers.append(TAKER)

    def has_address(self) -> bool:
        """Say whether that container has it: after the engine's own start it may take a while to come back."""
        (one,) = json.loads(self._engine.docker("inspect", TAKER))
        return bool(one["State"]["Running"]) and all(
            at["IPAddress"] for at in one["NetworkSettings"]["Networks"].values()
        )

    def leave_address(self) -> None:
        """Take that container away again."""
        self._containers.remove(TAKER)
        self._engine.docker("rm", "-f", TAKER)

    def seen(self) -> dict[str, Any]:
        """Say how it all is, and that the containers run."""
        found: dict[str, Any] = {}
        for name in self._containers:
            (one,) = json.loads(self._engine.docker("inspect", name))
            found[name] = {key: one[key] for key in WATCHED} | {"running": one["State"]["Running"]}
            found[name]["networks"] = {
                network: at["IPAddress"] for network, at in one["NetworkSettings"]["Networks"].items()
            }
        (volume,) = json.loads(self._engine.docker("volume", "inspect", NAME))
        (network,) = json.loads(self._engine.docker("network", "inspect", NAME))
        found["content"] = self._engine.docker("exec", NAME, "cat", "/kept/note")
        return found | {"volume": volume, "network": {key: network[key] for key in ("Id", "IPAM", "Labels", "Options")}}


@contextlib.contextmanager
def foreign(engine: Any) -> Iterator[Foreign]:
    """Have things of nobody's on an engine while the block runs."""
    engine.docker("network", "create", "--subnet", SUBNET, "--gateway", GATEWAY, NAME)
    kept = ("--volume", f"{NAME}:/kept", "--network", NAME, "--ip", "10.99.0.9", "--restart=always")
    script = "echo mine > /kept/note; exec sleep 36000"
    engine.docker("run", "-d", "--name", NAME, *kept, "--user=0", "--entrypoint=sh", IMAGE, "-c", script)
    things = Foreign(engine)
    yield things
    engine.docker("rm", "-f", NAME)
    engine.docker("network", "rm", NAME)
    engine.docker("volume", "rm", NAME)
