"""A registry that takes its time, or refuses, and agents that end by themselves, in the hands of a test."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from agentpod_core import ContainerState, File, OnChange, PermanentError, TemporaryError
from agentpod_core.testing.fake_engine import FakeContainer
from agentpod_core.values.actions import ObtainImage
from agentpod_core.values.status import Phase

PULL = 600.0
NOWHERE = PermanentError("ImageNotFound", image="typo:1")
AWAY = TemporaryError("EngineUnreachable", detail="it does not answer")


def slow(rig: Any, *images: str) -> None:
    """Let the registry take its time for those images, the first of which it does not have in the end."""
    real = type(rig.runtime).apply

    async def apply(action: Any, material: Any) -> None:
        if isinstance(action, ObtainImage) and action.image in images:
            await asyncio.sleep(PULL)
            if action.image == images[0]:
                raise PermanentError("ImageNotFound", image=action.image)
            rig.engine.images.add(action.image)
        await real(rig.runtime, action, material)

    rig.runtime.apply = apply


def refused(rig: Any, error: BaseException, image: str = "typo:1") -> list[float]:
    """Let the registry refuse an image; gives when it was asked."""
    real, tries = rig.runtime.apply, []

    async def apply(action: Any, material: Any) -> None:
        if isinstance(action, ObtainImage) and action.image == image:
            tries.append(rig.clock.monotonic())
            raise error
        await real(action, material)

    rig.runtime.apply = apply
    return tries


async def with_image(rig: Any, pod_id: str, image: str) -> None:
    """Have a pod be of another image."""
    await rig.store.change_pod(pod_id, workload=replace(rig.workload, image=image))


async def well(rig: Any) -> str:
    """Give a pod that has been well for long."""
    pod_id = await rig.add()
    await rig.phase(pod_id, Phase.RUNNING)
    await asyncio.sleep(700)
    return pod_id


def ending(rig: Any, code: int, dies: list[bool]) -> None:
    """Let each agent of the first image end by itself with that code, from when ``dies`` says so."""
    begin = rig.engine.begin

    def begun(container: FakeContainer) -> None:
        begin(container)
        if dies and container.workload.image == "fake:1":
            asyncio.get_running_loop().call_later(2, end, container)

    def end(container: FakeContainer) -> None:
        if container.state is ContainerState.RUNNING:
            rig.engine.kill(container.name, code)

    rig.engine.begin = begun


def hiding(rig: Any) -> tuple[list[str], list[bool]]:
    """Give two lists: the engine hides the containers that the first names, and is away once the second is filled."""
    inspect, observe = rig.runtime.inspect, rig.runtime.observe
    hidden: list[str] = []
    is_away: list[bool] = []

    async def inspecting(name: str) -> Any:
        if is_away or name in hidden:
            raise AWAY
        return await inspect(name)

    async def observing() -> Any:
        if is_away:
            raise AWAY
        return await observe()

    rig.runtime.inspect, rig.runtime.observe = inspecting, observing
    return hidden, is_away


def refusing(rig: Any, refuses: Any, error: Exception) -> list[bool]:
    """Let the engine refuse what ``refuses`` says of an action, from when the list that is given is filled."""
    real, begun = rig.runtime.apply, []

    async def apply(action: Any, material: Any) -> None:
        if begun and refuses(action):
            raise error
        await real(action, material)

    rig.runtime.apply = apply
    return begun


def with_config(workload: Any, text: str) -> tuple[File, ...]:
    """Give a workload's files, those that need a restart with that text."""
    return tuple(
        replace(file, parts=(text,)) if file.on_change is OnChange.RESTART else file for file in workload.files
    )
