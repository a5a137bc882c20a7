"""Finds and pulls images."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from agentpod_core import PermanentError
from agentpod_docker.engine import Engine, Refused, filters
from agentpod_docker.streams import json_lines

RECIPE = "agentpod.recipe"
"""The label of images that were built here: the hash of their recipe."""


async def has_image(engine: Engine, image: str) -> bool:
    """Say whether the engine has an image."""
    return await labels_of(engine, image) is not None


async def labels_of(engine: Engine, image: str) -> dict[str, str] | None:
    """Give an image's labels; None where there is no such image."""
    try:
        raw = await engine.json("GET", f"images/{image}/json")
    except Refused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            return None
        raise refused.as_error() from None
    return (raw.get("Config") or {}).get("Labels") or {}


async def obtain(engine: Engine, image: str, seconds: float) -> None:
    """Have an image, by pulling it where it is not there.

    Raises:
        PermanentError: ``ImageNotFound``.
    """
    if not await has_image(engine, image) and not await pull(engine, image, seconds):
        raise PermanentError("ImageNotFound", image=image)


async def pull(engine: Engine, image: str, seconds: float, *, answer_within: float | None = None) -> bool:
    """Try to pull an image in that time; say whether it worked.

    ``answer_within`` is how long the registry may take to say its first word.
    """
    name, _, tag = image.partition("@") if "@" in image else _tagged(image)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    try:
        async with (
            asyncio.timeout(seconds if answer_within is None else min(seconds, answer_within)) as limit,
            engine.stream("POST", "images/create", params={"fromImage": name, "tag": tag}) as response,
        ):
            async for line in json_lines(response):
                if "error" in line:
                    return False
                limit.reschedule(end)
    except (Refused, TimeoutError):
        return False
    return True


async def platform_images(engine: Engine, in_use: set[str]) -> list[str]:
    """List the tags of images that were built here or are in use."""
    listed = await engine.json("GET", "images/json", params=filters(label=[RECIPE]))
    built = {tag for raw in listed for tag in raw.get("RepoTags") or () if tag != "<none>:<none>"}
    return sorted(built | in_use)


def _tagged(image: str) -> tuple[str, str, str]:
    name, colon, tag = image.rpartition(":")
    return (name, colon, tag) if colon and "/" not in tag else (image, "", "latest")
