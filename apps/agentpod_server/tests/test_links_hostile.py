"""Agents that answer in order to do harm: whatever they send, asking them ends in time and takes little memory."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import socket
import threading
import time
import tracemalloc
from contextlib import contextmanager, suppress

import pytest

from agentpod_core.errors import AgentPodError, TemporaryError
from agentpod_core.ports import PodInput
from agentpod_core.values.pods import Lease, PodSpec
from agentpod_core.values.workload import Port, Workload
from agentpod_core.values.world import Endpoint
from agentpod_server import agent_http
from agentpod_server.links import LIMIT, AgentLinks

MIB = 1024 * 1024
TIMEOUT = 0.5
ROOM = 8 * MIB
"""A body at its limit, once in the reply and once on its way there, and what the reading itself takes."""
POD = PodInput(
    id="1",
    name="main",
    tenant_id="t1",
    tenant="acme",
    generation=1,
    spec=PodSpec(adapter="echo"),
    workload=Workload(image="x", ports=(Port(name="http", number=1),)),
    lease=Lease(number=0, subnet="10.214.0.0/26", gateway="10.214.0.1"),
    address="10.214.0.2",
    hosts=(),
)
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
SENT = itertools.repeat(b"x" * 65_536)


LINES = [b"".join(b"x-%d-%d: y\r\n" % (piece, line) for line in range(1000)) for piece in range(100)]
"""Header lines of different names, made before anything is measured: making them takes longer than reading them."""
BOMB = gzip.compress(bytes(64 * MIB))

ATTACKS = {
    "ten megabytes": (HEAD + b"content-length: 10485760\r\n\r\n", [b"x" * 65_536] * 160),
    "a body without end": (HEAD + b"\r\n", SENT),
    "a compressed bomb": (
        HEAD + f"content-encoding: gzip\r\ncontent-length: {len(BOMB)}\r\n\r\n".encode(),
        [BOMB],
    ),
    "headers without end": (HEAD, itertools.cycle(LINES)),
    "one header without end": (HEAD + b"x: ", SENT),
    "a status line without end": (b"HTTP/1.1 200 ", SENT),
    "interim answers without end": (b"", itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)),
    "chunks of one byte": (CHUNKED, itertools.repeat(b"1\r\nx\r\n" * 1000)),
    "a chunk's extension without end": (CHUNKED + b"1;", SENT),
    "a trailer without end": (CHUNKED + b"0\r\n", itertools.cycle(LINES)),
    "one trailer without end": (CHUNKED + b"0\r\nx: ", SENT),
    "a promise that is not kept": (HEAD + b"content-length: 9999999999999\r\n\r\nhi", ()),
    "nothing at all": (b"", ()),
}
OUTCOMES = {
    "ten megabytes": "cut",
    "a body without end": "cut",
    "a compressed bomb": "whole",
    "headers without end": "Unreachable",
    "one header without end": "Unreachable",
    "a status line without end": "Unreachable",
    "interim answers without end": "Unreachable",
    "chunks of one byte": "cut",
    "a chunk's extension without end": "cut",
    "a trailer without end": "cut",
    "one trailer without end": "cut",
    "a promise that is not kept": "Timeout",
    "nothing at all": "Timeout",
}


@contextmanager
def hostile(head: bytes, pieces):
    """Answer every request with that head, and go on with these pieces for as long as anybody reads.

    From a thread of its own, with blocking sockets: what it holds is not in the way of what is measured.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            peer.recv(65_536)
            peer.sendall(head)
            for piece in pieces:
                peer.sendall(piece)
            peer.recv(65_536)

    def listen() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=talk, args=(peer,), daemon=True).start()

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield Endpoint(host="127.0.0.1", port=listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


async def secret(tenant, ref):
    """Give no secret: none is asked for."""
    raise AssertionError((tenant, ref))


@pytest.fixture
def links():
    """Make links as the server does."""
    return AgentLinks(None, secret)


async def outcome(links, endpoint) -> str:
    """Ask once and say how it ended."""
    try:
        reply = await links.link(POD, endpoint, "c1").http("GET", "/", timeout=TIMEOUT)
    except AgentPodError as error:
        return error.reason
    assert len(reply.body) <= LIMIT
    return "cut" if reply.cut else "whole"


@pytest.mark.parametrize("attack", ATTACKS)
async def test_whatever_an_agent_sends_is_bounded(links, attack):
    """It ends in its time, with the right word for it, and next to nothing is kept in memory."""
    head, pieces = ATTACKS[attack]
    loop = asyncio.get_running_loop()
    with hostile(head, pieces) as endpoint:
        tracemalloc.start()
        try:
            began = loop.time()
            found = await outcome(links, endpoint)
            took = loop.time() - began
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (found, took < TIMEOUT + 0.5, peak < ROOM) == (OUTCOMES[attack], True, True), (took, peak)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_nobody_is_led_elsewhere(links, status):
    """A redirect is an answer; where it points to is never asked."""
    asked: list[bytes] = []

    async def note(reader, writer):
        asked.append(await reader.read(10))
        writer.close()

    elsewhere = await asyncio.start_server(note, "127.0.0.1", 0)
    port = elsewhere.sockets[0].getsockname()[1]
    head = f"HTTP/1.1 {status} Go\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 0\r\n\r\n"
    async with elsewhere:
        with hostile(head.encode(), ()) as endpoint:
            reply = await links.link(POD, endpoint, "c1").http("GET", "/", timeout=TIMEOUT)
            with pytest.raises(TemporaryError, match="WebSocketRefused"):
                async with links.link(POD, endpoint, "c1").websocket("/", timeout=TIMEOUT):
                    pass
    assert (reply.status, asked) == (status, [])


@pytest.mark.parametrize("attack", ["headers without end", "one header without end", "nothing at all"])
async def test_a_websocket_that_never_opens_is_given_up(links, attack):
    """Opening one is bounded as a request is."""
    loop = asyncio.get_running_loop()
    with hostile(*ATTACKS[attack]) as endpoint:
        began = loop.time()
        with pytest.raises(TemporaryError):
            async with links.link(POD, endpoint, "c1").websocket("/", timeout=TIMEOUT):
                pass
        took = loop.time() - began
    assert took < TIMEOUT + 1.0


async def test_asking_hostile_agents_again_and_again_keeps_nothing(links):
    """Of a hundred answers that were cut no more is left than of the last few."""
    with hostile(*ATTACKS["ten megabytes"]) as endpoint:
        for _ in range(10):
            await outcome(links, endpoint)
        tracemalloc.start()
        try:
            for _ in range(100):
                assert await outcome(links, endpoint) == "cut"
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert kept < 4 * MIB


@pytest.mark.parametrize("header", [b"a:\r\n", b"set-cookie: x\r\n"])
@pytest.mark.parametrize("size", [65_536, 262_144])
async def test_headers_hold_nobody_up(header, size):
    """However many there are at once, and however equal they are, reading them takes next to no time."""
    sent = HEAD + header * (size // len(header) + 1)
    took = []
    for _ in range(3):
        exchange = agent_http._Exchange(
            asyncio.get_running_loop().create_future(), b"", without_body=False, limit=LIMIT
        )
        began = time.process_time()
        exchange.data_received(sent[:size])
        exchange.data_received(sent[size:] or header)
        took.append(time.process_time() - began)
        with pytest.raises(TemporaryError):
            await exchange.reply
    assert min(took) < 0.02


async def test_a_body_behind_headers_in_one_piece_is_whole(links):
    """The bound is that of the headers, and what comes behind them in the same breath is read."""
    head = HEAD + b"x: " + b"y" * 60_000 + b"\r\ncontent-length: 100000\r\n\r\n"
    with hostile(head + b"b" * 100_000, ()) as endpoint:
        reply = await links.link(POD, endpoint, "c1").http("GET", "/", timeout=TIMEOUT)
    assert (reply.status, len(reply.body), reply.cut, len(reply.headers["x"])) == (200, 100_000, False, 60_000)


async def test_equal_headers_are_one(links):
    """Their values are joined in the order in which they came."""
    with hostile(HEAD + b"A: 1\r\nb: x\r\na: 2\r\nA: 3\r\ncontent-length: 0\r\n\r\n", ()) as endpoint:
        reply = await links.link(POD, endpoint, "c1").http("GET", "/", timeout=TIMEOUT)
    assert reply.headers == {"a": "1, 2, 3", "b": "x", "content-length": "0"}
