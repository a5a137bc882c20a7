"""Follows what never ends by itself: the engine's events and a container's output."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Any

import aiohttp

from agentpod_core import Clock, EngineEvent, TemporaryError
from agentpod_docker.engine import Engine, Refused, filters
from agentpod_docker.reading import INSTANCE, POD, event

STDERR = 2
_KINDS = ["start", "die", "oom", "destroy", "update", "pause", "unpause"]
_SLOWEST = 2.0
_LONGEST_LINE = 1_048_576


async def watch(engine: Engine, instance: str, clock: Clock) -> AsyncIterator[EngineEvent]:
    """Follow the events of our containers, over every loss of the connection.

    What happened meanwhile is asked for again, and ``resync`` says that this may not be all.
    """
    params = filters(type=["container"], label=[f"{INSTANCE}={instance}", POD], event=_KINDS)
    since: dict[str, str] = {}
    lost: datetime | None = None
    pause = 0.1
    while True:
        try:
            async with engine.stream("GET", "events", params=params | since) as response:
                pause = 0.1
                yield EngineEvent(kind="resync", at=clock.now(), since=lost)
                lost = None
                async for raw in json_lines(response):
                    since = {"since": _just_after(raw["timeNano"])}
                    yield event(raw)
        except (TemporaryError, Refused):
            pause = min(pause * 2, _SLOWEST)
        engine.forget()
        lost = lost or clock.now()
        await clock.sleep(pause)


async def json_lines(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """Read one JSON object a line, however long the line."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
    if rest.strip():
        yield json.loads(rest)


async def frames(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[int, bytes]]:
    """Read output as the engine interleaves it: which stream, and the bytes."""
    rest = b""
    async for chunk in response.content.iter_any():
        rest += chunk
        position = 0
        while len(rest) - position >= 8:  # noqa: PLR2004 - the length of a frame's header
            stream, length = struct.unpack_from(">BxxxL", rest, position)
            if len(rest) - position - 8 < length:
                break
            yield stream, rest[position + 8 : position + 8 + length]
            position += 8 + length
        rest = rest[position:]


async def logs(
    engine: Engine, container: str, *, tail: int | None, follow: bool, since: datetime | None
) -> AsyncIterator[bytes]:
    """Yield a container's output in lines, both streams in the order in which they came."""
    params: dict[str, Any] = {"stdout": True, "stderr": True, "follow": follow}
    if tail is not None:
        params["tail"] = str(tail)
    if since is not None:
        params["since"] = f"{since.timestamp():.6f}"
    rest = {1: b"", STDERR: b""}
    async with (
        engine.stream("GET", f"containers/{container}/logs", params=params) as response,
        aclosing(frames(response)) as output,  # type: ignore[type-var]
    ):
        async for stream, chunk in output:
            *lines, rest[stream] = (rest.get(stream, b"") + chunk).split(b"\n")
            for line in lines:
                yield line.removesuffix(b"\r")
            if len(rest[stream]) > _LONGEST_LINE:
                yield rest[stream]
                rest[stream] = b""
    for line in rest.values():
        if line:
            yield line


def _just_after(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds + 1, 1_000_000_000)
    return f"{seconds}.{rest:09d}"
