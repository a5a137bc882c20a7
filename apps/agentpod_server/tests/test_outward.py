"""Which of a name's addresses is connected to: families take turns, and one that swallows all holds up nobody."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
import uvloop

from agentpod_core.errors import TemporaryError
from agentpod_core.values.addresses import AllowedAddresses
from agentpod_server.notifiers import outward
from agentpod_server.notifiers.outward import Outward, in_turns
from agentpod_server.notifiers.testing import receiving

V4, V6 = socket.AF_INET, socket.AF_INET6
SWALLOWING = ("127.0.0.9", "127.0.0.10")


def outward_of(*addresses):
    """Give the way to a name with these addresses of the loopback."""
    return Outward(
        allowed=AllowedAddresses.of(["127.0.0.0/8"]), resolve=lambda _, port: [(V4, (one, port)) for one in addresses]
    )


@contextlib.contextmanager
def swallowing(port):
    """Have addresses on which nobody answers anything: their queues are full, and the system drops what comes."""
    with contextlib.ExitStack() as held:
        for address in SWALLOWING:
            listener = held.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(0)
            # One fills the queue. Should it not be in there yet, the other is.
            held.enter_context(socket.create_connection((address, port)))
            other = held.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex((address, port))
        yield


@pytest.mark.parametrize(
    ("found", "turns"),
    [
        ("6644", "6464"),
        ("4466", "4646"),
        ("66644", "64646"),
        ("644", "644"),
        ("64", "64"),
        ("444", "444"),
        ("6", "6"),
    ],
)
def test_families_take_turns(found, turns):
    """The resolver's first is the first, and each family keeps its own order."""
    families = {"4": V4, "6": V6}
    given = [(families[one], (number,)) for number, one in enumerate(found)]
    turned = in_turns(given)
    assert [family for family, _ in turned] == [families[one] for one in turns]
    for family in (V4, V6):
        assert [one for one in turned if one[0] is family] == [one for one in given if one[0] is family]


async def led_to():
    """Give the address that is connected to where two before it swallow all."""
    async with receiving() as receiver, asyncio.timeout(60):
        with swallowing(receiver.port):
            way = outward_of(*SWALLOWING, "127.0.0.1")
            with await way.connected("many.example", receiver.port) as connected:
                return connected.getpeername()[0]


@pytest.fixture
def patient(monkeypatch):
    """Give no address up."""
    monkeypatch.setattr(outward, "CONNECT_SECONDS", 600.0)


@pytest.mark.usefixtures("patient")
async def test_addresses_that_swallow_everything_hold_up_for_a_moment():
    """A machine whose IPv6 leads nowhere reaches a name with two such addresses before their tries are given up."""
    assert await led_to() == "127.0.0.1"


@pytest.mark.usefixtures("patient")
def test_it_is_so_on_the_servers_event_loop_too():
    """On uvloop the tries that are no longer needed end in order as well."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(led_to()) == "127.0.0.1"


async def test_address_that_says_no_costs_no_time(monkeypatch):
    """Where an address refuses, the next is tried at once."""
    monkeypatch.setattr(outward, "HEAD_START", 600.0)
    async with receiving() as receiver, asyncio.timeout(60):
        way = outward_of("127.0.0.9", "127.0.0.10", "127.0.0.1")
        with await way.connected("many.example", receiver.port) as connected:
            assert connected.getpeername()[0] == "127.0.0.1"


async def test_one_of_several_that_answer_at_once_is_taken(monkeypatch):
    """Connections that came a moment too late are closed, and nothing is said on them."""
    monkeypatch.setattr(outward, "HEAD_START", 0.0)
    connect, connected_to, all_are, said = outward._connected, [], asyncio.Event(), asyncio.Queue()

    async def together(*where):
        made = await connect(*where)
        connected_to.append(where)
        if len(connected_to) == 3:
            all_are.set()
        try:
            await all_are.wait()
        except asyncio.CancelledError:
            made.close()
            raise
        return made

    async def talk(reader, writer):
        said.put_nowait(await reader.read())
        writer.close()

    monkeypatch.setattr(outward, "_connected", together)
    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server, asyncio.timeout(60):
        port = server.sockets[0].getsockname()[1]
        with await outward_of(*["127.0.0.1"] * 3).connected("many.example", port) as connected:
            connected.sendall(b"hello")
        assert sorted([await said.get() for _ in range(3)]) == [b"", b"", b"hello"]


async def test_all_that_went_wrong_is_told(monkeypatch):
    """Where no address is reached, each cause is told once."""
    monkeypatch.setattr(outward, "CONNECT_SECONDS", 1.0)
    async with receiving() as receiver:
        port = receiver.port
        with swallowing(port), pytest.raises(TemporaryError) as caught:
            await outward_of(*SWALLOWING, "127.0.0.11").connected("many.example", port)
    refused, late = caught.value.params["cause"].split("; ")
    assert "127.0.0.11" in refused or "refused" in refused.lower()
    assert late == "it takes no connection in time"
