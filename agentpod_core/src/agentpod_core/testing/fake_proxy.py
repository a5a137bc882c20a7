"""A router in memory whose routes answer: a small proxy on this machine, in the test's own loop.

It speaks as much HTTP/1.1 as the contract asks of a router, so that the contract's facts about requests
hold for something that a test can break on purpose. Nobody should put an agent behind it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import ClassVar
from urllib.parse import unquote

from msgspec import Struct

from agentpod_core import Route
from agentpod_core.testing.fake_router import FakeRouter, RouteBoard
from agentpod_core.testing.wire import hang_up, read_head

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]

DOCUMENTATION = "192.0.2.1"
"""Stands for a client that has no address of its own."""

ADDRESSES = ("x-forwarded-for", "x-real-ip", "x-forwarded-proto", "forwarded")


class Visit(Struct, frozen=True, kw_only=True):
    """A request as it came in; header names are lower case."""

    target: str
    headers: dict[str, str]
    address: str
    scheme: str

    @property
    def is_upgrade(self) -> bool:
        """Whether it asks for a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"


class FakeProxy(FakeRouter):
    """Serves the routes on its board while ``listening``.

    ``hang_seconds`` is how long an agent may think before its first word. ``tunnels`` holds the open
    WebSockets by the keys of their routes.
    """

    name: ClassVar[str] = "fake-proxy"
    title: ClassVar[str] = "A proxy in memory"

    def __init__(self, board: RouteBoard | None = None, *, owner: str = "agentpod", hang_seconds: float = 1.0) -> None:
        super().__init__(board, owner=owner)
        self.hang_seconds = hang_seconds
        self.tunnels: dict[str, set[asyncio.StreamWriter]] = {}
        self._talks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self, address: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Serve at a free port of that address while the block runs, and give the port."""
        meet = partial(self._meet, "https" if tls else "http")
        server = await asyncio.start_server(meet, address, 0, ssl=tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for talk in self._talks:
                talk.cancel()
            await asyncio.gather(*self._talks, return_exceptions=True)

    def find(self, host: str) -> Route | None:
        """Find the route for a host."""
        return next((route for route in self.board.routes.values() if host.lower() in route.hosts), None)

    def is_refused(self, route: Route, visit: Visit) -> bool:
        """Say whether an agent could take what is asked for a path that its route refuses."""
        path = canonical(visit.target)
        return any(f"{path}/".startswith(f"{prefix.rstrip('/')}/".lower()) for prefix in route.refuse)

    def told(self, route: Route, visit: Visit) -> dict[str, str]:
        """Give the headers that the agent gets: the client's, with its address and scheme as we know them."""
        is_loopback = ipaddress.ip_address(visit.address).is_loopback
        client = DOCUMENTATION if route.attribute_loopback and is_loopback else visit.address
        kept = {name: value for name, value in visit.headers.items() if not self.is_ours_to_tell(name)}
        return {**kept, "x-forwarded-for": client, "x-forwarded-proto": visit.scheme}

    def is_ours_to_tell(self, header: str) -> bool:
        """Say whether a header tells who the client is, in any spelling that an agent may understand."""
        return re.sub(r"[_.]", "-", header) in ADDRESSES

    async def dial(self, route: Route) -> Line | int:
        """Connect with the agent; a number is the status of the answer when that fails."""
        try:
            return await asyncio.open_connection(route.target.host, route.target.port)
        except OSError:
            return 502

    async def relay(self, agent: asyncio.StreamReader, head: Mapping[str, str], client: asyncio.StreamWriter) -> None:
        """Pass the body of an answer on as it comes."""
        left = int(head.get("content-length", "-1"))
        while left and (part := await agent.read(left if left > 0 else 65536)):
            client.write(part)
            await client.drain()
            left -= len(part) if left > 0 else 0

    def _meet(self, scheme: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A callback that is no coroutine function leaves the task to us: asyncio's own is loud when cancelled.
        talk = asyncio.ensure_future(self._talk(scheme, reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, scheme: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                first, headers = await read_head(reader)
                address = writer.get_extra_info("peername")[0]
                visit = Visit(target=first.split(" ")[1], headers=headers, address=address, scheme=scheme)
                status = await self._serve(visit, reader, writer)
                if status:
                    writer.write(b"HTTP/1.1 %d Answer\r\nContent-Length: 0\r\n\r\n" % status)
        finally:
            await hang_up(writer)

    async def _serve(self, visit: Visit, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        """Serve one request; the status to answer with where the agent does not, or 0."""
        route = self.find(visit.headers.get("host", ""))
        if not visit.target.startswith("/"):
            return 400
        if route is None:
            return 404
        if self.is_refused(route, visit):
            return 403
        dialled = await self.dial(route)
        if isinstance(dialled, int):
            return dialled
        try:
            return await self._ask(route, visit, agent=dialled, client=(reader, writer))
        finally:
            await hang_up(dialled[1])

    async def _ask(self, route: Route, visit: Visit, *, agent: Line, client: Line) -> int:
        agent[1].write(_printed(f"GET {visit.target} HTTP/1.1", self.told(route, visit)))
        answering = asyncio.ensure_future(read_head(agent[0]))
        await asyncio.wait([answering], timeout=self.hang_seconds)
        # Asked for again: after a stall of this machine the answer may be there together with the timeout.
        if not answering.done():
            answering.cancel()
            return 504
        first, headers = answering.result()
        client[1].write(_printed(first, headers))
        if visit.is_upgrade:
            await self._tunnel(route, agent, client)
        else:
            await self.relay(agent[0], headers, client[1])
        return 0

    async def _tunnel(self, route: Route, agent: Line, client: Line) -> None:
        tunnels = self.tunnels.setdefault(route.key, set())
        tunnels.add(client[1])
        copies = [asyncio.ensure_future(copy) for copy in (_carry(agent[0], client[1]), _carry(client[0], agent[1]))]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tunnels.discard(client[1])
            for copy in copies:
                copy.cancel()
            await asyncio.gather(*copies, return_exceptions=True)


def _printed(first: str, headers: Mapping[str, str]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while part := await source.read(65536):
            sink.write(part)
            await sink.drain()


def canonical(target: str) -> str:
    """Give the path that a lenient agent could make of a target: decoded, cleaned, without dots, in lower case."""
    path, before = target.partition("?")[0], ""
    while path != before:
        path, before = unquote(path), path
    kept: list[str] = []
    for segment in re.split(r"[/\\]", path.partition("?")[0]):
        name = re.sub(r"[\x00-\x20]", "", segment.partition(";")[0])
        if name == "..":
            del kept[-1:]
        elif name not in {"", "."}:
            kept.append(name)
    return "/" + "/".join(kept).lower()
