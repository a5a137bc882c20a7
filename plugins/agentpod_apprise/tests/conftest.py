"""Places on the loopback that messages arrive at: an HTTP server and a mail server."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy

import pytest


class Place:
    """Keeps what arrived; ``headers`` go with every answer of the HTTP server, ``reached`` says that somebody came."""

    def __init__(self):
        self.arrived = []
        self.headers = ""
        self.port = 0
        self.reached = asyncio.Event()

    async def texts(self):
        return list(self.arrived)

    async def answer_http(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1].partition("?")[0]
        length = next(int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:"))
        body = (await reader.readexactly(length)).decode()
        if path.startswith("/hangs"):
            await reader.read()
            return
        if path.startswith("/slow"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        status = int(path.strip("/")) if path.strip("/").isdigit() else 200
        if status == 200:
            self.arrived.append(body)
        writer.write(f"HTTP/1.1 {status} Told\r\n{self.headers}content-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()

    async def hang(self, reader, writer):
        await reader.read()

    async def answer_smtp(self, reader, writer):
        writer.write(b"220 here ESMTP\r\n")
        while line := await reader.readline():
            verb = line.decode().upper().split()[0]
            if verb == "DATA":
                writer.write(b"354 go on\r\n")
                mail = email.message_from_bytes(await reader.readuntil(b"\r\n.\r\n"), policy=email.policy.default)
                text = mail.get_body(("plain", "html")).get_content()
                self.arrived.append(f"{mail['from']} -> {mail['to']}: {mail['subject']}\n{text}")
            writer.write(b"221 bye\r\n" if verb == "QUIT" else b"250 fine\r\n")
            if verb == "QUIT":
                return

    @contextlib.asynccontextmanager
    async def served(self, answer):
        async def talk(reader, writer):
            self.reached.set()
            try:
                await answer(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            finally:
                writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()


@pytest.fixture
async def web():
    """An HTTP server that answers as its paths say."""
    place = Place()
    async with place.served(place.answer_http):
        yield place


@pytest.fixture
async def mail():
    """A mail server that takes everything."""
    place = Place()
    async with place.served(place.answer_smtp):
        yield place


@pytest.fixture
async def silent():
    """A server of whatever kind that takes connections and says nothing."""
    place = Place()
    async with place.served(place.hang):
        yield place
