"""A link's WebSockets: both ways, no longer than asked, refused and broken ones."""

from __future__ import annotations

import pytest
from raw_agents import OK, TOKEN, Containers, Secrets, pod, raw_agent, speaking_agent

from agentpod_core.errors import TemporaryError
from agentpod_server.links import FORWARDED_FOR, AgentLinks


@pytest.fixture
def links():
    """Make links with a small limit."""
    return AgentLinks(Containers(), Secrets(), limit=1000)


async def test_websocket_speaks_both_ways(links):
    """A WebSocket sends and receives text, with credential, forwarded address and the caller's headers."""
    seen = {}

    async def talk(connection):
        seen.update(connection.request.headers.raw_items())
        async for text in connection:
            await connection.send(text.upper())

    async with (
        speaking_agent(talk) as endpoint,
        links.link(pod(), endpoint, "c").websocket("/ws?x=1", headers={"Origin": "https://a"}) as socket,
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
        speaking_agent(talk) as endpoint,
        links.link(pod(), endpoint, "c").websocket("/") as socket,
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
        speaking_agent(talk) as endpoint,
        links.link(pod(), endpoint, "c").websocket("/") as socket,
    ):
        with pytest.raises(TemporaryError, match="ConnectionClosed"):
            await socket.receive()


async def test_refused_websocket_tells_the_status(links):
    """A refused handshake is an error with the status; a redirect is refused too, and not followed."""
    followed = []
    async with raw_agent(OK, seen=followed) as other:
        location = f"Location: http://127.0.0.1:{other.port}/".encode()
        for status, extra in ((b"403 Forbidden", b"X: y"), (b"302 Found", location)):
            answer = b"HTTP/1.1 " + status + b"\r\n" + extra + b"\r\nContent-Length: 0\r\n\r\n"
            async with raw_agent(answer) as endpoint:
                with pytest.raises(TemporaryError) as caught:
                    async with links.link(pod(), endpoint, "c").websocket("/"):
                        pass
            assert (caught.value.reason, caught.value.params) == ("WebSocketRefused", {"status": int(status[:3])})
    assert followed == []


async def test_websocket_to_nobody(links):
    """Nobody listening, another protocol, and silence are told apart from refusal."""
    async with raw_agent(OK) as endpoint:
        pass
    with pytest.raises(TemporaryError, match="Unreachable"):
        async with links.link(pod(), endpoint, "c").websocket("/"):
            pass
    async with raw_agent(b"SSH-2.0\r\n") as endpoint:
        with pytest.raises(TemporaryError, match="Unreachable"):
            async with links.link(pod(), endpoint, "c").websocket("/"):
                pass
    async with raw_agent(b"", hold=True) as endpoint:
        with pytest.raises(TemporaryError, match="Timeout"):
            async with links.link(pod(), endpoint, "c").websocket("/", timeout=0.2):
                pass
