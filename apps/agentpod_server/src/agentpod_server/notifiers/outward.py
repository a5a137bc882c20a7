"""Connects to places outside: a name is resolved once, its addresses are judged, and one of these is connected to.

So a name that leads elsewhere a moment later (DNS rebinding) leads nowhere else. An address that swallows what it is
sent, as all of IPv6 do on many a machine, holds the others up for a moment only (RFC 8305, "happy eyeballs"). What is
said over the connection is not its business.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, Final

from msgspec import Struct

from agentpod_core.errors import TemporaryError
from agentpod_core.host.threads import run_beside
from agentpod_core.values.addresses import AllowedAddresses

CONNECT_SECONDS: Final = 5.0
HEAD_START: Final = 0.3
"""So many seconds after one address the next is tried beside it, unless that one has said no before."""

_NOBODYS: Final = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documents. A machine whose sockets can have these (ip_nonlocal_bind) cannot be asked for its own."""

Found = tuple[socket.AddressFamily, Any]
Resolve = Callable[[str, int], list[Found]]


class ForbiddenError(Exception):
    """A host leads to an address that may not be asked."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(host, address)
        self.host = host
        self.address = address


def resolve(host: str, port: int) -> list[Found]:
    """Ask the system for a host's addresses; it may take long."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def is_own(family: socket.AddressFamily, address: Any) -> bool:
    """Say whether this machine has that address: a socket of it can have its own addresses and no other."""
    return _can_have(family, address[0]) and not _can_have(family, _NOBODYS[family])


def _can_have(family: socket.AddressFamily, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.bind((address, 0))
    except OSError:
        return False
    return True


class Outward(Struct, frozen=True, kw_only=True):
    """The way to places outside, to those that ``allowed`` has."""

    allowed: AllowedAddresses
    resolve: Resolve = resolve

    async def addresses(self, host: str, port: int) -> list[Found]:
        """Give a host's addresses, the best first.

        Raises:
            ForbiddenError: one of them may not be asked.
            TemporaryError: ``TargetUnreachable``, it cannot be resolved now.
        """
        # Not in the executor that everybody shares: a resolver that does not answer would use it up.
        outcome = await run_beside(lambda: self.resolve(host, port), seconds=CONNECT_SECONDS, name=f"resolve {host}")
        if not outcome.is_over:
            raise unreachable(host, "its name is not resolved in time")
        # An odd name is a UnicodeError.
        if isinstance(outcome.error, OSError | UnicodeError) or outcome.value == []:
            raise unreachable(host, "its name cannot be resolved")
        if outcome.error is not None:
            raise outcome.error
        found: list[Found] = outcome.value
        for family, address in found:
            if not self.allowed.allows(address[0], host, is_own=is_own(family, address)):
                raise ForbiddenError(host, address[0])
        return found

    async def connected(self, host: str, port: int) -> socket.socket:
        """Connect to the address of a host that takes it first; errors as ``addresses``."""
        left = in_turns(await self.addresses(host, port))
        tries: set[asyncio.Task[socket.socket]] = set()
        ended: set[asyncio.Task[socket.socket]] = set()
        causes: list[str] = []
        try:
            while left or tries:
                if left:
                    tries.add(asyncio.create_task(_connected(*left.pop(0))))
                wait = HEAD_START if left else None
                ended, tries = await asyncio.wait(tries, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                while ended:
                    one = ended.pop()
                    error = one.exception()
                    if error is None:
                        return one.result()
                    causes.append(_cause(error))
        finally:
            for one in tries | ended:
                one.cancel()
                one.add_done_callback(_drop)
        raise unreachable(host, "; ".join(dict.fromkeys(causes)))


def in_turns(found: Sequence[Found]) -> list[Found]:
    """Put addresses so that families take turns: where one leads nowhere, the second try is of the other."""
    first = [one for one in found if one[0] == found[0][0]]
    others = [one for one in found if one[0] != found[0][0]]
    return [one for pair in zip_longest(first, others) for one in pair if one is not None]


def _cause(error: BaseException) -> str:
    match error:
        case TimeoutError():
            return "it takes no connection in time"
        # Also where this machine has no such family: resolvers give IPv6 addresses to whoever has no IPv6.
        case OSError():
            return error.strerror or type(error).__name__
        case _:
            raise error


def _drop(late: asyncio.Task[socket.socket]) -> None:
    """Close what connected a moment too late."""
    if not late.cancelled() and late.exception() is None:
        late.result().close()


async def _connected(family: socket.AddressFamily, address: Any) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)  # noqa: FBT003 - that is how it is called
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


def unreachable(host: str, cause: str) -> TemporaryError:
    """Give the error for a host that cannot be reached now."""
    return TemporaryError("TargetUnreachable", host=host, cause=cause)
