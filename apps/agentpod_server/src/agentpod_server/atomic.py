"""Writes small files so that a crash at any moment leaves the old file or the new one, whole and on disk."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

PENDING = ".new-"
"""How a file that was not finished begins; whoever holds the folder's lock may sweep such files."""


def replace(path: Path, content: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Put ``content`` at ``path``, over whatever was there; ``owner`` is uid and gid, None is ourselves."""
    pending = _write(path.parent, content, mode=mode, owner=owner)
    try:
        pending.replace(path)
    except BaseException:
        pending.unlink(missing_ok=True)
        raise
    _settle(path.parent)


def create(path: Path, content: bytes, *, mode: int = 0o600) -> bool:
    """Put ``content`` at ``path`` where nothing is yet; False, and no change, where something is."""
    pending = _write(path.parent, content, mode=mode, owner=None)
    try:
        os.link(pending, path)
    except FileExistsError:
        return False
    finally:
        pending.unlink(missing_ok=True)
    _settle(path.parent)
    return True


def sweep(folder: Path) -> None:
    """Remove what a crash left unfinished."""
    for pending in folder.glob(f"{PENDING}*"):
        pending.unlink(missing_ok=True)


def _write(folder: Path, content: bytes, *, mode: int, owner: tuple[int, int] | None) -> Path:
    """Write a file of a random name. The folder may belong to somebody else: no link there is followed."""
    pending = folder / f"{PENDING}{secrets.token_hex(8)}"
    handle = os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except BaseException:
        pending.unlink(missing_ok=True)
        raise
    return pending


def _settle(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
