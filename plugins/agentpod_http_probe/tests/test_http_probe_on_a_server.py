"""The HTTP probe against a real server on the loopback: answers, silence, and a port where nobody listens."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

from agentpod_core import Reply, TemporaryError
from agentpod_core.testing import HealthProbeContract
from agentpod_http_probe import HttpProbe

SETTINGS = {"path": "/readyz", "json": {"ready": True}, "websocket": {"path": "/ws", "expect": "hello"}}


class LocalLink:
    """A link over real sockets, with no more than this probe needs."""

    def __init__(self, port):
        self.port = port

    async def http(self, method, path, *, timeout=5.0, **_):  # noqa: ASYNC109 - part of the contract
        async with asyncio.timeout(timeout):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError as error:
                raise TemporaryError("Unreachable") from error
            with contextlib.closing(writer):
                writer.write(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        if not head:
            raise TemporaryError("ConnectionClosed")
        return Reply(status=int(head.split()[1]), body=body)

    @contextlib.asynccontextmanager
    async def websocket(self, path, *, timeout=5.0, **_):  # noqa: ASYNC109 - part of the contract
        try:
            socket = await connect(f"ws://127.0.0.1:{self.port}{path}", open_timeout=timeout, proxy=None)
        except (OSError, websockets.WebSocketException) as error:
            raise TemporaryError("Unreachable") from error
        async with socket:
            yield LocalSocket(socket)


class LocalSocket:
    def __init__(self, socket):
        self.socket = socket

    async def receive(self, timeout=5.0):  # noqa: ASYNC109 - part of the contract
        try:
            async with asyncio.timeout(timeout):
                return await self.socket.recv()
        except websockets.ConnectionClosed as error:
            raise TemporaryError("ConnectionClosed") from error


class Agent:
    """A small agent; ``status`` and ``body`` are what it answers, ``greeting`` what its WebSocket says."""

    def __init__(self):
        self.status = 200
        self.body = b'{"ready": true}'
        self.greeting = "hello there"
        self.port = 0

    def answer(self, connection, request):
        if request.path == "/ws":
            return None
        headers = Headers({"Content-Length": str(len(self.body)), "Connection": "close"})
        return Response(self.status, "answer", headers, self.body)

    async def greet(self, socket):
        if self.greeting:
            await socket.send(self.greeting)
        await socket.wait_closed()


@pytest.fixture
async def running():
    """An agent that listens on a port of its own."""
    agent = Agent()
    async with serve(agent.greet, "127.0.0.1", 0, process_request=agent.answer) as server:
        agent.port = server.sockets[0].getsockname()[1]
        yield agent


class TestHttpProbeOnAServer(HealthProbeContract):
    @pytest.fixture
    def probe(self):
        return HttpProbe()

    @pytest.fixture
    def settings(self):
        return SETTINGS

    @pytest.fixture
    def healthy(self, running):
        return LocalLink(running.port)

    @pytest.fixture
    def unhealthy(self, running):
        running.status = 503
        return LocalLink(running.port)

    @pytest.fixture
    def wrong_settings(self):
        return [{"path": 5}]


async def verdict(port, timeout=5.0):  # noqa: ASYNC109 - the probe's own
    """Check once and give the verdict."""
    result = await HttpProbe().check(LocalLink(port), SETTINGS, timeout=timeout)
    return result.alive, result.ready, result.reason


async def test_agent_that_changes_its_mind_is_seen(running):
    """Each check sees the agent as it is now."""
    assert await verdict(running.port) == (True, True, "Answering")
    running.body = b'{"ready": false}'
    assert await verdict(running.port) == (True, False, "WrongAnswer")
    running.body, running.greeting = b'{"ready": true}', "go away"
    assert await verdict(running.port) == (True, False, "WrongAnswer")
    running.greeting = ""
    assert await verdict(running.port, timeout=0.3) == (True, False, "Timeout")
    running.greeting = "hello"
    assert await verdict(running.port) == (True, True, "Answering")


async def test_port_without_a_listener_is_unreachable(running):
    """Nobody there is told apart from somebody who is silent."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    assert await verdict(port) == (False, False, "Unreachable")


async def test_hung_process_is_a_timeout():
    """A process that takes connections and never answers is found out in time."""
    writers = []

    async def swallow(reader, writer):
        writers.append(writer)
        await reader.read()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        assert await verdict(server.sockets[0].getsockname()[1], timeout=0.2) == (False, False, "Timeout")
        for writer in writers:
            writer.close()
