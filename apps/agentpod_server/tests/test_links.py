from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest
import uvloop
from websockets.asyncio.server import serve

from agentpod_core.controller.probing import OUR_OWN
from agentpod_core.errors import NotFoundError, PermanentError, TemporaryError
from agentpod_core.plugpoints.link import ExecResult
from agentpod_core.ports import PodInput
from agentpod_core.values.pods import Lease, PodSpec
from agentpod_core.values.workload import Port, SecretRef, Workload
from agentpod_core.values.world import Endpoint
from agentpod_http_probe import HttpProbe
from agentpod_openclaw import OpenClawProbe
from agentpod_server.links import FORWARDED_FOR, AgentLinks

TOKEN = "hunter2-token"
REF = SecretRef(key="pods/1/token")


def _pod(**changes) -> PodInput:
    workload = Workload(image="x", ports=(Port(name="http", number=1), Port(name="admin", number=2)))
    lease = Lease(number=0, subnet="10.214.0.0/26", gateway="10.214.0.1")
    fields = {
        "id": "1",
        "name": "main",
        "tenant_id": "t1",
        "tenant": "acme",
        "generation": 1,
        "spec": PodSpec(adapter="echo"),
        "workload": workload,
        "lease": lease,
        "address": "10.214.0.2",
        "hosts": (),
        "secrets": {"token": REF},
        "credential": "token",
    }
    return PodInput(**{**fields, **changes})


class _Containers:
    """As much of a runtime as links use."""

    async def exec(self, container, argv, *, timeout, limit):  # noqa: ASYNC109
        return ExecResult(code=0, stdout=f"{container} {argv} {timeout} {limit}".encode())

    async def read(self, container, path, *, limit):
        return f"{container} {path} {limit}".encode()


class _Secrets:
    """Counts how often a secret is asked for."""

    def __init__(self, value=TOKEN):
        self.value = value
        self.asked = []
        self.trouble = None
        self.takes = 0.0

    async def __call__(self, tenant, ref):
        self.asked.append((tenant, ref))
        await asyncio.sleep(self.takes)
        if self.trouble is not None:
            raise self.trouble
        return self.value


@pytest.fixture
def secrets():
    """Keep one secret."""
    return _Secrets()


@pytest.fixture
def links(secrets):
    """Make links with a small limit."""
    return AgentLinks(_Containers(), secrets, limit=1000)


