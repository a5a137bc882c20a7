"""Makes a new PostgreSQL data folder, whole or not at all: it is made beside its place and renamed into it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

from agentpod_core.errors import PermanentError, TemporaryError
from agentpod_server import atomic
from agentpod_server.embedded.accounts import Account

_SECONDS = 120.0


async def lay_out(home: Path, account: Account | None) -> None:
    """Make the folders around the data folder, all of them the account's alone, and see that it gets there.

    Raises:
        PermanentError: ``StateFolderUnreachable``: a folder above keeps the account out.
    """
    for folder in (home, home / "run", home / "log"):
        folder.mkdir(mode=0o700, exist_ok=True)
        if account is not None:
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    if account is not None and (closed := _closed(home, account)):
        raise PermanentError("StateFolderUnreachable", folder=str(closed), user=account.name)


async def initialise(bin_folder: Path, home: Path, account: Account | None, superuser: str, password: str) -> None:
    """Run initdb with passwords demanded of everybody, then put the folder in its place."""
    await asyncio.to_thread(_initialise, bin_folder, home, account, superuser, password)


def _initialise(bin_folder: Path, home: Path, account: Account | None, superuser: str, password: str) -> None:
    unfinished, secret = home / "data.new", home / "password"
    shutil.rmtree(unfinished, ignore_errors=True)
    atomic.replace(secret, f"{password}\n".encode(), owner=(account.uid, account.gid) if account else None)
    argv = [
        str(bin_folder / "initdb"),
        f"--pgdata={unfinished}",
        f"--username={superuser}",
        f"--pwfile={secret}",
        "--auth-local=scram-sha-256",
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",  # sorts the same whatever becomes of the host's locales
        "--builtin-locale=C.UTF-8",
        "--data-checksums",
    ]
    try:
        done = subprocess.run(  # noqa: S603 - our own copy of initdb
            argv,
            env={"LC_ALL": "C.UTF-8", "TZ": "UTC"},
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            umask=0o077,
        )
    except subprocess.TimeoutExpired:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise TemporaryError("DatabaseNotStarted", problem="initdb did not end in time") from None
    finally:
        secret.unlink(missing_ok=True)
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        said = done.stderr.decode(errors="replace")
        if "No space left" in said:
            raise TemporaryError("DatabaseDiskFull", retry_after=10.0, folder=str(home))
        problem = next((line for line in said.splitlines() if "error" in line), "initdb failed")
        raise PermanentError("DatabaseNotStarted", problem=problem, detail=said[-1500:])
    unfinished.rename(home / "data")


def _closed(path: Path, account: Account) -> Path | None:
    """Give the first folder above ``path`` that the account may not pass; groups other than its own don't count."""
    for folder in reversed(path.parents):
        seen = folder.stat()
        bit = 0o100 if seen.st_uid == account.uid else 0o010 if seen.st_gid == account.gid else 0o001
        if not seen.st_mode & bit:
            return folder
    return None
