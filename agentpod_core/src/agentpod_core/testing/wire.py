"""HTTP and WebSocket without a library, for tests of what stands between a client and an agent.

A library would tidy up a path before it is sent; here every byte goes out as it was written. It
speaks as much HTTP/1.1 as these tests need and is no client or server for anything else.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from msgspec import Struct

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE = 1, 8
SHORT = 126


class Answer(Struct, frozen=True, kw_only=True):
    """What came back: a status and the body as far as it was read. Header names are lower case."""

    status: int
    headers: dict[str, str] = {}
    body: str = ""


class Asked(Struct, frozen=True, kw_only=True):
    """A request as a backend got it. Header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]


class WebSocket:
    """One end of an open WebSocket, for short text messages."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, masks: bool) -> None:
        self._reader = reader
        self._writer = writer
        self._masks = masks

    async def send(self, text: str) -> None:
        """Send one message of less than 126 bytes."""
        payload = text.encode()
        if len(payload) >= SHORT:
            raise ValueError("only short messages are spoken here")
        self._writer.write(self._frame(TEXT, payload))
        await self._writer.drain()

    async def receive(self) -> str | None:
        """Wait for the next message; None when the other end is gone."""
        try:
            first, size = await self._reader.readexactly(2)
            mask = await self._reader.readexactly(4) if size & 0x80 else bytes(4)
            payload = await self._reader.readexactly(size & 0x7F)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        if first & 0x0F == CLOSE:
            return None
        return bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload)).decode()

    async def echoes(self, text: str) -> bool:
        """Say whether the other end is there and repeats what it hears."""
        with suppress(ConnectionError, TimeoutError):
            await self.send(text)
            async with asyncio.timeout(5):
                return await self.receive() == text
        return False

    async def close(self) -> None:
        """Hang up; fine a second time."""
        with suppress(ConnectionError):
            self._writer.write(self._frame(CLOSE, b""))
            await self._writer.drain()
        await hang_up(self._writer)

    def _frame(self, kind: int, payload: bytes) -> bytes:
        if not self._masks:
            return bytes([0x80 | kind, len(payload)]) + payload
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        return bytes([0x80 | kind, 0x80 | len(payload)]) + mask + masked


class Entrance(Struct, frozen=True, kw_only=True):
    """An address at which a router lets the public in; ``tls`` trusts any certificate."""

    address: str
    port: int
    tls: bool = False

    async def get(
        self,
        host: str,
        target: str = "/",
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,  # noqa: ASYNC109
    ) -> Answer:
        """Ask once on a connection of its own, with ``target`` sent as it is written."""
        async with asyncio.timeout(timeout):
            reader, writer = await self._connect(host)
            try:
                writer.write(_request(host, target, {"Connection": "close", **(headers or {})}))
                status, answered = await _answer_head(reader)
                body = await reader.read() if "content-length" not in answered else await _sized(reader, answered)
            finally:
                await hang_up(writer)
        return Answer(status=status, headers=answered, body=body.decode(errors="replace"))

    async def first_part(self, host: str, target: str, part: bytes) -> bool:
        """Say whether that part of an answer arrives before the answer is complete."""
        async with asyncio.timeout(10):
            reader, writer = await self._connect(host)
            try:
                writer.write(_request(host, target, {}))
                await reader.readuntil(part)
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                return False
            finally:
                await hang_up(writer)
        return True

    async def websocket(self, host: str, target: str = "/") -> WebSocket | Answer:
        """Open a WebSocket; an answer is the refusal."""
        key = base64.b64encode(os.urandom(16)).decode()
        wanted = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
        }
        async with asyncio.timeout(10):
            reader, writer = await self._connect(host)
            writer.write(_request(host, target, wanted))
            status, headers = await _answer_head(reader)
        if status != 101:
            await hang_up(writer)
            return Answer(status=status, headers=headers)
        return WebSocket(reader, writer, masks=True)

    async def certificate(self, host: str) -> bytes:
        """Give the certificate served for that host, as DER."""
        _, writer = await self._connect(host)
        try:
            connection = writer.get_extra_info("ssl_object")
            served: bytes = connection.getpeercert(binary_form=True)
        finally:
            await hang_up(writer)
        return served

    async def _connect(self, host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not self.tls:
            return await asyncio.open_connection(self.address, self.port)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return await asyncio.open_connection(self.address, self.port, ssl=context, server_hostname=host)


class Backend:
    """An agent's stand-in on a free port of loopback: says its name, keeps what it was asked, echoes WebSockets.

    ``/hang`` is never answered; ``/stream`` sends ``first`` and then waits until the backend closes.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[Asked] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A callback that is no coroutine function leaves the task to us: asyncio's own is loud when cancelled.
        talk = asyncio.ensure_future(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._turn(reader, writer):
                    pass
        finally:
            await hang_up(writer)

    async def _turn(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, headers = await read_head(reader)
        method, path, _ = first.split(" ", 2)
        self.asked.append(Asked(method=method, path=path, headers=headers))
        if headers.get("upgrade", "").lower() == "websocket":
            accepted = hashlib.sha1(f"{headers['sec-websocket-key']}{WEBSOCKET_GUID}".encode()).digest()  # noqa: S324 - RFC 6455
            lines = ("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket")
            accept = f"Sec-WebSocket-Accept: {base64.b64encode(accepted).decode()}"
            writer.write("\r\n".join([*lines, accept, "", ""]).encode())
            socket = WebSocket(reader, writer, masks=False)
            while (text := await socket.receive()) is not None:
                await socket.send(text)
            return False
        if path == "/hang":
            await asyncio.Event().wait()
        if path == "/stream":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            await asyncio.Event().wait()
        body = self.name.encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        return True


def own_address() -> str | None:
    """Give an address of this machine that is not loopback, None without a network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection whatever became of it."""
    writer.close()
    with suppress(ConnectionError, ssl.SSLError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()


def _request(host: str, target: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """Read the head of a request or an answer: its first line, and its headers by their names in lower case."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _answer_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first, headers = await read_head(reader)
    return int(first.split(" ")[1]), headers


async def _sized(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    return await reader.readexactly(int(headers["content-length"]))
