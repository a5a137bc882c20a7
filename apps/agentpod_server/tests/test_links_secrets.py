"""How a link comes by its agent's secrets, what a store that fails or hangs means, and where none of them shows."""

from __future__ import annotations

import asyncio
import logging

import pytest
from raw_agents import OK, TOKEN, Containers, Secrets, pod, raw_agent, speaking_agent

from agentpod_core.controller.probing import OUR_OWN
from agentpod_core.errors import NotFoundError, PermanentError, TemporaryError
from agentpod_core.values.workload import SecretRef
from agentpod_core.values.world import Endpoint
from agentpod_http_probe import HttpProbe
from agentpod_openclaw import OpenClawProbe
from agentpod_server.links import FORWARDED_FOR, AgentLinks


@pytest.fixture
def secrets():
    """Keep one secret."""
    return Secrets()


@pytest.fixture
def links(secrets):
    """Make links with a small limit."""
    return AgentLinks(Containers(), secrets, limit=1000)


async def test_no_credential_where_none_is_wanted(links, secrets):
    """Without credentials the token is neither sent nor read; a pod without credential sends none."""
    seen = []
    async with raw_agent(OK, seen=seen) as endpoint:
        await links.link(pod(), endpoint, "c").http("GET", "/", credentials=False)
        assert secrets.asked == []
        await links.link(pod(credential=None, secrets={}), endpoint, "c").http("GET", "/")
    assert not any(b"authorization" in head for head in seen)
    assert all(f"x-forwarded-for: {FORWARDED_FOR}".encode() in head for head in seen)


async def test_secret_is_read_once(links, secrets):
    """The store is asked once for each secret of a pod, however many calls there are, and however many pods."""
    refs = {name: SecretRef(key=name) for name in ("token", "other")}
    many = [links.link(pod(secrets=refs), Endpoint(host="127.0.0.1", port=1), "c") for _ in range(2000)]
    for _ in range(2):
        for link in many:
            await link._headers({}, 5.0, credentials=True)
    assert secrets.asked == [("t1", refs["token"]), ("t1", refs["other"])] * 2000


async def test_credential_for_handshakes(links):
    """A secret by name is there after the first call; an unknown one is not found."""
    async with raw_agent(OK) as endpoint:
        link = links.link(pod(), endpoint, "c")
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
    async with raw_agent(OK, seen=seen) as endpoint:
        link = links.link(pod(), endpoint, "c")
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
    link = links.link(pod(), Endpoint(host="127.0.0.1", port=1), "c")
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
    async with raw_agent(OK) as endpoint:
        result = await probe().check(links.link(pod(), endpoint, "c"), settings, timeout=0.4)
    assert (result.reason, result.reason in OUR_OWN) == ("SecretNotRead", True)


async def test_a_slow_store_is_read_bit_by_bit(links, secrets):
    """What was read before the time was over needs not be read again."""
    secrets.takes = 0.15
    refs = {name: SecretRef(key=name) for name in ("token", "second", "third")}
    async with raw_agent(OK) as endpoint:
        link = links.link(pod(secrets=refs), endpoint, "c")
        with pytest.raises(TemporaryError, match="SecretNotRead"):
            await link.http("GET", "/", timeout=0.5)
        assert (await link.http("GET", "/", timeout=0.8)).status == 200
    assert [ref.key for _, ref in secrets.asked] == ["token", "second", "second", "third"]


async def test_header_cannot_begin_another(links, secrets):
    """A header with a line end is refused without repeating its value, even when it is the secret's."""
    secrets.value = f"{TOKEN}\r\nx: y"
    with pytest.raises(ValueError, match="authorization") as caught:
        await links.link(pod(), Endpoint(host="127.0.0.1", port=1), "c").http("GET", "/")
    assert TOKEN not in str(caught.value)


async def test_no_secret_shows(links, caplog):
    """The token is in no repr, no log record of any level, and no error."""
    caplog.set_level(logging.DEBUG)

    async def talk(connection):
        await connection.send("hi")

    async with speaking_agent(talk) as endpoint:
        link = links.link(pod(), endpoint, "c")
        async with link.websocket("/") as socket:
            await socket.receive()
        shown = [repr(link), str(vars(socket))]
    with pytest.raises(TemporaryError) as caught:
        await link.http("GET", "/")
    shown += [str(caught.value), repr(caught.value.__cause__)]
    ours = [record.getMessage() for record in caplog.records if "server" not in record.name]
    assert TOKEN not in " ".join(shown + ours)
    assert not [record for record in caplog.records if record.name.startswith("agentpod_server")]
