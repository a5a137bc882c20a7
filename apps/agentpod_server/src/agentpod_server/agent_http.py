"""One HTTP/1.1 request on one connection: bounded in time and size, and light on the processor.

No proxy, no redirect, no cookie, no compression, no reuse of connections: probes ask hundreds of agents all
the time, and whether one takes a new connection is half of the question.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any, cast

import httptools

from agentpod_core.errors import TemporaryError
from agentpod_core.plugpoints.link import Reply

HEADERS_LIMIT = 65_536

_TARGET = re.compile(r"/[!-~]*")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_SWITCHING = 101
_INTERIM = 200
_NO_BODY = frozenset({204, 304})


def is_target(path: str) -> bool:
    """Whether a path (and query) can stand in a request line as it is."""
    return _TARGET.fullmatch(path) is not None


async def request(  # noqa: PLR0913 - the fields of a request
    host: str,
    port: int,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: float,  # noqa: ASYNC109 - of everything, from the first packet to the last
    limit: int,
    connected: socket.socket | None = None,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """Send one request and give whatever is answered, its body cut at ``limit`` bytes.

    ``connected`` leads to that host already; whoever opened it closes it. With ``tls`` the host must have a
    certificate for its name.

    Raises:
        TemporaryError: ``Unreachable`` (no connection, or no HTTP behind it) or ``Timeout``.
        ValueError: method, target or headers cannot be sent as HTTP.
    """
    sent = _head(method, target, {"host": _authority(host, port), **headers}, body) + (body or b"")
    loop = asyncio.get_running_loop()
    exchange = _Exchange(loop.create_future(), sent, without_body=method.upper() == "HEAD", limit=limit)
    try:
        async with asyncio.timeout(timeout):
            # The dot that ends a whole name is for resolvers; no certificate has it.
            secured: dict[str, Any] = {} if tls is None else {"ssl": tls, "server_hostname": host.rstrip(".")}
            if connected is None:
                await loop.create_connection(lambda: exchange, host, port, **secured)
            else:
                await loop.create_connection(lambda: exchange, sock=connected, **secured)
            return await exchange.reply
    except TimeoutError:
        raise TemporaryError("Timeout") from None
    except OSError as error:
        raise TemporaryError("Unreachable", detail=error.strerror or type(error).__name__) from None
    finally:
        exchange.close()


class _Exchange(asyncio.Protocol):
    """The state of one request and its answer; ``reply`` is done when the answer is whole or cut."""

    def __init__(self, reply: asyncio.Future[Reply], sent: bytes, *, without_body: bool, limit: int) -> None:
        self.reply = reply
        self._sent = sent
        self._without_body = without_body
        self._limit = limit
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, list[str]] = {}
        self._received = 0
        self._trailer = 0
        self._in_body = False
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No isinstance here: the transports of other event loops only look like asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._sent)

    def data_received(self, data: bytes) -> None:
        if self.reply.done():
            return
        room = max(HEADERS_LIMIT - self._received, 0)
        self._received += len(data)
        if not self._in_body and len(data) > room:
            # Reading headers takes time, which nobody gets for more than are allowed.
            self._feed(data[:room])
            data = data[room:]
            if not self._in_body:
                self._fail("its headers are too large")
        if not self.reply.done():
            self._feed(data)
        if self._received - len(self._body) > HEADERS_LIMIT + self._limit:
            # More wrapping than a body could need: chunks of one byte, or one trailer without end.
            self._finish(cut=True)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._finish()
        except httptools.HttpParserError:
            self._fail("what came back is no HTTP")

    def connection_lost(self, exc: Exception | None) -> None:
        ends_at_close = not {"content-length", "transfer-encoding"} & self._headers.keys()
        if exc is None and self._in_body and ends_at_close:
            self._finish()
        else:
            self._fail("it closed the connection")

    def close(self) -> None:
        """Let go of the connection at once, finished or not."""
        if self._transport is not None:
            self._transport.abort()
        # The parser holds on to us; apart, both are gone at once, with the body, and not when garbage is collected.
        del self._parser
        if self.reply.done() and not self.reply.cancelled():
            self.reply.exception()
        else:
            self.reply.cancel()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:  # A trailer: nobody reads it, and what is in it costs time.
            self._trailer += len(name) + len(value)
            if self._trailer > HEADERS_LIMIT:
                self._finish(cut=True)
            return
        self._headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status == _SWITCHING or (status >= _INTERIM and (self._without_body or status in _NO_BODY)):
            self._finish()
        self._in_body = status >= _INTERIM

    def on_body(self, body: bytes) -> None:
        room = self._limit - len(self._body)
        self._body += body[:room]
        if len(body) > room:
            self._finish(cut=True)

    def on_message_complete(self) -> None:
        if self._in_body:
            self._finish()
        else:  # 100 and its like: the answer itself is still to come
            self._headers.clear()

    def _finish(self, *, cut: bool = False) -> None:
        if not self.reply.done():
            status = self._parser.get_status_code()
            headers = {name: ", ".join(values) for name, values in self._headers.items()}
            self.reply.set_result(Reply(status=status, headers=headers, body=bytes(self._body), cut=cut))

    def _fail(self, detail: str) -> None:
        if not self.reply.done():
            self.reply.set_exception(TemporaryError("Unreachable", detail=detail))


def _head(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """Write the request's head; nothing in it can begin a line of its own."""
    if not _NAME.fullmatch(method) or not is_target(target):
        raise ValueError("the method must be a word, the path must begin with / and be percent-encoded")
    length = {} if body is None else {"content-length": str(len(body))}
    lines = [f"{method.upper()} {target} HTTP/1.1"]
    for name, value in {**headers, **length, "accept-encoding": "identity", "connection": "close"}.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"the header {name!r} cannot be sent")
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
