"""The probe: its contract over a scripted gateway, and its verdicts one by one."""

from __future__ import annotations

import json

import pytest

from agentpod_core import HostContext, Reply
from agentpod_core.testing import FakeClock, FakeLink, HealthProbeContract, SocketScript
from agentpod_openclaw import OpenClawProbe
from agentpod_openclaw.probe import OpenClawProbeSettings

CHALLENGE = json.dumps({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n", "ts": 1}})
READY = b'{"ready": true, "failing": []}'


def gateway(body=READY, *, status=200, error=None, greets=(CHALLENGE,)):
    """Give a link to a gateway that is well, but for what is said."""

    def answers(message):
        request = json.loads(message)
        assert request["params"]["auth"] == {"token": "t"}
        result = {"ok": True, "payload": {"type": "hello-ok"}} if error is None else {"ok": False, "error": error}
        return [
            json.dumps({"type": "event", "event": "tick"}),
            json.dumps({"type": "res", "id": request["id"]} | result),
        ]

    return FakeLink(
        {"GET /readyz": Reply(status=status, body=body)},
        sockets={"/": SocketScript(greets=greets, answers=answers)},
        credentials={"gateway-token": "t"},
    )


class TestOpenClawProbe(HealthProbeContract):
    @pytest.fixture
    def probe(self):
        return OpenClawProbe()

    @pytest.fixture
    def settings(self):
        return {}

    @pytest.fixture
    def healthy(self):
        return gateway()

    @pytest.fixture
    def unhealthy(self):
        return gateway(b'{"ready": false, "failing": ["startup"]}', status=503)

    @pytest.fixture
    def wrong_settings(self):
        return [{"handshake_every": "often"}, {"handshake_every": -1.0}, {"handshake": 1}]


async def verdict(link, **settings):
    """Check once and give the verdict."""
    result = await OpenClawProbe().check(link, settings, timeout=0.2)
    return result.alive, result.ready, result.reason, result.params


async def test_it_is_ready_when_a_client_is_greeted():
    """The page says ready and the handshake ends in hello-ok."""
    assert await verdict(gateway()) == (True, True, "Answering", {})


async def test_a_start_says_what_it_waits_for():
    """A gateway that starts is alive, and what is not there yet is named."""
    link = gateway(b'{"ready": false, "failing": ["channels", "sidecars"]}', status=503)
    assert await verdict(link) == (True, False, "OpenClawStarting", {"failing": "channels, sidecars"})


async def test_the_web_interface_is_no_health():
    """The page that the gateway serves under every unknown path is a sign of life and no more."""
    assert await verdict(gateway(b"<!doctype html>")) == (True, False, "WrongAnswer", {"what": "/readyz: 200"})


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_a_gateway_that_refuses_us_is_not_hung(status):
    """An answer of any kind is no silence, for which the gateway would be stopped."""
    refusal = gateway(b'{"error": "proxy_attribution_required"}', status=status)
    assert await verdict(refusal) == (True, False, "WrongAnswer", {"what": f"/readyz: {status}"})


async def test_a_gateway_whose_sidecars_start_is_starting():
    """The handshake's retryable refusal is a start, not a fault."""
    error = {"code": "UNAVAILABLE", "details": {"reason": "startup-sidecars"}}
    assert await verdict(gateway(error=error)) == (True, False, "OpenClawStarting", {"failing": "startup-sidecars"})


@pytest.mark.parametrize(
    ("error", "code"),
    [({"code": "INVALID_REQUEST", "details": {"code": "AUTH_TOKEN_MISMATCH"}}, "INVALID_REQUEST"), ("?", "UNKNOWN")],
)
async def test_a_refused_handshake_is_not_ready(error, code):
    """The gateway's own word for it is in the verdict."""
    assert await verdict(gateway(error=error)) == (True, False, "OpenClawHandshakeRefused", {"code": code})


async def test_a_gateway_that_takes_no_client_is_not_alive():
    """A page without a WebSocket behind it is a hung gateway, and asking ends in time."""
    assert await verdict(gateway(greets=())) == (False, False, "Timeout", {})


async def test_a_handshake_is_good_for_a_while(tmp_path):
    """Between two handshakes the page alone is asked; once one is due or the page failed, a client connects again."""
    clock, probe = FakeClock(), OpenClawProbe()
    await probe.open(HostContext(instance="aaaaaaaa", folder=tmp_path, settings=OpenClawProbeSettings(), clock=clock))
    link = gateway()
    for seconds, handshakes in ((0, 1), (10, 1), (49, 1), (1, 2), (30, 2)):
        clock.jump(seconds)
        assert (await probe.check(link, {}, timeout=1)).ready
        assert len(link.opened) == handshakes
    link.unreachable = True
    assert not (await probe.check(link, {}, timeout=1)).alive
    link.unreachable = False
    assert (await probe.check(link, {}, timeout=1)).ready
    assert len(link.opened) == 3


async def test_who_was_not_ready_shakes_hands_anew(tmp_path):
    """After a page that said "not yet" a handshake that is still good is no longer taken for one."""
    probe, link = OpenClawProbe(), gateway()
    await probe.open(
        HostContext(instance="aaaaaaaa", folder=tmp_path, settings=OpenClawProbeSettings(), clock=FakeClock())
    )
    assert (await probe.check(link, {}, timeout=1)).ready
    fine, link.replies["GET /readyz"] = link.replies["GET /readyz"], Reply(status=503, body=b'{"ready": false}')
    assert not (await probe.check(link, {}, timeout=1)).ready
    link.replies["GET /readyz"] = fine
    assert (await probe.check(link, {}, timeout=1)).ready
    assert len(link.opened) == 2


async def test_how_long_a_handshake_is_good_can_be_set(tmp_path):
    """The platform's setting holds where the workload asks for nothing else."""
    clock, probe, link = FakeClock(), OpenClawProbe(), gateway()
    settings = OpenClawProbeSettings(handshake_every=5)
    await probe.open(HostContext(instance="aaaaaaaa", folder=tmp_path, settings=settings, clock=clock))
    for seconds, given, handshakes in ((0, {}, 1), (4, {}, 1), (1, {}, 2), (5, {"handshake_every": 60.0}, 2)):
        clock.jump(seconds)
        assert (await probe.check(link, given, timeout=1)).ready
        assert len(link.opened) == handshakes


async def test_a_gateway_that_never_stops_talking_is_given_up():
    """A flood of messages that nobody asked for is not read to its end, which may never come."""
    flood = [json.dumps({"type": "event", "event": "tick"})] * 1_000
    assert await verdict(gateway(greets=flood)) == (False, False, "WrongAnswer", {"what": "WebSocket /"})


async def test_a_bottomless_answer_is_no_health():
    """JSON that is nested too deeply to be read is an answer like any other that is wrong."""
    assert (await verdict(gateway(b"[" * 500_000)))[2] == "WrongAnswer"
