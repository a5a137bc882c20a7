"""Makes and removes tenants' bridges.

Names do not lock on this engine (it accepts two networks of one name); the subnet does. The engine
also accepts a subnet over an existing host route, so that is checked here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from http import HTTPStatus
from pathlib import Path

from agentpod_core import ConflictError, CreateNetwork, RemoveNetwork, SeenNetwork, TemporaryError, owner_labels
from agentpod_docker.engine import Engine, Refused, filters
from agentpod_docker.reading import INSTANCE, seen_network

ROUTES = Path("/proc/net/route")
TRIES = 3
PAUSE = 0.5

logger = logging.getLogger(__name__)


async def create_network(engine: Engine, instance: str, action: CreateNetwork) -> None:
    """Make a bridge whose interface bears its name.

    Raises:
        ConflictError: ``NameTaken``, ``SubnetTaken``, ``ObjectDiffers``.
    """
    if await _is_there(engine, instance, action):
        return
    if engine.is_local and (interface := route_in_the_way(action.subnet, action.name, _routes())):
        holder = await _holder(engine, action.subnet) or interface
        raise ConflictError("SubnetTaken", subnet=action.subnet, holder=holder)
    body = {
        "Name": action.name,
        "CheckDuplicate": True,
        "Driver": "bridge",
        "IPAM": {"Driver": "default", "Config": [{"Subnet": action.subnet, "Gateway": action.gateway}]},
        "Options": {"com.docker.network.bridge.name": action.name},
        "Labels": owner_labels(instance, tenant=action.tenant),
    }
    try:
        await engine.json("POST", "networks/create", body=body)
    except Refused as refused:
        # Somebody was quicker: ourselves in another pass, or a stranger.
        if refused.mentions("overlaps", "already exists") and await _is_there(engine, instance, action):
            return
        if refused.mentions("overlaps"):
            holder = await _holder(engine, action.subnet) or action.subnet
            raise ConflictError("SubnetTaken", subnet=action.subnet, holder=holder) from None
        if refused.mentions("already exists"):
            raise ConflictError("NameTaken", name=action.name) from None
        raise refused.as_error() from None


async def remove_network(engine: Engine, instance: str, action: RemoveNetwork) -> None:
    """Remove our networks of that name.

    Where many containers go at once, the engine may lose count of those in a network, and keeps it until the engine
    itself starts again (moby/moby#42119). Nobody is to wait for that: such a network is left behind, empty, and
    ``create_network`` finds it where its name is wanted again.

    Raises:
        TemporaryError: ``ObjectInUse``, containers are still in it.
    """
    for network in await _named(engine, action.name):
        if network.labels.get(INSTANCE) != instance:
            continue
        for is_last in (*[False] * (TRIES - 1), True):
            if await _is_removed(engine, network.id):
                break
            if await _has_containers(engine, network.id):
                raise TemporaryError("ObjectInUse", name=action.name)
            if is_last:
                logger.warning("%s has no containers, and the engine keeps it until it starts again", action.name)
            else:
                # One that is on its way out is counted a little longer than it is shown.
                await asyncio.sleep(PAUSE)


def route_in_the_way(subnet: str, interface: str, routes: str) -> str | None:
    """Name the interface over which the host already reaches a part of that subnet; the default route is none.

    ``routes`` is the kernel's table as it shows it: addresses in hexadecimal, in the host's byte order.
    """
    wanted = ipaddress.ip_network(subnet)
    for line in routes.splitlines()[1:]:
        fields = line.split()
        destination, mask = (ipaddress.ip_address(bytes.fromhex(fields[column])[::-1]) for column in (1, 7))
        network = ipaddress.ip_network(f"{destination}/{mask}")
        if network.prefixlen and fields[0] != interface and network.overlaps(wanted):
            return fields[0]
    return None


def _routes() -> str:
    return ROUTES.read_text() if ROUTES.exists() else ""


async def _is_there(engine: Engine, instance: str, action: CreateNetwork) -> bool:
    named = await _named(engine, action.name)
    for network in named:
        if network.labels.get(INSTANCE) != instance:
            continue
        if network.subnet == action.subnet:
            return True
        raise ConflictError("ObjectDiffers", name=action.name)
    if named:
        raise ConflictError("NameTaken", name=action.name)
    return False


async def _is_removed(engine: Engine, network: str) -> bool:
    """Try to remove a network; False where the engine says that there is something in it."""
    try:
        await engine.json("DELETE", f"networks/{network}")
    except Refused as refused:
        if refused.mentions("active endpoints"):
            return False
        if refused.status != HTTPStatus.NOT_FOUND:
            raise refused.as_error() from None
    return True


async def _has_containers(engine: Engine, network: str) -> bool:
    try:
        return bool((await engine.json("GET", f"networks/{network}"))["Containers"])
    except Refused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            return False
        raise refused.as_error() from None


async def _holder(engine: Engine, subnet: str) -> str | None:
    """Name the network that has a part of a subnet; None where none has it, or has it any more."""
    wanted = ipaddress.ip_network(subnet)
    for network in [seen_network(raw) for raw in await engine.json("GET", "networks")]:
        seen = ipaddress.ip_network(network.subnet) if network.subnet else None
        if seen and seen.version == wanted.version and seen.overlaps(wanted):
            return network.name
    return None


async def _named(engine: Engine, name: str) -> list[SeenNetwork]:
    # The engine's filter finds parts of names too.
    listed = await engine.json("GET", "networks", params=filters(name=[name]))
    return [seen_network(raw) for raw in listed if raw["Name"] == name]
