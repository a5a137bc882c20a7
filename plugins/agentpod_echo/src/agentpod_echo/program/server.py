"""Serves HTTP/1.1 and WebSockets: sockets and limits here, the protocols in h11 and wsproto.

Knows no route: a handler answers a request, and may answer with a stream or with a conversation.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import h11
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Message, Ping, TextMessage
from wsproto.utilities import RemoteProtocolError

MAX_BODY = 8 * 1024 * 1024
MAX_MESSAGE = 1024 * 1024
IDLE = 75.0
"""Seconds that a connection may take for its next request."""

GOODBYE = 1.0
"""Seconds that a peer has to end a conversation that was closed here."""

CHUNK = 65536


@dataclass(frozen=True)
class Request:
    """One request, whole; header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    peer: str
    local: str

    @property
    def wants_websocket(self) -> bool:
        """Whether the client asks for a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"

    def json(self) -> dict[str, Any]:
        """Read the body as a JSON object.

        Raises:
            ValueError: it is none.
        """
        value = json.loads(self.body or b"{}")
        if not isinstance(value, dict):
            raise ValueError("the body is no JSON object")  # noqa: TRY004 - one error for one kind of bad input
        return value


@dataclass(frozen=True)
class Response:
    """An answer. ``then`` runs once it is sent, ``talk`` takes the connection over as a WebSocket."""

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    then: Callable[[], None] | None = None
    talk: Callable[[Socket], Awaitable[None]] | None = None


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """Answer with JSON."""
    return Response(status=status, body=json.dumps(value).encode() + b"\n", headers=headers)


class Closed(Exception):  # noqa: N818 - an event more than an error
    """The peer ended the conversation."""


class Socket:
    """A WebSocket after its handshake."""

    def __init__(self, protocol: WSConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._protocol, self._reader, self._writer = protocol, reader, writer

    async def send(self, text: str) -> None:
        """Send one text message.

        Raises:
            Closed: the conversation is over.
        """
        if self._protocol.state is not ConnectionState.OPEN:
            raise Closed
        self._writer.write(self._protocol.send(TextMessage(data=text)))
        await self._writer.drain()

    async def receive(self) -> str:
        """Wait for the next message; bytes count as UTF-8.

        Raises:
            Closed: there will be none.
        """
        parts: list[str] = []
        try:
            while True:
                for event in self._protocol.events():
                    if isinstance(event, Ping):
                        self._writer.write(self._protocol.send(event.response()))
                    elif isinstance(event, CloseConnection):
                        self._writer.write(self._protocol.send(event.response()))
                        raise Closed
                    elif isinstance(event, Message):
                        parts.append(_text(event))
                        if sum(map(len, parts)) > MAX_MESSAGE:
                            await self.close(1009, "message too large")
                            raise Closed
                        if event.message_finished:
                            return "".join(parts)
                if not (data := await self._reader.read(CHUNK)):
                    raise Closed
                self._protocol.receive_data(data)
        except RemoteProtocolError as error:
            await self.close(1002, "protocol error")
            raise Closed from error

    async def close(self, code: int, reason: str = "") -> None:
        """Say good-bye; what the peer still sends is not read."""
        if self._protocol.state is not ConnectionState.OPEN:
            return
        self._writer.write(self._protocol.send(CloseConnection(code=code, reason=reason)))
        await self._writer.drain()


def _text(event: Message[Any]) -> str:
    if isinstance(event, BytesMessage):
        return bytes(event.data).decode("utf-8", "replace")
    return str(event.data)


Handler = Callable[[Request], Awaitable[Response]]


class Server:
    """Listens on one port and hands every request to ``handler``."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._sockets: set[Socket] = set()
        self._listener: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Start to listen; gives the port, which matters for port 0."""
        self._listener = await asyncio.start_server(self._connected, host, port, backlog=512)
        return int(self._listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop to listen and tell every open WebSocket that the server goes away."""
        if self._listener is not None:
            self._listener.close()
        goodbyes = (one.close(1001, "going away") for one in list(self._sockets))
        await asyncio.gather(*goodbyes, return_exceptions=True)

    @property
    def conversations(self) -> int:
        """How many WebSockets are open."""
        return len(self._sockets)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # An idle client may vanish without a word, and a WebSocket has no timeout of its own.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        protocol = h11.Connection(h11.SERVER)
        try:
            while await self._serve(protocol, reader, writer):
                protocol.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._refuse(protocol, writer, error.error_status_hint)
        except (ConnectionError, TimeoutError, h11.LocalProtocolError):
            pass  # the client is gone; there is nobody to tell
        finally:
            writer.close()

    async def _serve(
        self, protocol: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Serve one request; says whether the connection can take another."""
        async with asyncio.timeout(IDLE):
            head = await self._read(protocol, reader, writer)
            if not isinstance(head, h11.Request):
                return False
            body = bytearray()
            while isinstance(event := await self._read(protocol, reader, writer), h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    raise h11.RemoteProtocolError("body too large", error_status_hint=413)
        if isinstance(event, h11.ConnectionClosed):
            return False
        request = Request(
            method=head.method.decode(),
            path=head.target.decode("latin-1").partition("?")[0],
            headers={name.decode(): value.decode("latin-1") for name, value in head.headers},
            body=bytes(body),
            peer=str(writer.get_extra_info("peername")[0]),
            local=str(writer.get_extra_info("sockname")[0]),
        )
        response = await self._respond(request)
        if response.talk is not None and request.wants_websocket:
            await self._converse(head, protocol, response.talk, reader, writer)
            return False
        await self._send(protocol, writer, response)
        if response.then is not None:
            response.then()
        return protocol.our_state is h11.DONE and protocol.their_state is h11.DONE

    async def _read(
        self, protocol: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = protocol.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # h11's sentinels defeat the narrowing
            if protocol.they_are_waiting_for_100_continue:
                writer.write(protocol.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            protocol.receive_data(await reader.read(CHUNK))

    async def _respond(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except ValueError as error:  # JSON that is none, a field of the wrong kind
            return answer({"error": f"bad request: {error}"}, 400)
        except Exception as error:  # noqa: BLE001 - one broken request must not end the agent
            sys.stderr.write(f"{request.method} {request.path} failed: {type(error).__name__}: {error}\n")
            return answer({"error": "internal error"}, 500)

    async def _send(self, protocol: h11.Connection, writer: asyncio.StreamWriter, response: Response) -> None:
        headers = {"content-type": response.type, "cache-control": "no-store", **response.headers}
        if isinstance(response.body, bytes):
            headers["content-length"] = str(len(response.body))
        phrase = HTTPStatus(response.status).phrase
        head = h11.Response(status_code=response.status, headers=list(headers.items()), reason=phrase)
        writer.write(protocol.send(head) or b"")
        if isinstance(response.body, bytes):
            writer.write(protocol.send(h11.Data(data=response.body)) or b"")
        else:
            async for chunk in response.body:
                writer.write(protocol.send(h11.Data(data=chunk)) or b"")
                await writer.drain()
        writer.write(protocol.send(h11.EndOfMessage()) or b"")
        await writer.drain()

    async def _refuse(self, protocol: h11.Connection, writer: asyncio.StreamWriter, status: int) -> None:
        if protocol.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            await self._send(protocol, writer, answer({"error": HTTPStatus(status).phrase}, status, connection="close"))

    async def _converse(
        self,
        head: h11.Request,
        protocol: h11.Connection,
        talk: Callable[[Socket], Awaitable[None]],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        websocket = WSConnection(ConnectionType.SERVER)
        try:
            websocket.initiate_upgrade_connection(list(head.headers), head.target.decode("latin-1"))
        except RemoteProtocolError as error:
            raise h11.RemoteProtocolError(str(error), error_status_hint=400) from error
        next(websocket.events())
        writer.write(websocket.send(AcceptConnection()))
        websocket.receive_data(protocol.trailing_data[0])
        conversation = Socket(websocket, reader, writer)
        self._sockets.add(conversation)
        try:
            await talk(conversation)
        except Closed:
            pass  # the ordinary end of a conversation
        finally:
            self._sockets.discard(conversation)
        if websocket.state is ConnectionState.LOCAL_CLOSING:
            await _drain(reader)


async def _drain(reader: asyncio.StreamReader) -> None:
    """Read to the peer's end: closing with its data unread would reset the line and lose our good-bye."""
    try:
        async with asyncio.timeout(GOODBYE):
            while await reader.read(CHUNK):
                pass
    except TimeoutError:
        return
