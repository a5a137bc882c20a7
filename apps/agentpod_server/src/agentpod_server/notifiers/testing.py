"""A receiver of webhooks for tests: a real server on the loopback that answers as its paths say.

``/hangs`` never answers, ``/closes`` closes, ``/endless`` never ends, ``/slow`` sends a byte now and then,
``/503`` answers with that status, and so on; anything else is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from msgspec import Struct

_YES = range(200, 300)


class Received(Struct, frozen=True, kw_only=True):
    """A request as it came in; header names are lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Keeps what was posted to it and taken; ``answer_headers`` go with every answer."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer_headers: dict[str, str] = {}
        self.connections = 0
        self.port = 0

    def url(self, path: str = "/") -> str:
        """Give the address of one of its paths."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def texts(self) -> list[str]:
        """Give the bodies that it took, oldest first."""
        return [one.body.decode() for one in self.received]

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            await self._answer(Received(path=line.split()[1], headers=headers, body=body), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _answer(self, one: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = one.path.partition("?")[0]
        if path == "/closes":
            return
        if path == "/hangs":
            await reader.read()
            return
        status = int(path[1:]) if path[1:].isdigit() else 200
        told = "".join(f"{name}: {value}\r\n" for name, value in self.answer_headers.items())
        writer.write(f"HTTP/1.1 {status} Told\r\n{told}".encode())
        if path == "/endless":
            writer.write(b"\r\n")
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
        if path == "/slow":
            writer.write(b"content-length: 100000\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        if status in _YES:
            self.received.append(one)
        writer.write(b"content-length: 2\r\n\r\nok")
        await writer.drain()


@contextlib.asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver on a free port."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.talk, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await server.wait_closed()
