"""Runs commands in containers and reads their files, bounded in time and size."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import tarfile
from http import HTTPStatus
from pathlib import Path

import aiohttp

from agentpod_core import ExecResult, PermanentError, TemporaryError
from agentpod_docker.engine import Engine, Refused
from agentpod_docker.files import stat_of
from agentpod_docker.streams import STDERR, frames

_NOT_RUNNABLE = 126
_LINKS = 5
_ARCHIVE_SLACK = 64 * 1024


async def run(engine: Engine, container: str, argv: tuple[str, ...], *, seconds: float, limit: int) -> ExecResult:
    """Run a command as the container's user; what it writes beyond ``limit`` bytes is dropped.

    Raises:
        TemporaryError: ``Timeout``, ``ContainerNotRunning``.
    """
    body = {"Cmd": list(argv), "AttachStdout": True, "AttachStderr": True, "Tty": False}
    try:
        made = await engine.json("POST", f"containers/{container}/exec", body=body)
    except Refused as refused:
        if refused.status == HTTPStatus.CONFLICT:
            raise TemporaryError("ContainerNotRunning", container=container) from None
        raise refused.as_error() from None
    command: str = made["Id"]
    try:
        async with asyncio.timeout(seconds):
            return await _outcome(engine, command, limit)
    except TimeoutError:
        await _end(engine, command, container)
        raise TemporaryError("Timeout") from None
    except Refused as refused:
        if refused.mentions("executable file not found", "no such file", "permission denied"):
            return ExecResult(code=_NOT_RUNNABLE, stderr=refused.message.encode()[:limit])
        if refused.mentions("is not running", "is paused"):
            raise TemporaryError("ContainerNotRunning", container=container) from None
        raise refused.as_error() from None


async def read(engine: Engine, container: str, path: str, *, limit: int) -> bytes | None:
    """Read a regular file, following links; None where there is none.

    Raises:
        PermanentError: ``FileTooLarge``, ``NotAFile``.
    """
    for _ in range(_LINKS):
        try:
            async with engine.stream("GET", f"containers/{container}/archive", params={"path": path}) as response:
                stat = stat_of(response.headers)
                if stat.is_link:
                    path = stat.target
                    continue
                if not stat.is_regular:
                    raise PermanentError("NotAFile", path=path)
                if stat.size > limit:
                    raise PermanentError("FileTooLarge", path=path, limit=limit)
                archive = await _at_most(response.content, stat.size + _ARCHIVE_SLACK)
        except Refused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise refused.as_error() from None
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            member = opened.next()
            content = opened.extractfile(member) if member else None
            return content.read() if content else None
    raise PermanentError("NotAFile", path=path)


async def _outcome(engine: Engine, command: str, limit: int) -> ExecResult:
    written = {1: b"", STDERR: b""}
    async with engine.stream("POST", f"exec/{command}/start", body={"Detach": False, "Tty": False}) as response:
        async for stream, chunk in frames(response):
            room = limit - len(written[stream])
            if room > 0:
                written[stream] += chunk[:room]
    while (seen := await engine.json("GET", f"exec/{command}/json"))["Running"]:  # noqa: ASYNC110 - the engine tells nobody
        # The output can end before the engine has noticed the end of the command.
        await asyncio.sleep(0.01)
    return ExecResult(code=seen["ExitCode"], stdout=written[1], stderr=written[STDERR])


async def _end(engine: Engine, command: str, container: str) -> None:
    """End a command that took too long. The engine has no call for it; on our own host a signal does it."""
    seen = await engine.json("GET", f"exec/{command}/json")
    pid: int = seen.get("Pid") or 0
    if not (engine.is_local and seen["Running"] and pid):
        return
    _kill(pid, container)


def _kill(pid: int, container: str) -> None:
    # Without the right to do so the command runs on; its output is let go of either way.
    with contextlib.suppress(OSError):
        # Only a process of that very container: the number may have passed to another by now.
        if container in Path(f"/proc/{pid}/cgroup").read_text():
            os.kill(pid, signal.SIGKILL)


async def _at_most(content: aiohttp.StreamReader, limit: int) -> bytes:
    """Read what fits; an archive has a little more than its file."""
    buffer = bytearray()
    async for chunk in content.iter_any():
        buffer += chunk
        if len(buffer) >= limit:
            break
    return bytes(buffer)
