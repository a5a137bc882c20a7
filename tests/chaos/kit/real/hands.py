"""What is done to a tenant's pods: by its operator, and by somebody with the engine's own tools."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable

from real.tenancy import IMAGE, Pod, Tenancy

LOOSE = 300 * 1024 * 1024
"""The limit of memory that somebody sets by hand."""


def live(tenancy: Tenancy, seed: int, steps: int) -> list[str]:
    """Do so many things, and say which."""
    chance = random.Random(seed)
    told = []
    for _ in range(steps):
        name = chance.choice(sorted(HANDS))
        pod = chance.choice(tenancy.pods)
        told.append(f"{name} {pod.tenant}/{pod.name}")
        with contextlib.suppress(RuntimeError, OSError, KeyError):
            # What it is to be done to may not be there just now, and that is fine.
            HANDS[name](tenancy, pod)
        time.sleep(chance.choice([0.0, 0.1, 0.5, 1.0]))
    return told


def _signal(tenancy: Tenancy, pod: Pod, number: signal.Signals) -> None:
    init = tenancy.platform.container(pod.id)["State"]["Pid"]
    if init > 1:
        with open(f"/proc/{init}/task/{init}/children") as children:  # noqa: PTH123
            for pid in children.read().split():
                os.kill(int(pid), number)


def kill(tenancy: Tenancy, pod: Pod) -> None:
    """End its agent."""
    _signal(tenancy, pod, signal.SIGKILL)


def remove(tenancy: Tenancy, pod: Pod) -> None:
    """Remove its container."""
    tenancy.engine.docker("rm", "-f", tenancy.name(pod))


def _hang(tenancy: Tenancy, pod: Pod) -> None:
    _signal(tenancy, pod, signal.SIGSTOP)


def _pause(tenancy: Tenancy, pod: Pod) -> None:
    tenancy.engine.docker("pause", tenancy.name(pod))


def _stop_by_hand(tenancy: Tenancy, pod: Pod) -> None:
    tenancy.engine.docker("stop", "-t", "1", tenancy.name(pod))


def _loosen(tenancy: Tenancy, pod: Pod) -> None:
    limits = (f"--memory={LOOSE}", f"--memory-swap={LOOSE}", "--restart=always")
    tenancy.engine.docker("update", *limits, tenancy.name(pod))


def _rename(tenancy: Tenancy, pod: Pod) -> None:
    tenancy.engine.docker("rename", tenancy.name(pod), f"renamed-{pod.id}-{time.monotonic_ns()}")


def _double(tenancy: Tenancy, pod: Pod) -> None:
    labels = tenancy.platform.container(pod.id)["Config"]["Labels"]
    given = [part for key, value in labels.items() for part in ("--label", f"{key}={value}")]
    tenancy.engine.docker("run", "-d", "--network=none", *given, "--entrypoint=sleep", IMAGE, "600")


def _cut_network(tenancy: Tenancy, _pod: Pod) -> None:
    ours = f"label=agentpod.tenant={tenancy.tenant}"
    network = tenancy.engine.docker("network", "ls", "-q", "--filter", ours).strip()
    attached = json.loads(tenancy.engine.docker("network", "inspect", network))[0]["Containers"]
    for container in attached:
        tenancy.engine.docker("network", "disconnect", "-f", network, container)
    tenancy.engine.docker("network", "rm", network)


HANDS: dict[str, Callable[[Tenancy, Pod], None]] = {
    "kill": kill,
    "kill again": kill,
    "hang": _hang,
    "remove": remove,
    "pause": _pause,
    "stop by hand": _stop_by_hand,
    "other limits by hand": _loosen,
    "rename": _rename,
    "second container": _double,
    "remove the network": _cut_network,
    "new greeting": lambda tenancy, pod: tenancy.change(pod, greeting=f"Hello at {time.monotonic_ns()}"),
    "new reply": lambda tenancy, pod: tenancy.change(pod, reply=f"{time.monotonic_ns()}: {{message}}"),
    "new size": lambda tenancy, pod: tenancy.resize(pod, random.choice([96, 128, 160]) * 1024 * 1024),
    "restart": Tenancy.restart,
    "stop": Tenancy.stop,
    "start": Tenancy.start,
    "replace": Tenancy.replace,
}
