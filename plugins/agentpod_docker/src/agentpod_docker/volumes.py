"""Makes and removes volumes. The engine returns an existing volume as if it were new, so labels are read back."""

from __future__ import annotations

from http import HTTPStatus

from agentpod_core import ConflictError, CreateVolume, RemoveVolume, TemporaryError
from agentpod_docker import direct
from agentpod_docker.engine import Engine, Refused
from agentpod_docker.reading import INSTANCE, POD, seen_volume

PATIENCE = 3600.0
"""Seconds that the engine may take to measure volumes; nobody waits for it."""


async def create_volume(engine: Engine, action: CreateVolume) -> None:
    """Make a volume, or find it made by us.

    An engine that is killed while it makes one has the folder afterwards but not the labels. Such a volume is made
    anew, where this host shows that nothing is in it.

    Raises:
        ConflictError: ``NameTaken``, it exists with other labels, or with none and perhaps with data.
    """
    body = {"Name": action.name, "Driver": "local", "Labels": action.labels}
    made = await engine.json("POST", "volumes/create", body=body)
    if not made["Labels"] and action.labels and direct.is_empty(made["Mountpoint"]):
        await remove(engine, action.name)
        made = await engine.json("POST", "volumes/create", body=body)
    if seen_volume(made).labels != action.labels:
        raise ConflictError("NameTaken", name=action.name)


async def sizes(engine: Engine, instance: str) -> dict[str, int]:
    """Measure our volumes, in bytes by pod. The engine walks through all files of all volumes for that."""
    # Engines before 23 know no type and measure images as well, which is quick.
    measured = await engine.json("GET", "system/df", params={"type": "volume"}, seconds=PATIENCE)
    found: dict[str, int] = {}
    for raw in measured["Volumes"] or ():
        labels, size = raw.get("Labels") or {}, (raw.get("UsageData") or {}).get("Size", -1)
        if labels.get(INSTANCE) == instance and POD in labels and size >= 0:
            found[labels[POD]] = found.get(labels[POD], 0) + size
    return found


async def remove_volume(engine: Engine, instance: str, action: RemoveVolume) -> None:
    """Remove a volume of ours.

    Raises:
        TemporaryError: ``ObjectInUse``, a container still has it.
    """
    try:
        found = seen_volume(await engine.json("GET", f"volumes/{action.name}"))
    except Refused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
        return
    if found.labels.get(INSTANCE) == instance:
        await remove(engine, action.name)


async def remove(engine: Engine, name: str) -> None:
    """Remove a volume, whoever made it; fine where there is none.

    Raises:
        TemporaryError: ``ObjectInUse``, a container still has it.
    """
    try:
        await engine.json("DELETE", f"volumes/{name}")
    except Refused as refused:
        if refused.status == HTTPStatus.CONFLICT:
            raise TemporaryError("ObjectInUse", name=name) from None
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
