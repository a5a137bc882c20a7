"""What is done to a tenant's pods: by its operator, and by somebody with the engine's own tools."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable

from real.tenancy import IMAGE, Pod, Tenancy

MIB = 1024 * 1024
LOOSE = 300 * MIB
"""The limit of memory that somebody sets by hand."""
SIZES = (96 * MIB, 128 * MIB, 160 * MIB)
GOODBYE = 15.0
"""Seconds to wait for a pod's end. Its server may be away just then."""


class InVainError(RuntimeError):
    """There is nothing to do it to."""


def dealt(chance: random.Random, count: int) -> list[str]:
    """Give the names of so many things to do, by chance; each comes as often as any other, give or take one."""
    rounds = -(-count // len(HANDS))
    return [name for _ in range(rounds) for name in chance.sample(sorted(HANDS), len(HANDS))][:count]


def live(tenancy: Tenancy, seed: int, names: list[str]) -> list[str]:
    """Do these things, and say to whom, and which of them came to nothing."""
    tenancy.chance.seed(seed)
    told = []
    for name in names:
        pod = tenancy.chance.choice(tenancy.pods)
        told.append(f"{name} {pod.tenant}/{pod.name}")
        try:
            lend(tenancy, name, pod)
        except (RuntimeError, OSError, KeyError):
            # What it is to be done to may not be there just now, and that is fine.
            told[-1] += " (in vain)"
        time.sleep(tenancy.chance.choice([0.0, 0.1, 0.5, 1.0]))
    return told


def lend(tenancy: Tenancy, name: str, pod: Pod) -> None:
    """Do one thing, and count it if it came to something."""
    HANDS[name](tenancy, pod)
    tenancy.done[name] += 1


def _signal(tenancy: Tenancy, pod: Pod, number: signal.Signals) -> None:
    init = tenancy.platform.container(pod.id)["State"]["Pid"]
    if init <= 1:
        raise InVainError(pod.name)
    with open(f"/proc/{init}/task/{init}/children") as children:  # noqa: PTH123
        pids = children.read().split()
    if not pids:
        raise InVainError(pod.name)
    for pid in pids:
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


def _start_by_hand(tenancy: Tenancy, pod: Pod) -> None:
    pod = _stopped(tenancy, pod)
    deadline = time.monotonic() + GOODBYE
    while tenancy.platform.container(pod.id)["State"]["Running"]:
        if time.monotonic() > deadline:
            raise InVainError(pod.name)
        time.sleep(0.1)
    tenancy.engine.docker("start", tenancy.name(pod))


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


def _resize(tenancy: Tenancy, pod: Pod) -> None:
    tenancy.resize(pod, tenancy.chance.choice([size for size in SIZES if size != pod.memory]))


def _new_image(tenancy: Tenancy, pod: Pod) -> None:
    image = f"{IMAGE.partition(':')[0]}:made-{time.monotonic_ns()}"
    tenancy.engine.docker("tag", IMAGE, image)
    tenancy.change_image(pod, image)


def _restart(tenancy: Tenancy, pod: Pod) -> None:
    if pod.is_stopped:
        raise InVainError(pod.name)
    tenancy.restart(pod)


def _start(tenancy: Tenancy, pod: Pod) -> None:
    tenancy.start(_stopped(tenancy, pod))


def _stopped(tenancy: Tenancy, pod: Pod) -> Pod:
    """Give a pod that is to be stopped: the tenant's that is already, or else that one."""
    if found := [one for one in tenancy.pods if one.is_stopped]:
        return found[0]
    tenancy.stop(pod)
    return pod


HANDS: dict[str, Callable[[Tenancy, Pod], None]] = {
    "kill": kill,
    "kill again": kill,
    "hang": _hang,
    "remove": remove,
    "pause": _pause,
    "stop by hand": _stop_by_hand,
    "start by hand": _start_by_hand,
    "other limits by hand": _loosen,
    "rename": _rename,
    "second container": _double,
    "remove the network": _cut_network,
    "new greeting": lambda tenancy, pod: tenancy.change(pod, greeting=f"Hello at {time.monotonic_ns()}"),
    "new reply": lambda tenancy, pod: tenancy.change(pod, reply=f"{time.monotonic_ns()}: {{message}}"),
    "new size": _resize,
    "new image": _new_image,
    "restart": _restart,
    "stop": Tenancy.stop,
    "start": _start,
    "replace": Tenancy.replace,
}
