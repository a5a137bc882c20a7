"""Puts a daemon's folders and files in place, for the account it runs as and nobody else.

What lies in an account's own folders is never trusted: no link there is followed while ownership is given.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from agentpod_core.values.routes import Daemon
from agentpod_server import atomic
from agentpod_server.embedded.accounts import Account


def lay_out(daemon: Daemon, account: Account | None, root: Path, *, with_files: bool) -> None:
    """Make its folders, write its files, give it what it should own, and let it get there.

    ``account`` None is ourselves. Ways are opened below ``root`` only.
    """
    for name in daemon.folders:
        _make(Path(name))
        if account:
            os.chown(name, account.uid, account.gid, follow_symlinks=False)
            _open_way(Path(name), root)
    if with_files:
        for name, text in daemon.files.items():
            _make(Path(name).parent)
            atomic.replace(Path(name), text.encode(), owner=(account.uid, account.gid) if account else None)
            if account:
                _open_way(Path(name), root)
    if account:
        for name in daemon.owned:
            _give(Path(name), account)
            _open_way(Path(name), root)


def _give(path: Path, account: Account) -> None:
    """Give a file, or a folder with everything in it, to the account.

    The account may change the folder meanwhile: each thing is given through its folder's descriptor,
    and a file with a second name somewhere else is left as it is.
    """
    if not path.exists():
        return
    os.chown(path, account.uid, account.gid, follow_symlinks=False)
    for _, folders, files, handle in os.fwalk(path, follow_symlinks=False):
        for name in (*folders, *files):
            seen = os.stat(name, dir_fd=handle, follow_symlinks=False)
            if seen.st_uid != account.uid and (stat.S_ISDIR(seen.st_mode) or seen.st_nlink == 1):
                os.chown(name, account.uid, account.gid, dir_fd=handle, follow_symlinks=False)


def _make(folder: Path) -> None:
    """Make a folder and those above it, each for its owner alone."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700)


def _open_way(path: Path, root: Path) -> None:
    """Let others pass, but not look around, through our own folders between the state folder and ``path``."""
    for folder in path.parents:
        if not folder.is_relative_to(root):
            return
        seen = folder.lstat()
        if seen.st_uid == os.geteuid() and stat.S_ISDIR(seen.st_mode):
            folder.chmod(stat.S_IMODE(seen.st_mode) | stat.S_IXGRP | stat.S_IXOTH)
