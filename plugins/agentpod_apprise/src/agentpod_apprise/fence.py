"""Keeps the process that runs Apprise from all that no message needs: private addresses, files, other programs.

A URL says what Apprise does, and whoever may set one is not the operator. Python tells an audit hook of whatever a
library is about to do, redirects and names that changed their mind included, and nothing can take the hook away.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

from agentpod_core import AllowedAddresses

_PROGRAMS: Final = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.", "sqlite3.")
_CHANGES: Final = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "shutil.")
_READABLE: Final = (
    "/etc/mime.types",
    "/etc/ssl/",
    "/usr/lib/ssl/",
    "/usr/share/zoneinfo/",
    "/usr/share/ca-certificates/",
)
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MEMORY: Final = 1024 * 1024 * 1024
_PROCESSOR: Final = 20


class Fence:
    """What may be reached and read; ``refused`` and ``unread`` keep the addresses and files asked for in vain."""

    def __init__(self, allowed: AllowedAddresses) -> None:
        self._allowed = allowed
        self._readable = (*(f"{os.path.realpath(one)}/" for one in sys.path), *_READABLE)
        self.refused: list[str] = []
        self.unread: list[str] = []

    def raise_it(self, seconds: int) -> None:
        """Begin to keep to it, for good; the process ends after that many seconds."""
        signal.alarm(seconds)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (_PROCESSOR, _PROCESSOR))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        sys.addaudithook(self._audit)

    def may_ask(self, address: str) -> bool:
        """Say whether an address may be asked, and remember it if not."""
        try:
            may = self._allowed.allows(address, is_own=is_own(address)) or address in self._by_name
        except ValueError:
            may = False
        if not may:
            self.refused.append(address)
        return may

    @cached_property
    def _by_name(self) -> frozenset[str]:
        """The addresses of the hosts that are allowed by name; resolved when it matters, for it may take long."""
        return frozenset(_addresses(self._allowed.hosts))

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
            address = args[1]
            # A path is a socket of this machine's own programs; None goes where it is connected to already.
            if address is not None and not (isinstance(address, tuple) and self.may_ask(str(address[0]))):
                raise PermissionError(f"{event} is not allowed there")
        elif event == "open":
            self._open(args)
        elif event.startswith((*_PROGRAMS, *_CHANGES)):
            raise PermissionError(f"{event} is not allowed")

    def _open(self, args: tuple[Any, ...]) -> None:
        path, mode, flags = args
        if isinstance(path, int):
            return
        is_written = bool(flags & _WRITING) or (isinstance(mode, str) and not set("wax+").isdisjoint(mode))
        place = os.path.realpath(os.fsdecode(path))
        if is_written or not place.startswith(self._readable):
            if not is_written:
                self.unread.append(place)
            raise PermissionError("open is not allowed there")


def is_own(address: str) -> bool:
    """Say whether this machine has that address: a socket of it can have its own addresses and no other."""
    return _can_have(address) and not _can_have("2001:db8::1" if ":" in address else "192.0.2.1")


def _can_have(address: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.bind((address, 0))
    except OSError:
        return False
    return True


def _addresses(hosts: frozenset[str]) -> Iterator[str]:
    for host in hosts:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            continue
        yield from (str(address[0]) for *_, address in found)
