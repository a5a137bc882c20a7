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
        self._address: tuple[str, ...] = ()

    def take_address(self, pod: Pod) -> None:
        """Give the address of a pod that is down to a container of nobody's."""
        ours = ("--filter", f"label=agentpod.tenant={pod.tenant}", "--format", "{{.Name}}")
        network = self._engine.docker("network", "ls", *ours).strip()
        self._address = (f"--network={network}", f"--ip={pod.address}", "--entrypoint=sleep")
        self._engine.docker("run", "-d", "--name", TAKER, "--restart=always", *self._address, IMAGE, "36000")
        self._containers.append(TAKER)

    def holds_address(self) -> bool:
        """Say whether that container has it, and the engine gives it to nobody else.

        After the engine's own start the container may take a while to come back. And an engine that was killed may
        have forgotten that it gave the address (moby#27404): it is asked for once more then.
        """
        (one,) = json.loads(self._engine.docker("inspect", TAKER))
        if not one["State"]["Running"] or not all(
            at["IPAddress"] for at in one["NetworkSettings"]["Networks"].values()
        ):
            return False
        try:
            self._engine.docker("run", "--rm", *self._address, IMAGE, "0")
        except RuntimeError as refused:
            return "already in use" in str(refused)
        self._engine.docker("restart", "--time=0", TAKER)
        return False

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
