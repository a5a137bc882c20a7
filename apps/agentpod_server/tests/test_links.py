"""What an agent is asked over HTTP, by commands and by files, and what its answers come back as."""

from __future__ import annotations

import asyncio

import pytest
import uvloop
from raw_agents import OK, TOKEN, Containers, Secrets, pod, raw_agent, speaking_agent

from agentpod_core.errors import PermanentError, TemporaryError
from agentpod_core.values.workload import Port, Workload
from agentpod_core.values.world import Endpoint
from agentpod_server.links import FORWARDED_FOR, AgentLinks


@pytest.fixture
def links():
    """Make links with a small limit."""
    return AgentLinks(Containers(), Secrets(), limit=1000)


async def test_answer_comes_back_whole(links):
    """Status, headers in lower case and body of the answer come back."""
    async with raw_agent(OK) as endpoint:
        reply = await links.link(pod(), endpoint, "c").http("GET", "/healthz?x=1")
    assert (reply.status, reply.body, reply.cut) == (200, b"hi", False)
    assert reply.headers == {"content-type": "text/plain", "content-length": "2"}


async def test_request_carries_credential_and_forwarded_address(links):
    """A request has bearer token and forwarded address, whatever the caller gave, and JSON as its body."""
    seen = []
    given = {"X-Forwarded-For": "127.0.0.1", "AUTHORIZATION": "Bearer other", "X-Own": "1"}
    async with raw_agent(OK, seen=seen) as endpoint:
        await links.link(pod(), endpoint, "c").http("post", "/rpc", json={"a": "ü"}, headers=given)
    head, body = seen[0].decode().split("\r\n\r\n")
    line, *fields = head.split("\r\n")
    assert line == "POST /rpc HTTP/1.1"
    assert body == '{"a":"ü"}'
    assert sorted(fields) == sorted(
        [
            f"host: 127.0.0.1:{endpoint.port}",
            f"authorization: Bearer {TOKEN}",
            f"x-forwarded-for: {FORWARDED_FOR}",
            "x-own: 1",
            "content-type: application/json",
            "content-length: 10",
            "accept-encoding: identity",
            "connection: close",
        ]
    )


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 503, b"abc"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.9/\r\nContent-Length: 0\r\n\r\n", 302, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx", 201, b"x"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81", 101, b""),
    ],
)
@pytest.mark.parametrize("drip", [0.0, 0.0001])
async def test_every_kind_of_answer_is_an_answer(links, answer, status, body, drip):
    """Chunks, an end by closing, redirects (not followed), interim answers: nothing the agent says raises."""
    async with raw_agent(answer, drip=drip) as endpoint:
        reply = await links.link(pod(), endpoint, "c").http("GET", "/")
    assert (reply.status, reply.body) == (status, body)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_answer_without_body_needs_no_end(links, status):
    """An answer that has no body is complete after its headers, even when the agent keeps the line open."""
    async with raw_agent(b"HTTP/1.1 " + status + b"\r\n\r\n", hold=True) as endpoint:
        reply = await links.link(pod(), endpoint, "c").http("GET", "/", timeout=2)
    assert reply.status == int(status[:3])


