"""The fakes that probes, adapters and the engine are tested with."""

from __future__ import annotations

import asyncio

import pytest

from agentpod_core import ExecResult, Reply
from agentpod_core.errors import NotFoundError, TemporaryError
from agentpod_core.testing import FakeClock, FakeLink, SocketScript


async def test_clock_stands_still_until_it_is_moved():
    """Time passes only by hand, and sleepers wake at their own moments, in order."""
    clock, woken = FakeClock(), []

    async def sleeper(seconds):
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic(), clock.now().second))

    tasks = [asyncio.ensure_future(sleeper(seconds)) for seconds in (3, 1, 2)]
    await clock.advance(0.5)
    assert (woken, clock.sleepers) == ([], 3)
    await clock.advance(2)
    assert woken == [(1, 1.0, 1), (2, 2.0, 2)]
    await clock.advance(10)
    assert woken[-1] == (3, 3.0, 3)
    assert clock.monotonic() == 12.5
    await asyncio.gather(*tasks)


async def test_sleeper_that_sleeps_again_is_woken_within_one_move():
    """A loop that sleeps a second runs five times in five seconds."""
    clock, turns = FakeClock(), []

    async def loop():
        while True:
            await clock.sleep(1)
            turns.append(clock.monotonic())

    task = asyncio.ensure_future(loop())
    await clock.advance(5)
    assert turns == [1, 2, 3, 4, 5]
    task.cancel()
    await clock.advance(5)
    assert len(turns) == 5


async def test_eager_clock_never_waits():
    """Where waiting is not the matter, a sleep moves the clock by itself."""
    clock = FakeClock(is_eager=True)
    await clock.sleep(30)
    assert (clock.monotonic(), clock.slept) == (30, [30])


async def test_link_answers_by_script_and_notes_what_was_asked():
    """A reply per method and path, 404 for the rest."""
    link = FakeLink({"GET /a": Reply(status=200), "/b": lambda asked: Reply(status=201, body=asked.method.encode())})
    assert (await link.http("GET", "/a")).status == 200
    assert (await link.http("POST", "/a", json={"x": 1}, port="admin")).status == 404
    assert (await link.http("PUT", "/b")).body == b"PUT"
    assert [(one.method, one.path, one.port, one.json) for one in link.asked][1] == ("POST", "/a", "admin", {"x": 1})


async def test_link_cuts_what_is_too_long():
    """Size is bounded, and the reply says so."""
    reply = await FakeLink({"/": Reply(status=200, body=b"x" * 100)}, limit=10).http("GET", "/")
    assert (len(reply.body), reply.cut) == (10, True)


@pytest.mark.parametrize(("fault", "reason"), [("unreachable", "Unreachable"), ("silent", "Timeout")])
async def test_link_fails_as_the_real_one_does(fault, reason):
    """Every call of an unreachable or silent agent is a temporary error."""
    link = FakeLink(**{fault: True})
    calls = [link.http("GET", "/", timeout=0.01), link.exec(("true",), timeout=0.01)]
    for call in calls:
        with pytest.raises(TemporaryError) as caught:
            await call
        assert caught.value.reason == reason
    with pytest.raises(TemporaryError):
        async with link.websocket("/", timeout=0.01):
            pass


async def test_link_raises_what_is_scripted():
    """An exception can stand for a reply."""
    with pytest.raises(TemporaryError):
        await FakeLink({"/": TemporaryError("ConnectionClosed")}).http("GET", "/")


async def test_socket_greets_answers_and_ends():
    """A script speaks first, answers, and runs into the caller's timeout when it has no more to say."""
    link = FakeLink(sockets={"/ws": SocketScript(greets=("hello",), answers=lambda text: [text.upper()])})
    async with link.websocket("/ws") as socket:
        assert await socket.receive() == "hello"
        await socket.send("ping")
        assert await socket.receive() == "PING"
        with pytest.raises(TemporaryError) as caught:
            await socket.receive(timeout=0.01)
        assert caught.value.reason == "Timeout"
    assert link.opened[0].sent == ["ping"]
    with pytest.raises(TemporaryError):
        await link.opened[0].send("too late")


async def test_socket_may_close_or_refuse():
    """A closed connection and a refused handshake are errors of their own."""
    link = FakeLink(sockets={"/closes": SocketScript(closes=True)})
    async with link.websocket("/closes") as socket:
        with pytest.raises(TemporaryError) as caught:
            await socket.receive()
        assert caught.value.reason == "ConnectionClosed"
    with pytest.raises(TemporaryError) as caught:
        async with link.websocket("/refuses"):
            pass
    assert caught.value.reason == "Unreachable"


async def test_files_commands_and_credentials_are_scripted():
    """The rest of a link, with the answers of an agent that has nothing."""
    link = FakeLink(files={"/f": b"abc"}, commands={("id",): ExecResult(code=0)}, credentials={"token": "t"})
    assert (await link.read("/f"), await link.read("/f", limit=2), await link.read("/g")) == (b"abc", b"ab", None)
    assert (await link.exec(("id",))).code == 0
    assert (await link.exec(("nothing",))).code == 127
    assert link.credential("token") == "t"
    with pytest.raises(NotFoundError):
        link.credential("other")
