"""Puts files into a volume by its folder on this host: where that can be done it costs a millisecond, not fifty.

The agent owns what lies in the volume, so nothing of its making is ever followed: every step goes by
an open directory, links are replaced, and a file appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from msgspec import Struct

from agentpod_core import PermanentError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_DIRECTORY_MODE = 0o700


class Content(Struct, frozen=True, kw_only=True):
    """A file to be: ``path`` is below the volume's root; a seed is left alone where there is something."""

    path: str
    content: bytes
    mode: int
    is_seed: bool


def is_usable(folder: str) -> bool:
    """Say whether we may write there: as root, and seeing the engine's own files."""
    return os.geteuid() == 0 and os.path.isdir(folder)  # noqa: PTH112 - this module speaks to the system itself


def is_empty(folder: str) -> bool:
    """Say whether a volume is seen to hold nothing; false where we may not look."""
    if not is_usable(folder):
        return False
    with os.scandir(folder) as found:
        return next(found, None) is None


def own(folder: str, uid: int, gid: int) -> None:
    """Give a volume's root to a user; its mode stays."""
    os.chown(folder, uid, gid, follow_symlinks=False)


def write(folder: str, files: Sequence[Content], uid: int, gid: int) -> None:
    """Write files and the directories they need, all owned by that user.

    Raises:
        PermanentError: ``NotAFile``, a directory stands where a file should be.
    """
    for file in files:
        *parents, name = file.path.split("/")
        with _opened(folder, parents, uid, gid) as parent:
            if not (file.is_seed and _exists(parent, name)):
                _place(parent, name, file, uid, gid)


@contextmanager
def _opened(folder: str, parts: Sequence[str], uid: int, gid: int) -> Iterator[int]:
    """Open a directory below the root step by step, making what is missing."""
    descriptor = os.open(folder, _DIRECTORY)
    try:
        for part in parts:
            inner = _step(descriptor, part, uid, gid)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _step(parent: int, name: str, uid: int, gid: int) -> int:
    if _exists(parent, name) and not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
        os.unlink(name, dir_fd=parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, _NEW_DIRECTORY_MODE, dir_fd=parent)
        os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _place(parent: int, name: str, file: Content, uid: int, gid: int) -> None:
    temporary = f".agentpod-{secrets.token_hex(8)}"
    descriptor = os.open(temporary, _NEW_FILE, 0o600, dir_fd=parent)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(file.content)
            os.fchown(opened.fileno(), uid, gid)
            os.fchmod(opened.fileno(), file.mode)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except IsADirectoryError:
        os.unlink(temporary, dir_fd=parent)
        raise PermanentError("NotAFile", path=file.path) from None
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=parent)
        raise


def _exists(parent: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return False
    return True
