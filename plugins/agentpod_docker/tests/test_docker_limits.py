"""An engine that cannot grant what was asked for is asked once, whatever it then shows."""

from __future__ import annotations

from typing import Any

from agentpod_core import CreateContainer, Limits, Resources, UpdateLimits, Workload
from agentpod_docker.runtime import DockerRuntime

INSTANCE = "limitabc"


class Engine:
    """An engine whose kernel knows no limit of processes: it takes one and drops it."""

    processors = 2
    limits_swap = True
    is_local = False
    shares_files = False

    def __init__(self) -> None:
        self.host: dict[str, Any] = {}

    async def meet(self) -> None:
        """Be known from the beginning."""

    async def json(self, method: str, path: str, **asked: Any) -> Any:
        if path.endswith("/create"):
            self.host = {**asked["body"]["HostConfig"], "PidsLimit": None}
            return {"Id": "c1"}
        if path.endswith("/update"):
            self.host |= {**asked["body"], "PidsLimit": None}
            return {}
        return {
            "Id": "c1",
            "Name": "/pod",
            "Config": {"Image": "a:1", "Labels": {"agentpod.instance": INSTANCE}},
            "State": {"Status": "created", "ExitCode": 0},
            "HostConfig": self.host,
            "Mounts": [],
        }


async def test_a_limit_that_the_kernel_cannot_do_is_no_drift() -> None:
    """After a create and after an update the container shows the limits that were asked for, so nothing is repeated."""
    runtime = DockerRuntime()
    runtime._instance, runtime._opened = INSTANCE, Engine()  # type: ignore[assignment]
    resources = Resources(memory=2**26, cpus=500, pids=64)
    create = CreateContainer(
        name="pod",
        labels={},
        workload=Workload(image="a:1", resources=resources),
        volumes={},
        network="n",
        address="10.0.0.4",
        hostname="pod",
        reason="test",
    )
    await runtime.apply(create, {})
    assert (await runtime.inspect("pod")).limits == Limits(memory=2**26, cpus=500, pids=64)
    wanted = Limits(memory=2**27, cpus=64_000, pids=99, restart=False)
    await runtime.apply(UpdateLimits(container="pod", limits=wanted, reason="test"), {})
    assert (await runtime.inspect("pod")).limits == wanted


async def test_a_limit_that_somebody_changed_is_drift() -> None:
    """What is shown in place of what was asked for holds only as long as the engine shows that very thing."""
    runtime = DockerRuntime()
    engine = Engine()
    runtime._instance, runtime._opened = INSTANCE, engine  # type: ignore[assignment]
    wanted = Limits(memory=2**27, cpus=64_000, pids=99)
    await runtime.apply(UpdateLimits(container="pod", limits=wanted, reason="test"), {})
    engine.host |= {"Memory": 2**25, "MemorySwap": 2**25}
    assert (await runtime.inspect("pod")).limits == Limits(memory=2**25, cpus=2000)


async def test_swap_without_end_is_drift() -> None:
    """A memory limit that somebody opened towards swap is none; where the kernel counts no swap it stays what it is."""
    runtime = DockerRuntime()
    engine = Engine()
    runtime._instance, runtime._opened = INSTANCE, engine  # type: ignore[assignment]
    wanted = Limits(memory=2**27, cpus=500)
    await runtime.apply(UpdateLimits(container="pod", limits=wanted, reason="test"), {})
    engine.host["MemorySwap"] = -1
    assert (await runtime.inspect("pod")).limits == Limits(memory=None, cpus=500)
    engine.limits_swap = False
    assert (await runtime.inspect("pod")).limits == wanted
    engine.limits_swap = True
    await runtime.apply(UpdateLimits(container="pod", limits=wanted, reason="test"), {})
    assert (await runtime.inspect("pod")).limits == wanted
