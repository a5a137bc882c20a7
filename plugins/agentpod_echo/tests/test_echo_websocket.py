"""The WebSocket, with a client that is not of this house."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

TOKEN = "a-token-of-the-tests"


def dial(echo, **options):
    """Open a WebSocket to the agent."""
    return connect(f"ws://{echo.address}/ws", proxy=None, **options)


async def test_a_bearer_token_opens_the_conversation(echo):
    """With the token in the handshake, hello names the pod and every message comes back as it was."""
    async with dial(echo, additional_headers=echo.bearer) as socket:
        hello = json.loads(await socket.recv())
        assert (hello["type"], hello["pod"], hello["tenant"]) == ("hello", "support", "acme")
        for text in ("one", "", "zwei ✓ 三", "x" * 100_000):
            await socket.send(text)
            assert await socket.recv() == text


async def test_a_first_message_may_carry_the_token(echo):
    """A browser sends the token as its first message."""
    async with dial(echo) as socket:
        await socket.send(json.dumps({"token": TOKEN}))
        assert json.loads(await socket.recv())["type"] == "hello"


async def test_a_wrong_bearer_token_is_refused_before_the_handshake(echo):
    """A wrong header gets 401, not a conversation."""
    with pytest.raises(InvalidStatus) as refusal:
        await dial(echo, additional_headers={"authorization": "Bearer wrong"})
    assert refusal.value.response.status_code == 401


@pytest.mark.parametrize("first", ['{"token": "wrong"}', '{"token": null}', "[]", "no json", "{}"])
async def test_a_wrong_first_message_ends_the_conversation(echo, first):
    """Without the token nothing is echoed: the socket is closed with 4401."""
    async with dial(echo) as socket:
        await socket.send(first)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == 4401


async def test_fragments_and_pings_are_understood(echo):
    """A message in fragments with a ping between comes back whole."""
    async with dial(echo, additional_headers=echo.bearer) as socket:
        await socket.recv()
        await socket.send(["one ", "two ", "three"])
        assert await socket.recv() == "one two three"
        await asyncio.wait_for(await socket.ping(), 2)


async def test_bytes_come_back_as_text(echo):
    """Binary messages count as UTF-8."""
    async with dial(echo, additional_headers=echo.bearer) as socket:
        await socket.recv()
        await socket.send("grüezi".encode())
        assert await socket.recv() == "grüezi"


async def test_a_message_that_is_too_large_ends_the_conversation(echo):
    """More than a mebibyte is refused with 1009, and the agent lives on."""
    async with dial(echo, additional_headers=echo.bearer) as socket:
        await socket.recv()
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.gather(socket.send("x" * 1_200_000), socket.recv())
    assert closed.value.rcvd.code == 1009
    assert (await echo.client.get("/healthz")).json()["conversations"] == 0


async def test_a_stop_says_good_bye(echo):
    """At SIGTERM an open WebSocket is told that the server goes away, and the process ends with success."""
    async with dial(echo, additional_headers=echo.bearer) as socket:
        await socket.recv()
        assert (await echo.client.get("/healthz")).json()["conversations"] == 1
        echo.stop()
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == 1001
    assert await echo.process.wait() == 0


async def test_plain_http_on_the_websocket_is_told_to_upgrade(echo):
    """A GET without an upgrade gets 426."""
    assert (await echo.client.get("/ws")).status_code == 426


async def test_a_broken_handshake_is_refused(echo):
    """An upgrade without its key gets 400."""
    headers = {"connection": "upgrade", "upgrade": "websocket", **echo.bearer}
    assert (await echo.client.get("/ws", headers=headers)).status_code == 400
