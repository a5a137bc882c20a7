"""The plug point itself: joins the parts, and keeps the engine's refusals and secrets out of what callers see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, assert_never

import msgspec

from agentpod_core import (
    Action,
    AgentPodError,
    Clock,
    Container,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    EngineEvent,
    ExecResult,
    HostContext,
    ImageRecipe,
    Limits,
    ObtainImage,
    PluginError,
    PodWorld,
    Progress,
    ProtectHost,
    Protection,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    RunOnce,
    Runtime,
    SecretRef,
    StartContainer,
    StopContainer,
    TemporaryError,
    UpdateLimits,
    Usage,
    World,
    WriteFiles,
)
from agentpod_docker import build, commands, containers, firewall, images, networks, once, streams, volumes
from agentpod_docker.base_images import Patience
from agentpod_docker.engine import Engine, Refused, filters
from agentpod_docker.files import write_files
from agentpod_docker.reading import INSTANCE, POD, inspected_container, listed_container, seen_network, seen_volume
from agentpod_docker.settings import DockerSettings
from agentpod_docker.usage import Meter


class DockerRuntime(Runtime):
    """Runs containers on one Docker Engine of at least 20.10."""

    name = "docker"
    title = "Docker"
    settings_type = DockerSettings

    def __init__(self) -> None:
        self._opened: Engine | None = None
        self._instance = ""
        self._folder = Path()
        self._settings = DockerSettings()
        self._clock: Clock | None = None
        self._meter = Meter()
        # What was asked for, and what the engine shows for it where that is something else, by container id.
        self._limits: dict[str, tuple[Limits, Limits]] = {}

    async def open(self, context: HostContext) -> None:
        """Connect; an engine that does not answer yet is asked again by whatever needs it.

        Raises:
            PermanentError: ``EngineTooOld``.
        """
        self._instance, self._folder, self._clock = context.instance, context.folder, context.clock
        if isinstance(context.settings, DockerSettings):
            self._settings = context.settings
        with _in_our_words():
            self._opened = Engine.at(self._settings.url)
            with suppress(TemporaryError):
                await self._opened.meet()

    async def close(self) -> None:
        """Let go of the engine."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def observe(self) -> World:
        """List the containers and networks of this instance."""
        ours = filters(label=[f"{INSTANCE}={self._instance}"])
        engine = self._engine
        with _in_our_words():
            found, bridged, protection = await asyncio.gather(
                self._of_pods(),
                engine.json("GET", "networks", params=ours),
                self._protection(),
            )
        world = World(
            containers=tuple(listed_container(raw) for raw in found),
            networks=tuple(seen_network(raw) for raw in bridged),
            protection=protection,
        )
        alive = {container.id for container in world.containers}
        self._limits = {one: limits for one, limits in self._limits.items() if one in alive}
        return world

    async def observe_pod(self, pod_id: str) -> PodWorld:
        """List the containers and volumes of one pod."""
        labels = [f"{INSTANCE}={self._instance}", f"{POD}={pod_id}"]
        with _in_our_words():
            found, stored = await asyncio.gather(
                self._listed(labels), self._engine.json("GET", "volumes", params=filters(label=labels))
            )
        return PodWorld(
            containers=tuple(listed_container(raw) for raw in found),
            volumes=tuple(seen_volume(raw) for raw in stored["Volumes"] or ()),
        )

    async def inspect(self, name: str) -> Container | None:
        """Look deeply at one container."""
        with _in_our_words():
            raw = await containers.inspect_surely(self._engine, self._instance, name)
        if raw is None:
            return None
        seen = inspected_container(raw, limits_swap=self._engine.limits_swap)
        asked, shown = self._limits.get(seen.id, (None, None))
        return msgspec.structs.replace(seen, limits=asked) if asked and seen.limits == shown else seen

    async def has_image(self, image: str) -> bool:
        """Say whether the engine has that image."""
        with _in_our_words():
            return await images.has_image(self._engine, image)

    async def apply(self, action: Action, material: Mapping[SecretRef, str]) -> None:
        """Make one change."""
        with _in_our_words(material.values()):
            await self._change(action, material)

    async def watch(self) -> AsyncIterator[EngineEvent]:
        """Follow what happens to our containers."""
        if self._clock is None:
            raise PluginError("PluginNotOpen", name=self.name)
        async with aclosing(streams.watch(self._engine, self._instance, self._clock)) as events:  # type: ignore[type-var]
            async for event in events:
                yield event

    async def logs(
        self, container: str, *, tail: int | None = None, follow: bool = False, since: datetime | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the container's output in lines."""
        with _in_our_words():
            raw = await containers.inspect_ours(self._engine, self._instance, container)
            lines = streams.logs(self._engine, raw["Id"], tail=tail, follow=follow, since=since)
            async with aclosing(lines):  # type: ignore[type-var]
                async for line in lines:
                    yield line

    async def stats(self, container: str) -> Usage | None:
        """Measure one container."""
        with _in_our_words():
            raw = await containers.inspect_raw(self._engine, self._instance, container)
            if raw is None or raw["State"]["Status"] != "running":
                return None
            return await self._meter.measure(self._engine, raw["Id"], inspected_container(raw).limits.memory)  # type: ignore[union-attr]

    async def folders(self) -> tuple[str, ...]:
        """Name the engine's own folder, where it is on this machine."""
        with _in_our_words():
            found = (await self._engine.json("GET", "info")).get("DockerRootDir")
        return (found,) if found and await asyncio.to_thread(Path(found).is_dir) else ()

    async def storage(self) -> dict[str, int]:
        """Measure the volumes of every pod."""
        with _in_our_words():
            return await volumes.sizes(self._engine, self._instance)

    async def exec(
        self,
        container: str,
        argv: tuple[str, ...],
        *,
        timeout: float,  # noqa: ASYNC109 - part of the contract
        limit: int,
    ) -> ExecResult:
        """Run a command as the container's user."""
        with _in_our_words():
            raw = await containers.inspect_ours(self._engine, self._instance, container)
            return await commands.run(self._engine, raw["Id"], argv, seconds=timeout, limit=limit)

    async def read(self, container: str, path: str, *, limit: int) -> bytes | None:
        """Read one file."""
        with _in_our_words():
            raw = await containers.inspect_ours(self._engine, self._instance, container)
            return await commands.read(self._engine, raw["Id"], path, limit=limit)

    async def build(self, recipe: ImageRecipe, progress: Progress) -> None:
        """Build an image; quick where nothing changed."""
        with _in_our_words():
            patience = Patience(answer=self._settings.base_timeout, pull=self._settings.pull_timeout)
            await build.build(self._engine, recipe, progress, folder=self._folder, patience=patience)

    async def images(self) -> list[str]:
        """List the images that were built here or that our containers run."""
        with _in_our_words():
            listed = await self._of_pods()
            return await images.platform_images(self._engine, {listed_container(raw).image for raw in listed})

    @property
    def _engine(self) -> Engine:
        if self._opened is None:
            raise PluginError("PluginNotOpen", name=self.name)
        return self._opened

    async def _of_pods(self) -> list[dict[str, Any]]:
        """List the containers of this instance's pods."""
        return await self._listed([f"{INSTANCE}={self._instance}", POD])

    async def _listed(self, labels: list[str]) -> list[dict[str, Any]]:
        query = filters(label=labels) | {"all": "1"}
        # One that is being stopped shows nothing: neither what it ends, nor as if one container alone were not shown.
        found: list[dict[str, Any]] = await self._engine.json("GET", "containers/json", params=query, is_fresh=True)
        return found

    async def _change(self, action: Action, material: Mapping[SecretRef, str]) -> None:  # noqa: C901, PLR0912 - one line each
        engine, instance = self._engine, self._instance
        # What it has decides what may be asked of it.
        await engine.meet()
        match action:
            case CreateNetwork():
                await networks.create_network(engine, instance, action)
            case RemoveNetwork():
                await networks.remove_network(engine, instance, action)
            case ProtectHost():
                if self._protects:
                    await firewall.protect(instance, action.ports)
            case ObtainImage():
                await images.obtain(engine, action.image, self._settings.pull_timeout)
            case CreateVolume():
                await volumes.create_volume(engine, action)
            case RemoveVolume():
                await volumes.remove_volume(engine, instance, action)
            case CreateContainer():
                if made := await containers.create_container(engine, instance, action, material):
                    asked = action.workload.resources
                    self._remember(made, Limits(memory=asked.memory, cpus=asked.cpus, pids=asked.pids))
            case WriteFiles():
                raw = await containers.inspect_ours(engine, instance, action.container)
                await write_files(engine, raw, action, material)
            case StartContainer():
                await containers.start_container(engine, instance, action)
            case StopContainer():
                await containers.stop_container(engine, instance, action)
            case UpdateLimits():
                self._remember(await containers.update_limits(engine, instance, action), action.limits)
            case RemoveContainer():
                await containers.remove_container(engine, instance, action)
            case RunOnce():
                await once.run_once(engine, instance, action, material)
            case _:
                assert_never(action)

    def _remember(self, made: Container, asked: Limits) -> None:
        """Keep what was asked for: the engine cuts what is too much, and drops what its kernel cannot do."""
        if made.limits is not None and made.limits != asked:
            self._limits[made.id] = asked, made.limits

    @property
    def _protects(self) -> bool:
        return self._settings.protect_host and self._engine.is_local

    async def _protection(self) -> Protection:
        if not self._engine.is_local:
            return Protection(active=None, reason="EngineIsRemote")
        if not self._settings.protect_host:
            return Protection(active=False, reason="ProtectionTurnedOff")
        return await firewall.protection(self._instance)


@contextmanager
def _in_our_words(secrets: Any = ()) -> Iterator[None]:
    """Put what is left of the engine's refusals into our errors, without any secret's value."""
    try:
        yield
    except Refused as refused:
        raise _without(refused.as_error(), secrets) from None
    except AgentPodError as error:
        raise _without(error, secrets) from None


def _without(error: AgentPodError, secrets: Any) -> AgentPodError:
    for secret in secrets:
        if not secret:
            continue
        error.params = {
            name: value.replace(secret, "***") if isinstance(value, str) else value
            for name, value in error.params.items()
        }
        if error.detail:
            error.detail = error.detail.replace(secret, "***")
    return error
