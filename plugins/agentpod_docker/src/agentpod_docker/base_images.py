"""Provides the Debian base of agents' images, from a registry where one answers and from a mirror where none does.

A base is kept under a tag that follows from its packages, so it is made once. Both ways end in the
same: Debian of one suite with those packages, and nothing of the host in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from msgspec import Struct

from agentpod_core import PermanentError, Progress
from agentpod_docker.engine import Engine, Refused
from agentpod_docker.images import has_image, pull
from agentpod_docker.streams import json_lines

SUITE = "bookworm"
READY_MADE = f"debian:{SUITE}-slim"
ALWAYS = ("ca-certificates",)
_CHUNK = 1 << 20
_LINES = 5
_LEFT_OUT = (
    "./dev/*",
    "./proc/*",
    "./sys/*",
    "./var/cache/apt/*.bin",
    "./var/cache/apt/archives/*.deb",
    "./var/lib/apt/lists/*",
    "./var/log/bootstrap.log",
    "./etc/resolv.conf",
    "./etc/hostname",
)


class Patience(Struct, frozen=True, kw_only=True):
    """How long a registry may take, in seconds: for its first word, and for all of an image."""

    answer: float
    pull: float


async def base_image(
    engine: Engine,
    packages: Sequence[str],
    progress: Progress,
    *,
    folder: Path,
    patience: Patience,
) -> str:
    """Give the tag of a base image with those packages, making it where it is missing.

    Raises:
        PermanentError: ``BuildNeedsRoot``, ``BuildNeedsDebootstrap``, ``BuildFailed``.
    """
    wanted = tuple(sorted({*packages, *ALWAYS}))
    image = base_tag(wanted)
    if await has_image(engine, image):
        progress(f"{image} is there")
        return image
    if await has_image(engine, READY_MADE) or await _pull(engine, patience):
        progress(f"adding packages to {READY_MADE}")
        if await _extend(engine, image, wanted, progress):
            return image
    await _bootstrap(engine, image, wanted, progress, folder)
    return image


async def _pull(engine: Engine, patience: Patience) -> bool:
    return await pull(engine, READY_MADE, patience.pull, answer_within=patience.answer)


def base_tag(packages: Sequence[str]) -> str:
    """Name the base image that holds exactly those packages."""
    text = "\n".join((SUITE, *sorted(packages)))
    return f"agentpod-base:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


async def _extend(engine: Engine, image: str, packages: Sequence[str], progress: Progress) -> bool:
    """Install packages into the ready-made image; say whether that worked, as it needs a network in the build."""
    dockerfile = (
        f"FROM {READY_MADE}\n"
        f"RUN apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)}"
        " && rm -rf /var/lib/apt/lists/*\n"
    ).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(dockerfile)
        archive.addfile(info, io.BytesIO(dockerfile))
    params = {"t": image, "rm": True, "forcerm": True}
    try:
        async with engine.stream("POST", "build", params=params, data=buffer.getvalue()) as response:
            async for line in json_lines(response):
                if "error" in line:
                    progress(str(line["error"]))
                    return False
    except Refused as refused:
        progress(refused.message)
        return False
    return True


async def _bootstrap(engine: Engine, image: str, packages: Sequence[str], progress: Progress, folder: Path) -> None:
    """Make the base on this host from a Debian mirror."""
    if os.geteuid() != 0:
        raise PermanentError("BuildNeedsRoot", image=image)
    if shutil.which("debootstrap") is None:
        raise PermanentError("BuildNeedsDebootstrap", image=image)
    with tempfile.TemporaryDirectory(prefix="base-", dir=folder) as made:
        root = Path(made) / "root"
        progress(f"making {image} with debootstrap")
        await _debootstrap(image, root, packages, progress)
        progress(f"importing {image}")
        await _import(engine, image, root)


async def _debootstrap(image: str, root: Path, packages: Sequence[str], progress: Progress) -> None:
    process = await asyncio.create_subprocess_exec(
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(packages)}",
        SUITE,
        str(root),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    lines: list[str] = []
    try:
        if process.stdout is not None:
            async for line in process.stdout:
                lines.append(line.decode(errors="replace").strip())
                progress(lines[-1])
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if code != 0:
        raise PermanentError("BuildFailed", image=image, message="\n".join(lines[-_LINES:]))


async def _import(engine: Engine, image: str, root: Path) -> None:
    repository, _, tag = image.partition(":")
    params = {"fromSrc": "-", "repo": repository, "tag": tag}
    async with engine.stream("POST", "images/create", params=params, data=_tar(root)) as response:
        async for line in json_lines(response):
            if "error" in line:
                raise PermanentError("BuildFailed", image=image, message=str(line["error"]))


async def _tar(root: Path) -> AsyncIterator[bytes]:
    process = await asyncio.create_subprocess_exec(
        "tar",
        "--numeric-owner",
        *(f"--exclude={pattern}" for pattern in _LEFT_OUT),
        "-C",
        str(root),
        "-c",
        ".",
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if process.stdout is not None:
            while chunk := await process.stdout.read(_CHUNK):
                yield chunk
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