@asynccontextmanager
async def _agent(answer: bytes | None, *, seen: list | None = None, hold: bool = False, drip: float = 0.0):
    """Serve raw bytes to every request; None closes at once, ``hold`` keeps the connection open afterwards."""

    async def talk(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
            if seen is not None:
                seen.append(head + await reader.readexactly(length))
            if answer is not None:
                for piece in [answer] if not drip else [answer[i : i + 1] for i in range(len(answer))]:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(drip)
            if hold:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield Endpoint(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"


async def test_answer_comes_back_whole(links):
    """Status, headers in lower case and body of the answer come back."""
    async with _agent(OK) as endpoint:
        reply = await links.link(_pod(), endpoint, "c").http("GET", "/healthz?x=1")
    assert (reply.status, reply.body, reply.cut) == (200, b"hi", False)
    assert reply.headers == {"content-type": "text/plain", "content-length": "2"}


async def test_request_carries_credential_and_forwarded_address(links):
    """A request has bearer token and forwarded address, whatever the caller gave, and JSON as its body."""
    seen = []
    given = {"X-Forwarded-For": "127.0.0.1", "AUTHORIZATION": "Bearer other", "X-Own": "1"}
    async with _agent(OK, seen=seen) as endpoint:
        await links.link(_pod(), endpoint, "c").http("post", "/rpc", json={"a": "ü"}, headers=given)
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


async def test_no_credential_where_none_is_wanted(links, secrets):
    """Without credentials the token is neither sent nor read; a pod without credential sends none."""
    seen = []
    async with _agent(OK, seen=seen) as endpoint:
        await links.link(_pod(), endpoint, "c").http("GET", "/", credentials=False)
        assert secrets.asked == []
        await links.link(_pod(credential=None, secrets={}), endpoint, "c").http("GET", "/")
    assert not any(b"authorization" in head for head in seen)
    assert all(f"x-forwarded-for: {FORWARDED_FOR}".encode() in head for head in seen)


async def test_secret_is_read_once(links, secrets):
    """The store is asked once for each secret of a pod, however many calls there are, and however many pods."""
    refs = {name: SecretRef(key=name) for name in ("token", "other")}
    many = [links.link(_pod(secrets=refs), Endpoint(host="127.0.0.1", port=1), "c") for _ in range(2000)]
    for _ in range(2):
        for link in many:
            await link._headers({}, 5.0, credentials=True)
    assert secrets.asked == [("t1", refs["token"]), ("t1", refs["other"])] * 2000


async def test_credential_for_handshakes(links):
    """A secret by name is there after the first call; an unknown one is not found."""
    async with _agent(OK) as endpoint:
        link = links.link(_pod(), endpoint, "c")
        with pytest.raises(TemporaryError, match="CredentialNotRead"):
            link.credential("token")
        await link.http("GET", "/")
    assert link.credential("token") == TOKEN
    with pytest.raises(NotFoundError, match="SecretNotFound"):
        link.credential("other")


@pytest.mark.parametrize(
    "trouble",
    [
        NotFoundError("SecretNotFound", key="a"),
        TemporaryError("VaultSealed", retry_after=5, hint="seal"),
        PermanentError("X"),
    ],
)
async def test_a_store_that_fails_is_no_word_of_the_agents(links, secrets, trouble):
    """When a secret cannot be read, nothing is sent, and the reason is one of its own that names the cause."""
    secrets.trouble = trouble
    seen = []
    async with _agent(OK, seen=seen) as endpoint:
        link = links.link(_pod(), endpoint, "c")
        with pytest.raises(TemporaryError) as caught:
            await link.http("GET", "/")
        with pytest.raises(TemporaryError, match="SecretNotRead"):
            async with link.websocket("/"):
                pass
    facts = {**trouble.params, "secret": "token", "cause": trouble.reason}
    assert (caught.value.reason, caught.value.params, seen) == ("SecretNotRead", facts, [])


async def test_a_store_that_hangs_is_told_before_the_time_is_over(links, secrets):
    """Whoever waits as long as the call may take hears of the store, and not of an agent that is silent."""
    secrets.takes = 60.0
    link = links.link(_pod(), Endpoint(host="127.0.0.1", port=1), "c")
    with pytest.raises(TemporaryError) as caught:
        async with asyncio.timeout(0.4):
            await link.http("GET", "/", timeout=0.4)
    assert (caught.value.reason, caught.value.params) == ("SecretNotRead", {"secret": "token", "cause": "Timeout"})


@pytest.mark.parametrize("probe", [HttpProbe, OpenClawProbe])
@pytest.mark.parametrize("fault", ["sealed", "hanging"])
async def test_no_agent_is_found_dead_for_a_secret(links, secrets, probe, fault):
    """A vault that is sealed or hangs leads to a reason that the controller knows for no answer."""
    secrets.takes, secrets.trouble = (60.0, None) if fault == "hanging" else (0.0, TemporaryError("VaultSealed"))
    settings = {"path": "/"} if probe is HttpProbe else {}
    async with _agent(OK) as endpoint:
        result = await probe().check(links.link(_pod(), endpoint, "c"), settings, timeout=0.4)
    assert (result.reason, result.reason in OUR_OWN) == ("SecretNotRead", True)


async def test_a_slow_store_is_read_bit_by_bit(links, secrets):
    """What was read before the time was over needs not be read again."""
    secrets.takes = 0.15
    refs = {name: SecretRef(key=name) for name in ("token", "second", "third")}
    async with _agent(OK) as endpoint:
        link = links.link(_pod(secrets=refs), endpoint, "c")
        with pytest.raises(TemporaryError, match="SecretNotRead"):
            await link.http("GET", "/", timeout=0.5)
        assert (await link.http("GET", "/", timeout=0.8)).status == 200
    assert [ref.key for _, ref in secrets.asked] == ["token", "second", "second", "third"]


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
    async with _agent(answer, drip=drip) as endpoint:
        reply = await links.link(_pod(), endpoint, "c").http("GET", "/")
    assert (reply.status, reply.body) == (status, body)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_answer_without_body_needs_no_end(links, status):
    """An answer that has no body is complete after its headers, even when the agent keeps the line open."""
    async with _agent(b"HTTP/1.1 " + status + b"\r\n\r\n", hold=True) as endpoint:
        reply = await links.link(_pod(), endpoint, "c").http("GET", "/", timeout=2)
    assert reply.status == int(status[:3])


async def test_head_has_no_body(links):
    """The length in the answer to HEAD is not waited for."""
    async with _agent(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", hold=True) as endpoint:
        reply = await links.link(_pod(), endpoint, "c").http("HEAD", "/", timeout=2)
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize("size", [1000, 1001, 50_000])
async def test_large_body_is_cut(links, size):
    """A body is cut at the limit, and says so; one of exactly the limit is whole."""
    async with _agent(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + b"a" * size) as endpoint:
        reply = await links.link(_pod(), endpoint, "c").http("GET", "/")
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
    async with _agent(answer) as endpoint:
        with pytest.raises(TemporaryError) as caught:
            await links.link(_pod(), endpoint, "c").http("GET", "/")
    assert caught.value.reason == "Unreachable"


async def test_endless_headers_are_given_up(links):
    """Headers without an end are given up once they are too large, not when the time is over."""
    async with _agent(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000, hold=True) as endpoint:
        with pytest.raises(TemporaryError) as caught:
            await links.link(_pod(), endpoint, "c").http("GET", "/", timeout=10)
    assert caught.value.reason == "Unreachable"


async def test_closed_port_is_unreachable(links):
    """Where nobody listens, the agent is unreachable."""
    async with _agent(OK) as endpoint:
        pass
    with pytest.raises(TemporaryError) as caught:
        await links.link(_pod(), endpoint, "c").http("GET", "/")
    assert caught.value.reason == "Unreachable"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na"])
async def test_hung_agent_times_out(links, answer):
    """An agent that takes the connection and says nothing, or not all, is given up in time."""
    loop = asyncio.get_running_loop()
    async with _agent(answer, hold=True) as endpoint:
        begun = loop.time()
        with pytest.raises(TemporaryError) as caught:
            await links.link(_pod(), endpoint, "c").http("GET", "/", timeout=0.2)
    assert caught.value.reason == "Timeout"
    assert loop.time() - begun < 1.5


async def test_timeout_bounds_everything(links):
    """An agent that sends one byte at a time cannot stretch the time of a call."""
    async with _agent(OK, drip=0.05) as endpoint:
        with pytest.raises(TemporaryError) as caught:
            await links.link(_pod(), endpoint, "c").http("GET", "/", timeout=0.3)
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
    task = asyncio.create_task(links.link(_pod(), endpoint, "c").http("GET", "/", timeout=60))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(closed.wait(), 5)
    server.close()


@pytest.mark.parametrize("path", ["healthz", "/a b", "/a\r\nx: y", "/ü", "http://other/"])
async def test_path_cannot_end_the_request_line(links, path):
    """What cannot stand in a request line is refused before anything is sent."""
    link = links.link(_pod(), Endpoint(host="127.0.0.1", port=1), "c")
    with pytest.raises(ValueError, match="path"):
        await link.http("GET", path)
    with pytest.raises(ValueError, match="path"):
        async with link.websocket(path):
            pass


async def test_header_cannot_begin_another(links, secrets):
    """A header with a line end is refused without repeating its value, even when it is the secret's."""
    secrets.value = f"{TOKEN}\r\nx: y"
    with pytest.raises(ValueError, match="authorization") as caught:
        await links.link(_pod(), Endpoint(host="127.0.0.1", port=1), "c").http("GET", "/")
    assert TOKEN not in str(caught.value)


async def test_named_port_is_the_workloads(links):
    """A port is named as the workload names it; an unknown name is the caller's mistake."""
    async with _agent(OK) as endpoint:
        workload = Workload(image="x", ports=(Port(name="admin", number=endpoint.port),))
        link = links.link(_pod(workload=workload), Endpoint(host="127.0.0.1", port=1), "c")
        assert (await link.http("GET", "/", port="admin")).status == 200
        with pytest.raises(PermanentError, match="UnknownPort"):
            await link.http("GET", "/", port="debug")


@asynccontextmanager
async def _socket_agent(talk, **options):
    async with serve(talk, "127.0.0.1", 0, **options) as server:
        yield Endpoint(host="127.0.0.1", port=server.sockets[0].getsockname()[1])


async def test_websocket_speaks_both_ways(links):
    """A WebSocket sends and receives text, with credential, forwarded address and the caller's headers."""
    seen = {}

    async def talk(connection):
        seen.update(connection.request.headers.raw_items())
        async for text in connection:
            await connection.send(text.upper())

    async with (
        _socket_agent(talk) as endpoint,
        links.link(_pod(), endpoint, "c").websocket("/ws?x=1", headers={"Origin": "https://a"}) as socket,
    ):
        await socket.send("hello")
        assert await socket.receive() == "HELLO"
    assert seen["authorization"] == f"Bearer {TOKEN}"
    assert seen["x-forwarded-for"] == FORWARDED_FOR
    assert seen["origin"] == "https://a"
    assert "Sec-WebSocket-Extensions" not in seen


async def test_websocket_waits_no_longer_than_asked(links):
    """Receiving ends with Timeout when nothing comes, and the socket goes on working."""

    async def talk(connection):
        await connection.recv()
        await connection.send("late")
        await connection.wait_closed()

    async with (
        _socket_agent(talk) as endpoint,
        links.link(_pod(), endpoint, "c").websocket("/") as socket,
    ):
        with pytest.raises(TemporaryError, match="Timeout"):
            await socket.receive(timeout=0.05)
        await socket.send("now")
        assert await socket.receive() == "late"


@pytest.mark.parametrize("how", ["close", "large", "binary"])
async def test_broken_websocket_is_closed(links, how):
    """A peer that closes, sends too much, or sends what is no text: the connection counts as closed."""

    async def talk(connection):
        if how == "large":
            await connection.send("a" * 2000)
        elif how == "binary":
            await connection.send(b"\xff\xfe")

    async with (
        _socket_agent(talk) as endpoint,
        links.link(_pod(), endpoint, "c").websocket("/") as socket,
    ):
        with pytest.raises(TemporaryError, match="ConnectionClosed"):
            await socket.receive()


async def test_refused_websocket_tells_the_status(links):
    """A refused handshake is an error with the status; a redirect is refused too, and not followed."""
    followed = []
    async with _agent(OK, seen=followed) as other:
        location = f"Location: http://127.0.0.1:{other.port}/".encode()
        for status, extra in ((b"403 Forbidden", b"X: y"), (b"302 Found", location)):
            answer = b"HTTP/1.1 " + status + b"\r\n" + extra + b"\r\nContent-Length: 0\r\n\r\n"
            async with _agent(answer) as endpoint:
                with pytest.raises(TemporaryError) as caught:
                    async with links.link(_pod(), endpoint, "c").websocket("/"):
                        pass
            assert (caught.value.reason, caught.value.params) == ("WebSocketRefused", {"status": int(status[:3])})
    assert followed == []


async def test_websocket_to_nobody(links):
    """Nobody listening, another protocol, and silence are told apart from refusal."""
    async with _agent(OK) as endpoint:
        pass
    with pytest.raises(TemporaryError, match="Unreachable"):
        async with links.link(_pod(), endpoint, "c").websocket("/"):
            pass
    async with _agent(b"SSH-2.0\r\n") as endpoint:
        with pytest.raises(TemporaryError, match="Unreachable"):
            async with links.link(_pod(), endpoint, "c").websocket("/"):
                pass
    async with _agent(b"", hold=True) as endpoint:
        with pytest.raises(TemporaryError, match="Timeout"):
            async with links.link(_pod(), endpoint, "c").websocket("/", timeout=0.2):
                pass


async def test_commands_and_files_go_through_the_runtime(links):
    """Commands and files are the runtime's, for the container that was observed, within the limit."""
    link = links.link(_pod(), Endpoint(host="127.0.0.1", port=1), "c9")
    assert (await link.exec(("ls",), timeout=3)).stdout == b"c9 ('ls',) 3 1000"
    assert await link.read("/x", limit=7) == b"c9 /x 7"


async def test_no_secret_shows(links, caplog):
    """The token is in no repr, no log record of any level, and no error."""
    caplog.set_level(logging.DEBUG)

    async def talk(connection):
        await connection.send("hi")

    async with _socket_agent(talk) as endpoint:
        link = links.link(_pod(), endpoint, "c")
        async with link.websocket("/") as socket:
            await socket.receive()
        shown = [repr(link), str(vars(socket))]
    with pytest.raises(TemporaryError) as caught:
        await link.http("GET", "/")
    shown += [str(caught.value), repr(caught.value.__cause__)]
    ours = [record.getMessage() for record in caplog.records if "server" not in record.name]
    assert TOKEN not in " ".join(shown + ours)
    assert not [record for record in caplog.records if record.name.startswith("agentpod_server")]


def test_other_event_loop_serves_as_well(links):
    """HTTP and WebSocket work under uvloop, which the server runs on."""

    async def echo(connection):
        async for text in connection:
            await connection.send(text)

    async def talk():
        async with _agent(OK) as endpoint:
            assert (await links.link(_pod(), endpoint, "c").http("GET", "/")).body == b"hi"
        async with _socket_agent(echo) as endpoint, links.link(_pod(), endpoint, "c").websocket("/") as socket:
            await socket.send("x")
            assert await socket.receive() == "x"

    uvloop.run(talk())


async def test_hundred_agents_at_once(links):
    """A hundred agents are asked in one go; the hung one among them holds up none of the others."""
    async with _agent(OK) as good, _agent(b"", hold=True) as hung:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        stuck = asyncio.create_task(links.link(_pod(), hung, "c").http("GET", "/", timeout=5))
        replies = await asyncio.gather(*(links.link(_pod(), good, "c").http("GET", "/") for _ in range(100)))
        assert [reply.status for reply in replies] == [200] * 100
        assert loop.time() - begun < 3
        assert not stuck.done()
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck
