"""The state folder: instance id, encryption key, first password, the local client's context, and the lock.

It is made in steps of which each is whole or absent, the instance id last; opening it again after a crash
at any of them goes on from there. Nothing here knows the database.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from agentpod_core.errors import ConflictError, PermanentError
from agentpod_server import atomic

Role = Literal["server", "controller"]

CONTEXT = "context.json"
_INSTANCE, _KEY, _PASSWORD = "instance", "encryption.key", "first-password"
_OURS = re.compile(rf"{_INSTANCE}|{_KEY}|{_PASSWORD}|agentpod\.toml|lost\+found|.*\.lock|{re.escape(atomic.PENDING)}.*")
_INSTANCE_TEXT = re.compile(r"[a-z2-7]{8}")
_KEY_SIZE = 32
_GROUPS_OF_PASSWORD = 4
_LOCK_ATTEMPTS = 5


class State(Struct, frozen=True, kw_only=True):
    """An opened state folder. ``fresh`` says that this opening made it."""

    root: Path
    instance: str
    fresh: bool = False

    @classmethod
    def open(cls, root: Path) -> State:
        """Open the folder, or make it with instance id, encryption key and first password; idempotent.

        Raises:
            PermanentError: the folder cannot be made or read, is not ours alone, or holds foreign things.
        """
        try:
            fresh = _prepare(root)
            if fresh:
                atomic.create(root / _KEY, base64.b64encode(secrets.token_bytes(_KEY_SIZE)) + b"\n")
                atomic.create(root / _PASSWORD, f"{_password()}\n".encode())
                letters = base64.b32encode(secrets.token_bytes(5)).decode().lower()
                fresh = atomic.create(root / _INSTANCE, f"{letters}\n".encode())
            instance = (root / _INSTANCE).read_text().strip()
        except OSError as error:
            raise PermanentError("StateFolderUnusable", folder=str(root), problem=error.strerror or "") from error
        if not _INSTANCE_TEXT.fullmatch(instance):
            raise PermanentError("StateFileDamaged", file=str(root / _INSTANCE))
        return cls(root=root, instance=instance, fresh=fresh)

    def folder(self, *names: str) -> Path:
        """Give a folder below the state folder (0700, ours), made when it is missing."""
        path = self.root
        for name in names:
            path /= name
            path.mkdir(mode=0o700, exist_ok=True)
        return path

    def encryption_key(self) -> bytes:
        """Give the 32 bytes under which secrets are encrypted.

        Raises:
            PermanentError: ``StateFileDamaged``; it is never made anew, for nothing would be readable any more.
        """
        path = self.root / _KEY
        try:
            key = base64.b64decode(path.read_bytes().strip(), validate=True)
        except (OSError, binascii.Error) as error:
            raise PermanentError("StateFileDamaged", file=str(path)) from error
        if len(key) != _KEY_SIZE:
            raise PermanentError("StateFileDamaged", file=str(path))
        return key

    def kept(self, name: str) -> str:
        """Give a random password that is kept under that name; made when it is asked for first."""
        path = self.folder("keys") / name
        atomic.create(path, f"{secrets.token_urlsafe(24)}\n".encode())
        return path.read_text().strip()

    def first_password(self) -> str | None:
        """Give the admin's first password while it was not yet shown; None afterwards.

        Store its hash, show it, then call ``first_password_shown``: after a crash in between the
        same password comes again.
        """
        try:
            return (self.root / _PASSWORD).read_text().strip() or None
        except FileNotFoundError:
            return None

    def first_password_shown(self) -> None:
        """Forget the first password: its hash is stored and the operator has seen it."""
        (self.root / _PASSWORD).unlink(missing_ok=True)

    def new_first_password(self) -> str:
        """Make another first password, for a database that has no users (any more)."""
        password = _password()
        atomic.replace(self.root / _PASSWORD, f"{password}\n".encode())
        return password

    def write_context(self, server: str, token: str) -> None:
        """Write ``context.json`` {"server", "token"} (0600), by which the same user's client works at once."""
        atomic.replace(self.root / CONTEXT, msgspec.json.encode({"server": server, "token": token}) + b"\n")

    def context_token(self) -> str | None:
        """Give the token of the local client's context; None where there is no readable one."""
        try:
            context = msgspec.json.decode((self.root / CONTEXT).read_bytes(), type=dict[str, str])
        except (OSError, msgspec.DecodeError):
            return None
        return context.get("token")

    @contextmanager
    def lock(self, *roles: Role, name: str = "") -> Iterator[None]:
        """Hold the folder for those halves of the server of that name; the kernel lets go however the process ends.

        Raises:
            ConflictError: ``StateLocked``, with the pid of the process that holds it.
        """
        with ExitStack() as held:
            for role in roles:
                held.enter_context(_hold(_lock(self.root, role, name), role))
            if holders(self.root) == {os.getpid()}:
                atomic.sweep(self.root)
            yield


def holder(root: Path, role: Role, name: str = "") -> int | None:
    """Give the pid of the running process that holds ``role`` of that state folder; None when none does."""
    return _holder(_lock(root, role, name))


def holders(root: Path, role: Role | None = None) -> set[int]:
    """Give the pids of all the servers of that state folder that run, or of those with that half."""
    return {pid for path in root.glob(f"{role or ''}*.lock") if (pid := _holder(path))}


def _lock(root: Path, role: Role, name: str) -> Path:
    return root / (f"{role}-{name}.lock" if name else f"{role}.lock")


def _holder(path: Path) -> int | None:
    try:
        file = path.open("rb")
    except OSError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read().strip() or 0) or None
        return None


@contextmanager
def _hold(path: Path, role: Role) -> Iterator[None]:
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "r+b") as file:
        if not _locked(file.fileno()):
            pid = file.read().decode().strip() or "?"
            raise ConflictError("StateLocked", folder=str(path.parent), pid=pid, role=role)
        file.truncate()
        file.write(f"{os.getpid()}\n".encode())
        file.flush()
        yield


def _locked(handle: int) -> bool:
    """Take the lock, with a little patience: ``holder`` takes it for a moment when it looks."""
    for attempt in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt < _LOCK_ATTEMPTS - 1:
                time.sleep(0.02)
        else:
            return True
    return False


def _prepare(root: Path) -> bool:
    """Make the folder, or see that it is fit; True while it has no instance id.

    Root's is 0711, because the folders in it belong to different users who have to get there.
    """
    if not root.is_dir():
        root.parent.mkdir(parents=True, exist_ok=True)
        root.mkdir(mode=0o700)
    seen = root.stat()
    if seen.st_uid != os.geteuid() or seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermanentError("StateFolderShared", folder=str(root))
    if (root / _INSTANCE).exists():
        _open_way(root, seen.st_mode)
        return False
    if foreign := sorted(path.name for path in root.iterdir() if not _OURS.fullmatch(path.name)):
        raise PermanentError("StateFolderForeign", folder=str(root), found=foreign[0])
    _open_way(root, seen.st_mode)
    return True


def _open_way(root: Path, mode: int) -> None:
    wanted = 0o711 if os.geteuid() == 0 else 0o700
    if stat.S_IMODE(mode) != wanted:
        root.chmod(wanted)


def _password() -> str:
    """Make a password that can be typed: 4 groups of 5 characters of base32, 100 bits."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(_GROUPS_OF_PASSWORD))
