"""A runtime whose engine is memory: it passes the runtime contract and does what a test tells it.

``FakeRuntime().engine`` is the world with hands to disturb it (``fake_engine``). Two runtimes over
one engine are two platforms, or one platform before and after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import assert_never

import msgspec

from agentpod_core.errors import ConflictError, NotFoundError, PermanentError, TemporaryError
from agentpod_core.plugpoints.context import HostContext
from agentpod_core.plugpoints.link import ExecResult
from agentpod_core.plugpoints.runtimes import Progress, Runtime
from agentpod_core.testing.fake_engine import LIVING, FakeContainer, FakeEngine, FakeVolume
from agentpod_core.testing.fake_programs import Seen, run
from agentpod_core.values import actions
from agentpod_core.values.actions import Action
from agentpod_core.values.names import owner_labels
from agentpod_core.values.recipes import ImageRecipe
from agentpod_core.values.rendering import file_content, file_mode, secret_value
from agentpod_core.values.workload import SecretRef
from agentpod_core.values.world import (
    Container,
    ContainerState,
    EngineEvent,
    Limits,
    Protection,
    SeenNetwork,
    SeenVolume,
    Usage,
    World,
)


class FakeRuntime(Runtime):
    """An engine in memory; see ``FakeEngine`` for what a test can do to it."""

    name = "fake"
    title = "In-memory engine"

    def __init__(self, instance: str = "fakefake", engine: FakeEngine | None = None) -> None:
        self.instance = instance
        self.engine = engine or FakeEngine()

    async def open(self, context: HostContext) -> None:
        """Take instance and clock from the host."""
        self.instance = context.instance
        self.engine.clock = context.clock

    async def observe(self) -> World:
        """List everything of this instance."""
        await self._answer()
        return World(
            containers=tuple(self._seen(one) for one in self.engine.containers.values() if self._is_ours(one.labels)),
            volumes=tuple(
                SeenVolume(name=name, labels=dict(one.labels))
                for name, one in self.engine.volumes.items()
                if self._is_ours(one.labels)
            ),
            networks=tuple(one for one in self.engine.networks.values() if self._is_ours(one.labels)),
            protection=self.engine.protection,
        )

    async def inspect(self, name: str) -> Container | None:
        """Look deeply at one container."""
        await self._answer()
        found = self._find(name)
        return self._seen(found, deep=True) if found else None

    async def has_image(self, image: str) -> bool:
        """Say whether the engine has that image."""
        await self._answer()
        return image in self.engine.images

    async def apply(self, action: Action, material: Mapping[SecretRef, str]) -> None:
        """Make one change, or fail as the test asked."""
        await self._answer()
        end = self.engine.begin_apply(action)
        self._change(action, material)
        end()

    async def watch(self) -> AsyncIterator[EngineEvent]:
        """Follow what happens to our objects."""
        queue: asyncio.Queue[EngineEvent] = asyncio.Queue()
        self.engine.watchers.append(queue)
        try:
            yield EngineEvent(kind="resync", at=self.engine.now())
            while True:
                yield await queue.get()
        finally:
            self.engine.watchers.remove(queue)

    async def logs(
        self, container: str, *, tail: int | None = None, follow: bool = False, since: datetime | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the container's output; ``since`` is not looked at, as lines carry no time here."""
        del since
        await self._answer()
        found = self._get(container)
        position = 0 if tail is None else max(0, len(found.output) - tail)
        while True:
            changed = found.changed
            for line in found.output[position:]:
                yield line
            position = len(found.output)
            if not follow or found.state not in LIVING:
                return
            await changed.wait()

    async def stats(self, container: str) -> Usage | None:
        """Give the engine's ``usage``; None when the container does not run."""
        await self._answer()
        found = self._find(container)
        if found is None or found.state is not ContainerState.RUNNING:
            return None
        return msgspec.structs.replace(self.engine.usage, limit=found.limits.memory)

    async def exec(
        self,
        container: str,
        argv: tuple[str, ...],
        *,
        timeout: float,  # noqa: ASYNC109 - part of the contract
        limit: int,
    ) -> ExecResult:
        """Run one of the fake programs."""
        await self._answer()
        found = self._get(container)
        if found.state is not ContainerState.RUNNING:
            raise TemporaryError("ContainerNotRunning", container=container)
        outcome = run(argv, self.engine.surroundings(found))
        try:
            async with asyncio.timeout(timeout):
                await asyncio.sleep(min(outcome.seconds, 3600))
        except TimeoutError:
            raise TemporaryError("Timeout") from None
        return ExecResult(
            code=outcome.code, stdout=b"".join(outcome.stdout)[:limit], stderr=b"".join(outcome.stderr)[:limit]
        )

    async def read(self, container: str, path: str, *, limit: int) -> bytes | None:
        """Read a file from one of the container's volumes."""
        await self._answer()
        seen = self.engine.look(self._get(container), path)
        if seen is not None and len(seen.content) > limit:
            raise PermanentError("FileTooLarge", path=path, limit=limit)
        return seen.content if seen else None

    async def build(self, recipe: ImageRecipe, progress: Progress) -> None:
        """Have the image."""
        await self._answer()
        progress(f"built {recipe.image}")
        self.engine.images.add(recipe.image)

    async def images(self) -> list[str]:
        """List the images that are there."""
        await self._answer()
        return sorted(self.engine.images)

    def _change(self, action: Action, material: Mapping[SecretRef, str]) -> None:  # noqa: C901, PLR0912 - one line each
        match action:
            case actions.CreateNetwork():
                self._create_network(action)
            case actions.RemoveNetwork():
                self._remove_network(action)
            case actions.ProtectHost():
                self.engine.protection = Protection(active=True)
            case actions.ObtainImage():
                if action.image not in self.engine.images | self.engine.pullable:
                    raise PermanentError("ImageNotFound", image=action.image)
                self.engine.images.add(action.image)
            case actions.CreateVolume():
                volume = self.engine.volumes.setdefault(action.name, FakeVolume(dict(action.labels)))
                if volume.labels != action.labels:
                    raise ConflictError("NameTaken", name=action.name)
            case actions.RemoveVolume():
                self._remove_volume(action)
            case actions.CreateContainer():
                self._create_container(action, material)
            case actions.WriteFiles():
                self._write_files(action, material)
            case actions.StartContainer():
                self._start(self._get(action.container))
            case actions.StopContainer():
                self._stop(self._find(action.container))
            case actions.UpdateLimits():
                self._get(action.container).limits = action.limits
            case actions.RemoveContainer():
                found = self._find(action.container)
                if found:
                    self.engine.remove_by_hand(found.name)
            case _:
                assert_never(action)

    def _create_network(self, action: actions.CreateNetwork) -> None:
        there = self.engine.networks.get(action.name)
        if there is not None:
            if not self._is_ours(there.labels):
                raise ConflictError("NameTaken", name=action.name)
            if there.subnet != action.subnet:
                raise ConflictError("ObjectDiffers", name=action.name)
            return
        if self.engine.overlaps(action.subnet):
            raise ConflictError("SubnetTaken", subnet=action.subnet)
        labels = owner_labels(self.instance, tenant=action.tenant)
        self.engine.networks[action.name] = SeenNetwork(
            id=self.engine.next_id(), name=action.name, subnet=action.subnet, labels=labels
        )

    def _remove_network(self, action: actions.RemoveNetwork) -> None:
        there = self.engine.networks.get(action.name)
        if there is None or not self._is_ours(there.labels):
            return
        if any(one.network == action.name and one.state in LIVING for one in self.engine.containers.values()):
            raise TemporaryError("ObjectInUse", name=action.name)
        del self.engine.networks[action.name]

    def _remove_volume(self, action: actions.RemoveVolume) -> None:
        there = self.engine.volumes.get(action.name)
        if there is None or not self._is_ours(there.labels):
            return
        if any(action.name in one.volumes.values() for one in self.engine.containers.values()):
            raise TemporaryError("ObjectInUse", name=action.name)
        del self.engine.volumes[action.name]

    def _create_container(self, action: actions.CreateContainer, material: Mapping[SecretRef, str]) -> None:
        there = self.engine.containers.get(action.name)
        if there is not None:
            if not self._is_ours(there.labels):
                raise ConflictError("NameTaken", name=action.name)
            if there.labels.get("agentpod.spec-hash") != action.labels.get("agentpod.spec-hash"):
                raise ConflictError("ObjectDiffers", name=action.name)
            return
        workload = action.workload
        if workload.image not in self.engine.images:
            raise PermanentError("ImageNotFound", image=workload.image)
        if action.network not in self.engine.networks:
            raise TemporaryError("NetworkMissing", name=action.network)
        missing = [action.volumes[one.name] for one in workload.volumes]
        if any(name not in self.engine.volumes for name in missing):
            raise PermanentError("EngineRefused", message="no such volume")
        self.engine.containers[action.name] = FakeContainer(
            id=self.engine.next_id(),
            name=action.name,
            labels=dict(action.labels),
            workload=workload,
            volumes=dict(action.volumes),
            network=action.network,
            address=action.address,
            hostname=action.hostname,
            limits=Limits(memory=workload.resources.memory, cpus=workload.resources.cpus, pids=workload.resources.pids),
            env={
                name: secret_value(value, material) if isinstance(value, SecretRef) else value
                for name, value in workload.env.items()
            },
            hosts=dict(action.hosts),
        )

    def _write_files(self, action: actions.WriteFiles, material: Mapping[SecretRef, str]) -> None:
        container = self._get(action.container)
        for file in action.files:
            if file.once and self.engine.look(container, file.path) is not None:
                continue
            seen = Seen(file_content(file, material), file_mode(file), action.uid, action.gid)
            try:
                self.engine.put(container, file.path, seen)
            except KeyError:
                raise PermanentError("FileOutsideVolumes", path=file.path, where="one of the volumes") from None

    def _start(self, container: FakeContainer) -> None:
        if container.state is ContainerState.PAUSED:
            container.state = ContainerState.RUNNING
            self.engine.happened("unpause", container)
        if container.state in LIVING:
            return
        if container.network not in self.engine.networks:
            raise TemporaryError("NetworkMissing", name=container.network)
        for other in self.engine.containers.values():
            if other is not container and other.state in LIVING and other.address == container.address:
                raise ConflictError("AddressTaken", address=container.address)
        container.restarts = 0
        self.engine.begin(container)

    def _stop(self, container: FakeContainer | None) -> None:
        if container is not None and container.state in LIVING:
            container.end_wanted = True
            self.engine.end(container, 143)

    async def _answer(self) -> None:
        # A real engine lets others run while it answers; a fake that never does would hide races.
        await asyncio.sleep(0)
        if not self.engine.reachable:
            raise TemporaryError("EngineUnreachable")

    def _is_ours(self, labels: Mapping[str, str]) -> bool:
        return labels.get("agentpod.instance") == self.instance

    def _find(self, name: str) -> FakeContainer | None:
        for one in self.engine.containers.values():
            if name in {one.id, one.name} and self._is_ours(one.labels):
                return one
        return None

    def _get(self, name: str) -> FakeContainer:
        found = self._find(name)
        if found is None:
            raise NotFoundError("ContainerNotFound", container=name)
        return found

    def _seen(self, container: FakeContainer, *, deep: bool = False) -> Container:
        has_address = container.state in LIVING
        shallow = Container(
            id=container.id,
            name=container.name,
            state=container.state,
            labels=dict(container.labels),
            network=container.network,
            address=container.address if has_address else None,
            image=container.workload.image,
        )
        if not deep:
            return shallow
        return msgspec.structs.replace(
            shallow,
            deep=True,
            exit_code=container.exit_code,
            oom_killed=container.oom_killed,
            restarts=container.restarts,
            started_at=container.started_at,
            finished_at=container.finished_at,
            limits=container.limits,
        )
