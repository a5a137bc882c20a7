"""Builds an agent's image from its recipe, with no network in any build step."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from agentpod_core import ImageRecipe, PermanentError, Progress
from agentpod_docker.base_images import Patience, base_image
from agentpod_docker.engine import Engine, Refused
from agentpod_docker.images import RECIPE, labels_of
from agentpod_docker.node_parts import node_trees
from agentpod_docker.streams import json_lines

_UID = 1000
_TAIL = 5
_CHUNK = 1 << 20
_PLACES = {"local": "/usr/local", "app": "/app"}


async def build(engine: Engine, recipe: ImageRecipe, progress: Progress, *, folder: Path, patience: Patience) -> None:
    """Build the image, unless there is one of this very recipe.

    Raises:
        PermanentError: ``BuildFailed``, or what ``base_image`` raises.
    """
    wanted = recipe_hash(recipe)
    if (await labels_of(engine, recipe.image) or {}).get(RECIPE) == wanted:
        progress(f"{recipe.image} is up to date")
        return
    base = await base_image(engine, recipe.packages, progress, folder=folder, patience=patience)
    with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as temporary:
        made = Path(temporary)
        trees = await node_trees(recipe, made, folder / "node", progress)
        archive = made / "context.tar"
        await asyncio.to_thread(write_context, archive, recipe, dockerfile(recipe, base, wanted, trees), trees)
        progress(f"building {recipe.image}")
        await _run_build(engine, recipe.image, archive, progress)
    progress(f"built {recipe.image}")


async def _run_build(engine: Engine, image: str, archive: Path, progress: Progress) -> None:
    lines: list[str] = []
    params = {"t": image, "rm": True, "forcerm": True, "networkmode": "none"}
    try:
        async with engine.stream("POST", "build", params=params, data=_chunks(archive)) as response:
            async for line in json_lines(response):
                text = str(line.get("stream") or line.get("error") or "").strip()
                if text:
                    lines.append(text)
                    progress(text)
                if "error" in line:
                    raise PermanentError("BuildFailed", image=image, message="\n".join(lines[-_TAIL:]))
    except Refused as refused:
        raise PermanentError("BuildFailed", image=image, message=refused.message) from None


def recipe_hash(recipe: ImageRecipe) -> str:
    """Give a hash that changes with anything in a recipe."""
    return hashlib.sha256(msgspec.json.encode(recipe, order="deterministic")).hexdigest()[:32]


def write_context(place: Path, recipe: ImageRecipe, instructions: str, trees: Sequence[str]) -> None:
    """Write the build context: a Dockerfile, the recipe's files as one archive, and trees that lie beside it."""
    with tarfile.open(place, mode="w") as archive:
        _add(archive, "Dockerfile", instructions.encode())
        if recipe.files:
            _add(archive, "files.tar", _files(recipe))
        for tree in trees:
            archive.add(place.parent / tree, tree, filter=_for_everybody)


def dockerfile(recipe: ImageRecipe, base: str, label: str, trees: Sequence[str] = ()) -> str:
    """Write the Dockerfile. Values are quoted as JSON, which this format reads as its own quoting."""
    home = f"/home/{recipe.user}"
    user = (
        f"groupadd -g {_UID} {recipe.user}"
        f" && useradd -u {_UID} -g {_UID} -m -d {home} -s /bin/bash {recipe.user}"
        f" && chmod 0700 {home}"
    )
    lines = [
        f"FROM {base}",
        f"RUN {_shell(user)}",
        *(f"COPY {tree}/ {_PLACES[tree]}/" for tree in trees),
        *(["ADD files.tar /"] if recipe.files else []),
        *(f"RUN {_shell(step)}" for step in recipe.steps),
        *(f"ENV {name}={_quoted(value)}" for name, value in sorted(({"HOME": home} | recipe.env).items())),
        f"LABEL {RECIPE}={label} agentpod.managed=true",
        f"USER {_UID}:{_UID}",
        f"WORKDIR {recipe.workdir}",
        *([f"ENTRYPOINT {json.dumps(recipe.entrypoint)}"] if recipe.entrypoint else []),
        *([f"CMD {json.dumps(recipe.command)}"] if recipe.command else []),
    ]
    return "\n".join(lines) + "\n"


def _for_everybody(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Let the agent's user read what was made here under whatever mask."""
    info.uid = info.gid = 0
    info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
    return info


async def _chunks(place: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(place.open, "rb") as opened:
        while chunk := await asyncio.to_thread(opened.read, _CHUNK):
            yield chunk


def _shell(step: str) -> str:
    return json.dumps(["/bin/sh", "-euc", step])


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return f'"{escaped}"'


def _files(recipe: ImageRecipe) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, text in sorted(recipe.files.items()):
            # A script says so in its first line.
            mode = 0o755 if text.startswith("#!") else 0o644
            _add(archive, path.lstrip("/"), text.encode(), mode)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    archive.addfile(info, io.BytesIO(content))