async def test_head_has_no_body(links):
    """The length in the answer to HEAD is not waited for."""
    async with raw_agent(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", hold=True) as endpoint:
        reply = await links.link(pod(), endpoint, "c").http("HEAD", "/", timeout=2)
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize("size", [1000, 1001, 50_000])
async def test_large_body_is_cut(links, size):
    """A body is cut at the limit, and says so; one of exactly the limit is whole."""
    async with raw_agent(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + b"a" * size) as endpoint:
        reply = await links.link(pod(), endpoint, "c").http("GET", "/")
    assert (len(reply.body), reply.cut) == (1000, size > 1000)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_no_http_is_unreachable(links, answer):
    """Silence, another protocol or half an answer count as unreachable."""
    async with raw_agent(answer) as endpoint:
        with pytest.raises(TemporaryError) as caught:
            await links.link(pod(), endpoint, "c").http("GET", "/")
    assert caught.value.reason == "Unreachable"


async def test_endless_headers_are_given_up(links):
    """Headers without an end are given up once they are too large, not when the time is over."""
    async with raw_agent(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000, hold=True) as endpoint:
        with pytest.raises(TemporaryError) as caught:
            await links.link(pod(), endpoint, "c").http("GET", "/", timeout=10)
    assert caught.value.reason == "Unreachable"


async def test_closed_port_is_unreachable(links):
    """Where nobody listens, the agent is unreachable."""
    async with raw_agent(OK) as endpoint:
        pass
    with pytest.raises(TemporaryError) as caught:
        await links.link(pod(), endpoint, "c").http("GET", "/")
    assert caught.value.reason == "Unreachable"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na"])
async def test_hung_agent_times_out(links, answer):
    """An agent that takes the connection and says nothing, or not all, is given up in time."""
    loop = asyncio.get_running_loop()
    async with raw_agent(answer, hold=True) as endpoint:
        begun = loop.time()
        with pytest.raises(TemporaryError) as caught:
            await links.link(pod(), endpoint, "c").http("GET", "/", timeout=0.2)
    assert caught.value.reason == "Timeout"
    assert loop.time() - begun < 1.5


async def test_timeout_bounds_everything(links):
    """An agent that sends one byte at a time cannot stretch the time of a call."""
    async with raw_agent(OK, drip=0.05) as endpoint:
        with pytest.raises(TemporaryError) as caught:
            await links.link(pod(), endpoint, "c").http("GET", "/", timeout=0.3)
    assert caught.value.reason == "Timeout"


async def test_cancelling_leaves_nothing_open(links):
    """A cancelled call closes its connection at once."""
    closed = asyncio.Event()

    async def talk(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        closed.set()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    endpoint = Endpoint(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    task = asyncio.create_task(links.link(pod(), endpoint, "c").http("GET", "/", timeout=60))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(closed.wait(), 5)
    server.close()


@pytest.mark.parametrize("path", ["healthz", "/a b", "/a\r\nx: y", "/ü", "http://other/"])
async def test_path_cannot_end_the_request_line(links, path):
    """What cannot stand in a request line is refused before anything is sent."""
    link = links.link(pod(), Endpoint(host="127.0.0.1", port=1), "c")
    with pytest.raises(ValueError, match="path"):
        await link.http("GET", path)
    with pytest.raises(ValueError, match="path"):
        async with link.websocket(path):
            pass


async def test_named_port_is_the_workloads(links):
    """A port is named as the workload names it; an unknown name is the caller's mistake."""
    async with raw_agent(OK) as endpoint:
        workload = Workload(image="x", ports=(Port(name="admin", number=endpoint.port),))
        link = links.link(pod(workload=workload), Endpoint(host="127.0.0.1", port=1), "c")
        assert (await link.http("GET", "/", port="admin")).status == 200
        with pytest.raises(PermanentError, match="UnknownPort"):
            await link.http("GET", "/", port="debug")


async def test_commands_and_files_go_through_the_runtime(links):
    """Commands and files are the runtime's, for the container that was observed, within the limit."""
    link = links.link(pod(), Endpoint(host="127.0.0.1", port=1), "c9")
    assert (await link.exec(("ls",), timeout=3)).stdout == b"c9 ('ls',) 3 1000"
    assert await link.read("/x", limit=7) == b"c9 /x 7"


def test_other_event_loop_serves_as_well(links):
    """HTTP and WebSocket work under uvloop, which the server runs on."""

    async def echo(connection):
        async for text in connection:
            await connection.send(text)

    async def talk():
        async with raw_agent(OK) as endpoint:
            assert (await links.link(pod(), endpoint, "c").http("GET", "/")).body == b"hi"
        async with speaking_agent(echo) as endpoint, links.link(pod(), endpoint, "c").websocket("/") as socket:
            await socket.send("x")
            assert await socket.receive() == "x"

    uvloop.run(talk())


async def test_hundred_agents_at_once(links):
    """A hundred agents are asked in one go; the hung one among them holds up none of the others."""
    async with raw_agent(OK) as good, raw_agent(b"", hold=True) as hung:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        stuck = asyncio.create_task(links.link(pod(), hung, "c").http("GET", "/", timeout=5))
        replies = await asyncio.gather(*(links.link(pod(), good, "c").http("GET", "/") for _ in range(100)))
        assert [reply.status for reply in replies] == [200] * 100
        assert loop.time() - begun < 3
        assert not stuck.done()
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck
