"""Puts files into a container's volumes: by the host's own files where they can be had, else as archives.

An archive costs the engine some 50 ms, a look at a path one: so looks decide what has to be sent.
A tmpfs or a read-only mount cannot be written in either way, and neither is ever tried.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import posixpath
import tarfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from agentpod_core import File, PermanentError, SecretRef, Workload, WriteFiles, file_content, file_mode
from agentpod_docker import direct
from agentpod_docker.engine import Engine

_DIRECTORY, _SYMLINK = 1 << 31, 1 << 27
_SPECIAL = (1 << 26) | (1 << 25) | (1 << 24) | (1 << 21) | (1 << 19)
_STAT_HEADER = "X-Docker-Container-Path-Stat"
_NEW_DIRECTORY_MODE = 0o700


class PathStat(Struct, frozen=True, kw_only=True):
    """What the engine says of a path: links are not followed; ``target`` is where one leads."""

    size: int
    mode: int
    target: str

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return bool(self.mode & _DIRECTORY)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return bool(self.mode & _SYMLINK)

    @property
    def is_regular(self) -> bool:
        """Whether it is a regular file."""
        return not self.mode & (_DIRECTORY | _SYMLINK | _SPECIAL)


class Target(Struct, frozen=True, kw_only=True):
    """A volume to write into: its place in the container and its folder on the engine's host."""

    container: str
    root: str
    folder: str
    is_fresh: bool


class Owner(Struct, frozen=True, kw_only=True):
    """Who is to own what is written."""

    uid: int
    gid: int


async def path_stat(engine: Engine, container: str, path: str) -> PathStat | None:
    """Look at a path of a container; None where there is nothing."""
    headers = await engine.headers(f"containers/{container}/archive", params={"path": path})
    return None if headers is None else stat_of(headers)


def stat_of(headers: Mapping[str, str]) -> PathStat:
    """Read the look that comes with an archive."""
    raw = json.loads(base64.b64decode(headers[_STAT_HEADER]))
    return PathStat(size=raw["size"], mode=raw["mode"], target=raw["linkTarget"])


async def own_volumes(engine: Engine, raw: Mapping[str, Any], workload: Workload) -> None:
    """Give the user of the fresh container that ``raw`` shows the roots of its volumes.

    A volume whose place the image lacks belongs to root otherwise. Where files are to be written,
    ``write_files`` does it on the way.
    """
    owner = Owner(uid=workload.security.uid, gid=workload.security.gid)
    folders = _volumes(raw)
    filled = {_root_of(file.path, list(folders)) for file in workload.files}
    for root, folder in folders.items():
        if root not in filled:
            await _write(engine, Target(container=raw["Id"], root=root, folder=folder, is_fresh=True), (), {}, owner)


async def write_files(
    engine: Engine, raw: Mapping[str, Any], action: WriteFiles, material: Mapping[SecretRef, str]
) -> None:
    """Write files into the volumes of the container that ``raw`` shows.

    Raises:
        PermanentError: ``FileOutsideVolumes``, ``SecretMissing``.
    """
    folders = _volumes(raw)
    by_root: dict[str, list[File]] = {}
    for file in action.files:
        by_root.setdefault(_root_of(file.path, list(folders)), []).append(file)
    contents = {file.path: file_content(file, material) for file in action.files}
    owner = Owner(uid=action.uid, gid=action.gid)
    is_fresh = raw["State"]["Status"] == "created"
    for root, files in sorted(by_root.items()):
        target = Target(container=raw["Id"], root=root, folder=folders[root], is_fresh=is_fresh)
        await _write(engine, target, files, contents, owner)


