"""Makes, starts, stops, changes and removes containers, after a look whether they are ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from agentpod_core import (
    AgentPodError,
    ConflictError,
    Container,
    CreateContainer,
    NotFoundError,
    PermanentError,
    RemoveContainer,
    SecretRef,
    StartContainer,
    StopContainer,
    TemporaryError,
    UpdateLimits,
)
from agentpod_docker.engine import TIMEOUT, Engine, Refused
from agentpod_docker.files import own_volumes
from agentpod_docker.making import container_body, update_body
from agentpod_docker.reading import INSTANCE, inspected_container

_ENDED = ("exited", "dead")


async def inspect_raw(engine: Engine, instance: str, name: str) -> dict[str, Any] | None:
    """Look at a container; None where there is none or it is not ours."""
    return await _inspected(engine, instance, name)


async def inspect_surely(engine: Engine, instance: str, name: str) -> dict[str, Any] | None:
    """Look at a container; that it has ended is said only by an engine that is not being stopped itself.

    Such a one ends whatever runs, and shows that on the connections that it has, long before it is gone.
    """
    raw = await _inspected(engine, instance, name)
    if raw is None or raw["State"]["Status"] not in _ENDED:
        return raw
    return await _inspected(engine, instance, name, is_fresh=True)


async def _inspected(engine: Engine, instance: str, name: str, *, is_fresh: bool = False) -> dict[str, Any] | None:
    try:
        raw: dict[str, Any] = await engine.json("GET", f"containers/{name}/json", is_fresh=is_fresh)
    except Refused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return raw if (raw["Config"].get("Labels") or {}).get(INSTANCE) == instance else None


async def inspect_ours(engine: Engine, instance: str, name: str) -> dict[str, Any]:
    """Look at a container of ours.

    Raises:
        NotFoundError: ``ContainerNotFound``.
    """
    raw = await inspect_raw(engine, instance, name)
    if raw is None:
        raise NotFoundError("ContainerNotFound", container=name)
    return raw


async def create_container(
    engine: Engine, instance: str, action: CreateContainer, material: Mapping[SecretRef, str]
) -> Container | None:
    """Make a container and let its user own its volumes; None where it was there already.

    Raises:
        ConflictError: ``NameTaken``, ``ObjectDiffers``.
        PermanentError: ``ImageNotFound``, ``SecretMissing``.
        TemporaryError: ``NetworkMissing``.
    """
    body = container_body(action, material, engine.processors)
    is_new = True
    try:
        made = await engine.json("POST", "containers/create", params={"name": action.name}, body=body)
        container: str = made["Id"]
    except Refused as refused:
        if refused.status == HTTPStatus.CONFLICT:
            container, is_new = await _same(engine, instance, action), False
        elif refused.status == HTTPStatus.NOT_FOUND and refused.mentions("No such image"):
            raise PermanentError("ImageNotFound", image=action.workload.image) from None
        else:
            raise refused.as_error() from None
    raw = await inspect_ours(engine, instance, container)
    await own_volumes(engine, raw, action.workload)
    return inspected_container(raw, limits_swap=engine.limits_swap) if is_new else None


async def start_container(engine: Engine, instance: str, action: StartContainer) -> None:
    """Start or unpause a container.

    Raises:
        NotFoundError: ``ContainerNotFound``.
        ConflictError: ``AddressTaken``.
        TemporaryError: ``NetworkMissing``.
    """
    raw = await inspect_ours(engine, instance, action.container)
    verb = "unpause" if raw["State"]["Paused"] else "start"
    try:
        await engine.json("POST", f"containers/{raw['Id']}/{verb}")
    except Refused as refused:
        if not _lacks_network(refused):
            raise await _start_error(engine, refused, raw) from None
    else:
        return
    await _move_to_network(engine, raw)
    try:
        await engine.json("POST", f"containers/{raw['Id']}/{verb}")
    except Refused as refused:
        raise await _start_error(engine, refused, raw) from None


async def stop_container(engine: Engine, instance: str, action: StopContainer) -> None:
    """Stop a container; one that is absent has stopped."""
    raw = await inspect_raw(engine, instance, action.container)
    if raw is None:
        return
    seconds = math.ceil(action.timeout)
    try:
        await engine.json("POST", f"containers/{raw['Id']}/stop", params={"t": seconds}, seconds=seconds + TIMEOUT)
    except Refused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise refused.as_error() from None


async def update_limits(engine: Engine, instance: str, action: UpdateLimits) -> Container:
    """Change limits and restart policy; give the container as it is then."""
    raw = await inspect_ours(engine, instance, action.container)
    container: str = raw["Id"]
    try:
        await engine.json("POST", f"containers/{container}/update", body=update_body(action.limits, engine.processors))
    except Refused as refused:
        raise refused.as_error() from None
    raw = await inspect_ours(engine, instance, container)
    return inspected_container(raw, limits_swap=engine.limits_swap)


async def remove_container(engine: Engine, instance: str, action: RemoveContainer) -> None:
    """Remove a container with the nameless volumes of its image; named ones stay."""
    raw = await inspect_raw(engine, instance, action.container)
    if raw is not None:
        await remove(engine, raw["Id"])


async def remove(engine: Engine, container: str) -> None:
    """Remove a container that is known to be ours, by its id."""
    try:
        await engine.json("DELETE", f"containers/{container}", params={"force": True, "v": True})
    except Refused as refused:
        if refused.status == HTTPStatus.CONFLICT and refused.mentions("already in progress"):
            await _until_removed(engine, container)
        elif refused.status != HTTPStatus.NOT_FOUND:
            raise refused.as_error() from None


async def _same(engine: Engine, instance: str, action: CreateContainer) -> str:
    raw = await inspect_raw(engine, instance, action.name)
    if raw is None:
        raise ConflictError("NameTaken", name=action.name)
    there = inspected_container(raw)
    if there.spec_hash != action.labels.get("agentpod.spec-hash", ""):
        raise ConflictError("ObjectDiffers", name=action.name)
    return there.id


async def _until_removed(engine: Engine, container: str) -> None:
    try:
        await engine.json("POST", f"containers/{container}/wait", params={"condition": "removed"})
    except Refused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise refused.as_error() from None


async def _move_to_network(engine: Engine, raw: Mapping[str, Any]) -> None:
    """Give a stopped container its network again: it remembers the id of one that was made anew since."""
    name, container = raw["HostConfig"]["NetworkMode"], raw["Id"]
    endpoint = {"IPAMConfig": {"IPv4Address": _address(raw)}}
    try:
        await engine.json("POST", f"networks/{name}/disconnect", body={"Container": container, "Force": True})
        await engine.json("POST", f"networks/{name}/connect", body={"Container": container, "EndpointConfig": endpoint})
    except Refused as refused:
        raise await _start_error(engine, refused, raw) from None


def _lacks_network(refused: Refused) -> bool:
    return refused.status == HTTPStatus.NOT_FOUND and refused.mentions("network")


async def _start_error(engine: Engine, refused: Refused, raw: Mapping[str, Any]) -> AgentPodError:
    if refused.mentions("Address already in use"):
        address = _address(raw)
        return ConflictError("AddressTaken", address=address, holder=await _holder(engine, raw, address))
    if _lacks_network(refused):
        return TemporaryError("NetworkMissing", name=raw["HostConfig"]["NetworkMode"])
    return refused.as_error()


async def _holder(engine: Engine, raw: Mapping[str, Any], address: str) -> str:
    """Name the container that has an address of the network; the address itself where nobody has it any more."""
    network = await engine.json("GET", f"networks/{raw['HostConfig']['NetworkMode']}")
    there = (network.get("Containers") or {}).values()
    return next((one["Name"] for one in there if one["IPv4Address"].partition("/")[0] == address), address)


def _address(raw: Mapping[str, Any]) -> str:
    place = raw["NetworkSettings"]["Networks"].get(raw["HostConfig"]["NetworkMode"]) or {}
    return str((place.get("IPAMConfig") or {}).get("IPv4Address", ""))
