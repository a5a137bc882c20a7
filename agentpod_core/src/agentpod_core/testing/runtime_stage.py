"""A pod's worth of objects for the runtime contract, and patience for what takes its time."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from msgspec import Struct

from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.values.actions import (
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    RunOnce,
    StartContainer,
    StopContainer,
    WriteFiles,
)
from agentpod_core.values.names import container_name, network_name, owner_labels, volume_name
from agentpod_core.values.resources import Resources
from agentpod_core.values.workload import SECRETS_PATH, SECRETS_VOLUME, File, SecretRef, Volume, Workload
from agentpod_core.values.world import Container

PATIENCE = 30.0
SCRIPT = "exec sleep 600"
SECRET = SecretRef(key="contract/token")
SECRET_FILE = f"{SECRETS_PATH}/token"

VOLUMES = (
    Volume(name="data", path="/data"),
    Volume(name="plain", path="/plain"),
    Volume(name=SECRETS_VOLUME, path=SECRETS_PATH, backup=False),
)

T = TypeVar("T")


class Stage(Struct, frozen=True, kw_only=True):
    """One pod of tenant ``acme``, to be applied bit by bit. Everything in it can be replaced."""

    runtime: Runtime
    instance: str
    image: str
    subnet: str
    pod_id: str

    @property
    def container(self) -> str:
        """The container's name."""
        return container_name(self.instance, self.pod_id)

    @property
    def volume(self) -> str:
        """The name of the volume at ``/data``."""
        return volume_name(self.instance, self.pod_id, "data")

    @property
    def network(self) -> str:
        """The network's name: of the subnet, so that tests beside one another do not meet."""
        return network_name(self.instance, int(ipaddress.ip_network(self.subnet).network_address) // 64 % 10000)

    @property
    def address(self) -> str:
        """The container's fixed address."""
        return str(ipaddress.ip_network(self.subnet)[10])

    @property
    def other_subnet(self) -> str:
        """The upper half of the subnet."""
        return str(list(ipaddress.ip_network(self.subnet).subnets())[1])

    @property
    def other_gateway(self) -> str:
        """The gateway of the upper half."""
        return str(ipaddress.ip_network(self.other_subnet)[1])

    @property
    def material(self) -> dict[SecretRef, str]:
        """The value of the one secret; it needs quoting in JSON."""
        return {SECRET: 's"3cret'}

    def labels(self, spec_hash: str = "abc") -> dict[str, str]:
        """Give the container's labels."""
        return owner_labels(self.instance, pod_id=self.pod_id, tenant="acme", adapter="contract", spec_hash=spec_hash)

    def volume_labels(self) -> dict[str, str]:
        """Give the volumes' labels."""
        return owner_labels(self.instance, pod_id=self.pod_id, tenant="acme")

    async def make_network(self) -> None:
        """Make the tenant's network."""
        gateway = str(ipaddress.ip_network(self.subnet)[1])
        action = CreateNetwork(name=self.network, tenant="acme", subnet=self.subnet, gateway=gateway, reason="test")
        await self.runtime.apply(action, {})

    async def make_volume(self, name: str = "data") -> None:
        """Make one of the pod's volumes."""
        full = volume_name(self.instance, self.pod_id, name)
        await self.runtime.apply(CreateVolume(name=full, labels=self.volume_labels(), reason="test"), {})

    def creation(
        self, *, spec_hash: str = "abc", volumes: tuple[Volume, ...] = VOLUMES, **workload: Any
    ) -> CreateContainer:
        """Give the action that makes the container; ``workload`` are fields of it."""
        given: dict[str, Any] = {
            "command": ("sh", "-c", SCRIPT),
            "resources": Resources(memory=64 * 1024 * 1024, cpus=500, pids=64),
            "stop_timeout": 5.0,
        } | workload
        return CreateContainer(
            name=self.container,
            labels=self.labels(spec_hash),
            workload=Workload(image=self.image, volumes=volumes, **given),
            volumes={one.name: volume_name(self.instance, self.pod_id, one.name) for one in volumes},
            network=self.network,
            address=self.address,
            hostname="support-acme",
            reason="test",
        )

    def once(self, *command: str, timeout: float = PATIENCE) -> RunOnce:
        """Give the action that runs a command with what the container has."""
        like = self.creation()
        return RunOnce(
            name=f"{self.container}-once",
            labels=self.volume_labels(),
            workload=like.workload,
            volumes=like.volumes,
            command=command,
            timeout=timeout,
            reason="test",
            hostname=like.hostname,
        )

    async def create(self, *, spec_hash: str = "abc", **workload: Any) -> None:
        """Make network, volumes and container."""
        await self.make_network()
        for one in VOLUMES:
            await self.make_volume(one.name)
        await self.runtime.apply(self.creation(spec_hash=spec_hash, **workload), self.material)

    async def write(self, files: tuple[File, ...]) -> None:
        """Write files into the container's volumes."""
        action = WriteFiles(container=self.container, files=files, uid=1000, gid=1000, reason="test")
        await self.runtime.apply(action, self.material)

    async def start(self, *, files: tuple[File, ...] = (), **workload: Any) -> Container:
        """Make everything, write the files, start, and look."""
        await self.create(files=files, **workload)
        if files:
            await self.write(files)
        await self.runtime.apply(StartContainer(container=self.container, reason="test"), {})
        return await self.inspect()

    async def stop(self) -> None:
        """Stop the container."""
        await self.runtime.apply(StopContainer(container=self.container, timeout=5, reason="test"), {})

    async def inspect(self) -> Container:
        """Look deeply at the container, which exists."""
        found = await self.runtime.inspect(self.container)
        assert found is not None, f"{self.container} does not exist"
        return found

    async def when(self, accepts: Callable[[Container], bool]) -> Container:
        """Look until what is seen is accepted."""
        async with asyncio.timeout(PATIENCE):
            while not accepts(seen := await self.inspect()):  # noqa: ASYNC110 - only looking tells
                await asyncio.sleep(0.05)
        return seen

    async def run(self, *argv: str) -> bytes:
        """Run a command that succeeds, and give its output."""
        result = await self.runtime.exec(self.container, argv, timeout=PATIENCE, limit=10_000)
        assert result.code == 0, f"{argv}: {result}"
        return result.stdout

    async def read(self, path: str) -> bytes | None:
        """Read a file of the container."""
        return await self.runtime.read(self.container, path, limit=10_000)


async def first(lines: AsyncIterator[T], count: int) -> list[T]:
    """Give the first so many, or all where there are fewer."""
    found: list[T] = []
    async with asyncio.timeout(PATIENCE):
        try:
            async for one in lines:
                found.append(one)
                if len(found) == count:
                    break
        finally:
            await lines.aclose()  # type: ignore[attr-defined]
    return found


async def until(events: AsyncIterator[T], accepts: Callable[[T], bool]) -> T:
    """Give the first that is accepted."""
    async with asyncio.timeout(PATIENCE):
        while not accepts(one := await anext(events)):
            pass
    return one
