"""Runs a command once in a container of its own, with what a pod's container has, and leaves nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from http import HTTPStatus

from agentpod_core import ConflictError, PermanentError, RunOnce, SecretRef
from agentpod_docker.containers import inspect_raw, remove
from agentpod_docker.engine import TIMEOUT, Engine, Refused
from agentpod_docker.making import once_body
from agentpod_docker.streams import logs

_LINES, _LENGTH = 5, 300


async def run_once(engine: Engine, instance: str, action: RunOnce, material: Mapping[SecretRef, str]) -> None:
    """Run it to its end.

    Raises:
        PermanentError: ``CommandFailed``, ``CommandTooSlow``, ``ImageNotFound``, ``SecretMissing``.
        ConflictError: ``NameTaken``.
    """
    if (left := await inspect_raw(engine, instance, action.name)) is not None:
        await remove(engine, left["Id"])
    body = once_body(action, material, engine.processors)
    try:
        made = await engine.json("POST", "containers/create", params={"name": action.name}, body=body)
    except Refused as refused:
        if refused.status == HTTPStatus.CONFLICT:
            raise ConflictError("NameTaken", name=action.name) from None
        if refused.status == HTTPStatus.NOT_FOUND and refused.mentions("No such image"):
            raise PermanentError("ImageNotFound", image=action.workload.image) from None
        raise refused.as_error() from None
    container: str = made["Id"]
    try:
        await engine.json("POST", f"containers/{container}/start")
        try:
            async with asyncio.timeout(action.timeout):
                path = f"containers/{container}/wait"
                ended = await engine.json("POST", path, seconds=action.timeout + TIMEOUT)
        except TimeoutError:
            command = " ".join(action.command)
            raise PermanentError("CommandTooSlow", command=command, seconds=action.timeout) from None
        if code := ended["StatusCode"]:
            output = await _last_words(engine, container)
            raise PermanentError("CommandFailed", command=" ".join(action.command), exit_code=code, output=output)
    finally:
        await remove(engine, container)


async def _last_words(engine: Engine, container: str) -> str:
    async with aclosing(logs(engine, container, tail=_LINES, follow=False, since=None)) as lines:  # type: ignore[type-var]
        said = [line.decode(errors="replace").strip() async for line in lines]
    return next((line for line in reversed(said) if line), "")[:_LENGTH]
