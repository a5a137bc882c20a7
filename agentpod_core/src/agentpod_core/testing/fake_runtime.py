"""A runtime whose engine is memory: it passes the runtime contract and does what a test tells it.

``FakeRuntime().engine`` is the world with hands to disturb it (``fake_engine``). Two runtimes over
one engine are two platforms, or one platform before and after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

import msgspec

from agentpod_core.errors import PermanentError, TemporaryError
from agentpod_core.plugpoints.context import HostContext
from agentpod_core.plugpoints.link import ExecResult
from agentpod_core.plugpoints.runtimes import Progress, Runtime
from agentpod_core.testing.fake_changes import Changes
from agentpod_core.testing.fake_engine import LIVING, FakeContainer, FakeEngine
from agentpod_core.testing.fake_programs import run
from agentpod_core.values.actions import Action
from agentpod_core.values.recipes import ImageRecipe
from agentpod_core.values.workload import SecretRef
from agentpod_core.values.world import (
    Container,
    ContainerState,
    EngineEvent,
    PodWorld,
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

    @property
    def _ours(self) -> Changes:
        return Changes(self.engine, self.instance)

    async def open(self, context: HostContext) -> None:
        """Take instance and clock from the host."""
        self.instance = context.instance
        self.engine.clock = context.clock

    async def observe(self) -> World:
        """List the containers and networks of this instance."""
        await self._answer()
        ours = self._ours
        return World(
            containers=self._listed(),
            networks=tuple(one for one in self.engine.networks.values() if ours.is_ours(one.labels)),
            protection=self.engine.protection,
        )

    async def observe_pod(self, pod_id: str) -> PodWorld:
        """List what there is of one pod."""
        await self._answer()
        ours = self._ours
        return PodWorld(
            containers=tuple(one for one in self._listed() if one.pod_id == pod_id),
            volumes=tuple(
                SeenVolume(name=name, labels=one.labels)
                for name, one in self.engine.volumes.items()
                if ours.is_ours(one.labels) and one.labels.get("agentpod.pod-id") == pod_id
            ),
        )

    async def inspect(self, name: str) -> Container | None:
        """Look deeply at one container."""
        await self._answer()
        found = self._ours.find(name)
        return self._seen(found, deep=True) if found else None

    async def has_image(self, image: str) -> bool:
        """Say whether the engine has that image."""
        await self._answer()
        return image in self.engine.images

    async def apply(self, action: Action, material: Mapping[SecretRef, str]) -> None:
        """Make one change, or fail as the test asked."""
        await self._answer()
        end = self.engine.begin_apply(action)
        self._ours.make(action, material)
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
        found = self._ours.get(container)
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
        found = self._ours.find(container)
        if found is None or found.state is not ContainerState.RUNNING:
            return None
        return msgspec.structs.replace(self.engine.usage, limit=found.limits.memory)

    async def storage(self) -> dict[str, int]:
        """Add up the files in the volumes of each pod."""
        await self._answer()
        found: dict[str, int] = {}
        for volume in self.engine.volumes.values():
            if self._ours.is_ours(volume.labels) and (pod_id := volume.labels.get("agentpod.pod-id")):
                size = sum(len(one.content) for one in volume.files.values())
                found[pod_id] = found.get(pod_id, 0) + size
        return found

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
        found = self._ours.get(container)
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
        seen = self.engine.look(self._ours.get(container), path)
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

    async def _answer(self) -> None:
        # A real engine lets others run while it answers; a fake that never does would hide races.
        await asyncio.sleep(0)
        if not self.engine.reachable:
            raise TemporaryError("EngineUnreachable")

    def _listed(self) -> tuple[Container, ...]:
        ours = self._ours
        return tuple(self._seen(one) for one in self.engine.containers.values() if ours.is_ours(one.labels))

    def _seen(self, container: FakeContainer, *, deep: bool = False) -> Container:
        has_address = container.state in LIVING
        shallow = Container(
            id=container.id,
            name=container.name,
            state=container.state,
            labels=container.labels,
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
