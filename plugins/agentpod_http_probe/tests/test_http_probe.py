"""The HTTP probe: the contract over a scripted agent, and its verdicts one by one."""

from __future__ import annotations

import pytest

from agentpod_core import ConfigError, Reply, TemporaryError
from agentpod_core.testing import FakeLink, HealthProbeContract, SocketScript
from agentpod_http_probe import HttpProbe

SETTINGS = {"path": "/readyz", "json": {"ready": True}, "websocket": {"path": "/ws", "expect": "hello"}}


def agent(status=200, body=b'{"ready": true, "more": 1}', sockets=None):
    """Give a link to an agent that is well, but for what is said."""
    return FakeLink(
        {"GET /readyz": Reply(status=status, body=body)},
        sockets={"/ws": ["hello there"]} if sockets is None else sockets,
    )


class TestHttpProbe(HealthProbeContract):
    @pytest.fixture
    def probe(self):
        return HttpProbe()

    @pytest.fixture
    def settings(self):
        return SETTINGS

    @pytest.fixture
    def healthy(self):
        return agent()

    @pytest.fixture
    def unhealthy(self):
        return agent(status=503)

    @pytest.fixture
    def wrong_settings(self):
        return [
            {},
            {"path": "readyz"},
            {"path": "/", "pth": "/"},
            {"path": "/", "expect_status": 1000},
            {"path": "/", "expect_status": "200"},
            {"path": "/", "json": []},
            {"path": "/", "websocket": "/ws"},
            {"path": "/", "websocket": {"path": "ws"}},
        ]


async def check(link, timeout=5.0, **settings):  # noqa: ASYNC109 - the probe's own
    """Check once and give the verdict."""
    result = await HttpProbe().check(link, {"path": "/readyz", **settings}, timeout=timeout)
    return result.alive, result.ready, result.reason, result.params


async def test_status_alone_is_enough():
    """Without more settings, the right status is readiness."""
    assert await check(agent(body=b"not json", sockets={})) == (True, True, "Answering", {})


async def test_another_status_can_be_the_right_one():
    """An agent may answer 204 when it is well."""
    assert (await check(agent(status=204), expect_status=204))[2] == "Answering"
    assert await check(agent(), expect_status=204) == (True, False, "NotReady", {"path": "/readyz", "status": 200})


@pytest.mark.parametrize("status", [301, 404, 500, 503])
async def test_any_answer_is_a_sign_of_life(status):
    """A wrong status is an agent that lives and is not ready."""
    assert await check(agent(status=status)) == (True, False, "NotReady", {"path": "/readyz", "status": status})


@pytest.mark.parametrize(
    ("body", "wanted", "what"),
    [
        (b'{"a": {"b": [1, 2], "c": 3}, "d": 4}', {"a": {"b": [1, 2]}}, None),
        (b'{"ready": false}', {"ready": True}, "/readyz: $.ready"),
        (b'{"ready": 1}', {"ready": True}, "/readyz: $.ready"),
        (b"{}", {"a": None}, "/readyz: $.a"),
        (b'{"a": 5}', {"a": {"b": 1}}, "/readyz: $.a"),
        (b'{"a": {"b": [1]}}', {"a": {"b": [1, 2]}}, "/readyz: $.a.b"),
        (b"[]", {"a": 1}, "/readyz: $"),
        (b"<html>", {}, "/readyz: no JSON"),
        (b"", {}, "/readyz: no JSON"),
        (b"{}", {}, None),
    ],
)
async def test_json_has_to_hold_what_is_asked(body, wanted, what):
    """A part of the answer is compared, strictly; the place of the first difference is told, no value."""
    alive, ready, reason, params = await check(agent(body=body), json=wanted)
    assert alive is True
    assert ready is (what is None)
    assert (reason, params) == (("Answering", {}) if ready else ("WrongAnswer", {"what": what}))


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (SocketScript(greets=("well, hello",)), None),
        (SocketScript(greets=("go away",)), "WebSocket /ws: message"),
        (SocketScript(refuses=True), "WebSocket /ws: Unreachable"),
        (SocketScript(closes=True), "WebSocket /ws: ConnectionClosed"),
    ],
)
async def test_websocket_has_to_open_and_greet(script, what):
    """An agent whose WebSocket does not work is alive and not ready."""
    alive, ready, _, params = await check(agent(sockets={"/ws": script}), websocket={"path": "/ws", "expect": "hello"})
    assert (alive, ready, params.get("what")) == (True, what is None, what)


async def test_websocket_need_not_say_anything():
    """Where nothing is expected, the handshake is enough."""
    assert (await check(agent(sockets={"/ws": []}), websocket={"path": "/ws"}))[1] is True


async def test_websocket_that_stays_silent_is_a_timeout():
    """The agent answered over HTTP, so it lives; the greeting never came."""
    verdict = await check(agent(sockets={"/ws": []}), timeout=0.05, websocket={"path": "/ws", "expect": "hello"})
    assert verdict == (True, False, "Timeout", {"seconds": 0.05})


async def test_requests_go_to_the_named_ports():
    """The routed port is the default of both, each can have its own."""
    link = agent()
    settings = {"path": "/readyz", "port": "admin", "websocket": {"path": "/ws", "port": "live"}}
    assert (await HttpProbe().check(link, settings, timeout=1.0)).ready is True
    assert [(one.kind, one.port) for one in link.asked] == [("http", "admin"), ("websocket", "live")]


async def test_not_ready_agent_is_not_asked_further():
    """No WebSocket is opened to an agent that says it is not ready."""
    link = agent(status=503)
    assert (await HttpProbe().check(link, SETTINGS, timeout=1.0)).reason == "NotReady"
    assert [one.kind for one in link.asked] == ["http"]


async def test_reason_of_the_link_is_passed_on():
    """What the link says of an agent it cannot reach is the probe's verdict."""
    link = FakeLink({"/readyz": TemporaryError("ConnectionClosed", port=8080)})
    assert await check(link) == (False, False, "ConnectionClosed", {"port": 8080})


async def test_every_wrong_setting_is_told():
    """One mistake does not hide the next."""
    wrong = {"pth": "/", "expect_status": 7, "json": 5, "websocket": {"expect": 1, "port": 2}}
    with pytest.raises(ConfigError) as caught:
        await HttpProbe().check(FakeLink(), wrong, timeout=1.0)
    assert {(one.path, one.reason) for one in caught.value.problems} == {
        ("$.path", "MissingField"),
        ("$.pth", "UnknownField"),
        ("$.expect_status", "NotAccepted"),
        ("$.json", "NotAccepted"),
        ("$.websocket.path", "MissingField"),
        ("$.websocket.expect", "NotAccepted"),
        ("$.websocket.port", "NotAccepted"),
    }


async def test_an_answer_that_is_too_large_is_not_ready():
    """What the link cut off is told, whatever else was wanted; it is a sign of life all the same."""
    link = FakeLink({"GET /readyz": Reply(status=200, body=b"x" * 10, cut=True)})
    assert await check(link) == (True, False, "AnswerTooLarge", {"path": "/readyz", "limit": 10})


async def test_bottomless_json_is_no_json():
    """JSON that is nested too deeply to be read is the agent's fault, not the probe's."""
    link = agent(body=b"[" * 500_000)
    assert await check(link, json={"ready": True}) == (True, False, "WrongAnswer", {"what": "/readyz: no JSON"})