async def _write(
    engine: Engine, target: Target, files: Sequence[File], contents: Mapping[str, bytes], owner: Owner
) -> None:
    if engine.shares_files and direct.is_usable(target.folder):
        await asyncio.to_thread(_write_directly, target, files, contents, owner)
        return
    wanted = await _unseeded(engine, target.container, files)
    entries = [await _root_entry(engine, target.container, target.root, owner)] if target.is_fresh else []
    entries += await _missing_directories(engine, target.container, target.root, wanted, owner)
    entries += [_file_entry(file, contents[file.path], target.root, owner) for file in wanted]
    if entries:
        params = {"path": target.root}
        await engine.send(f"containers/{target.container}/archive", params=params, archive=_archive(entries))


def _write_directly(target: Target, files: Sequence[File], contents: Mapping[str, bytes], owner: Owner) -> None:
    if target.is_fresh:
        direct.own(target.folder, owner.uid, owner.gid)
    wanted = [
        direct.Content(
            path=posixpath.relpath(file.path, target.root),
            content=contents[file.path],
            mode=file_mode(file),
            is_seed=file.once,
        )
        for file in files
    ]
    direct.write(target.folder, wanted, owner.uid, owner.gid)


def _volumes(raw: Mapping[str, Any]) -> dict[str, str]:
    """Give the folders on the engine's host of a container's volumes, by their place in it."""
    mounts = raw["Mounts"]
    return {one["Destination"]: one["Source"] for one in mounts if one["Type"] == "volume" and one["RW"]}


def _root_of(path: str, roots: Sequence[str]) -> str:
    plain = posixpath.normpath(path) == path
    holders = [root for root in roots if path.startswith(f"{root.rstrip('/')}/")] if plain else []
    if not holders:
        raise PermanentError("FileOutsideVolumes", path=path, where="one of the container's volumes")
    return max(holders, key=len)


async def _unseeded(engine: Engine, container: str, files: Sequence[File]) -> list[File]:
    """Leave out the seeds of which the agent has something already."""
    seeds = [file for file in files if file.once]
    found = await asyncio.gather(*(path_stat(engine, container, file.path) for file in seeds))
    present = {file.path for file, stat in zip(seeds, found, strict=True) if stat is not None}
    return [file for file in files if file.path not in present]


async def _missing_directories(
    engine: Engine, container: str, root: str, files: Sequence[File], owner: Owner
) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Give entries for directories that do not exist; one that exists keeps its owner and mode.

    What stands in the way (a link that the agent made, say) is replaced, never followed.
    """
    names: set[str] = set()
    for file in files:
        relative = posixpath.relpath(posixpath.dirname(file.path), root)
        parts = [] if relative == "." else relative.split("/")
        names |= {"/".join(parts[: depth + 1]) for depth in range(len(parts))}
    missing: list[str] = []
    for name in sorted(names):
        is_below_missing = any(name.startswith(f"{one}/") for one in missing)
        stat = None if is_below_missing else await path_stat(engine, container, f"{root}/{name}")
        if stat is None or not stat.is_directory:
            missing.append(name)
    return [(_entry(name, _NEW_DIRECTORY_MODE, owner, tarfile.DIRTYPE), b"") for name in missing]


async def _root_entry(engine: Engine, container: str, root: str, owner: Owner) -> tuple[tarfile.TarInfo, bytes]:
    """Give the entry that changes the owner of a volume's root and keeps its mode.

    The engine skips an entry ``.``; the same directory by way of its parent it takes.
    """
    stat = await path_stat(engine, container, root)
    mode = stat.mode & 0o777 if stat else _NEW_DIRECTORY_MODE
    return _entry(f"../{posixpath.basename(root)}", mode, owner, tarfile.DIRTYPE), b""


def _file_entry(file: File, content: bytes, root: str, owner: Owner) -> tuple[tarfile.TarInfo, bytes]:
    info = _entry(posixpath.relpath(file.path, root), file_mode(file), owner, tarfile.REGTYPE)
    info.size = len(content)
    return info, content


def _entry(name: str, mode: int, owner: Owner, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid = kind, mode, owner.uid, owner.gid
    # Agents that watch their files compare times.
    info.mtime = time.time()
    return info


def _archive(entries: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
