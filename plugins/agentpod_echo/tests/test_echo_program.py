"""The program as a process of its own, over real sockets: HTTP, persistence, controls, signals."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import time
from pathlib import Path

import pytest

from agentpod_echo import Boot, Channel, EchoConfig
from agentpod_echo.adapter import REFUSED
from agentpod_echo.program import agent as program
from agentpod_echo.program.server import Request


async def test_it_is_healthy_and_ready(echo):
    """A started agent says that it is well, and which version and model it is."""
    health = (await echo.client.get("/healthz")).json()
    assert health["ok"]
    assert health["ready"]
    assert health["model"] == "scripted-1"
    assert (await echo.client.get("/readyz")).status_code == 200


async def test_it_is_not_ready_while_it_boots(start):
    """During an artificial boot the agent is alive and answers 503 when asked whether it is ready."""
    booting = await start(EchoConfig(boot=Boot(seconds=600)))
    assert (await booting.client.get("/healthz")).json()["ok"]
    assert (await booting.client.get("/readyz")).status_code == 503


async def test_a_heavy_boot_burns_processor_time_and_still_answers(start):
    """A burning boot uses the processor, answers meanwhile, and ends ready."""
    booting = await start(EchoConfig(boot=Boot(burn=1.0)))
    assert (await booting.client.get("/healthz")).json()["ready"] is False
    await booting.until_ready()
    assert _processor_seconds(booting.process.pid) >= 1.0


async def test_the_page_greets_and_escapes(start):
    """The page shows the greeting as text, whatever is in it, and allows no inline script."""
    one = await start(EchoConfig(greeting="<script>alert(1)</script>"))
    page = await one.client.get("/")
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert (await one.client.get("/page.js")).headers["content-type"].startswith("text/javascript")


async def test_it_tells_who_it_is(echo):
    """Who-am-I tells name, tenant, addresses and the forwarded headers as they arrived."""
    facts = (await echo.client.get("/whoami", headers={"x-forwarded-for": "198.51.100.1"})).json()
    assert (facts["name"], facts["tenant"]) == ("support", "acme")
    assert facts["address"] == "127.0.0.1"
    assert facts["forwarded"] == {"x-forwarded-for": "198.51.100.1"}


async def test_data_survives_a_kill_and_a_new_start(start):
    """Counters and notes outlive a killed process."""
    first = await start()
    assert (await first.client.post("/notes", json={"text": "remember me"})).status_code == 201
    await first.client.get("/whoami")
    first.process.kill()
    await first.process.wait()
    second = await start()
    assert (await second.client.get("/notes")).json() == {"items": ["remember me"]}
    facts = (await second.client.get("/whoami")).json()
    assert (facts["starts"], facts["visits"]) == (2, 2)


async def test_notes_are_bounded(echo):
    """Only the last hundred notes are kept, and none that is empty or large: anybody may leave one."""
    for number in range(101):
        await echo.client.post("/notes", json={"text": str(number)})
    kept = (await echo.client.get("/notes")).json()["items"]
    assert (len(kept), kept[0]) == (100, "1")
    assert (await echo.client.post("/notes", json={"text": ""})).status_code == 400
    assert (await echo.client.post("/notes", json={"text": "x" * 4097})).status_code == 400


async def test_a_new_greeting_needs_no_restart(echo):
    """The live file is read anew; while it is broken the last greeting holds."""
    live = echo.root / "etc/echo/live.json"
    live.write_text(json.dumps({"greeting": "Good evening."}))
    assert "Good evening." in (await echo.client.get("/")).text
    live.write_text("{")
    assert "Good evening." in (await echo.client.get("/")).text


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer a-token-of-the-test", "Basic a-token-of-the-tests"])
async def test_controls_and_usage_demand_the_token(echo, header):
    """Without the right bearer token nothing is done and nothing is told."""
    headers = {} if header is None else {"authorization": header}
    assert (await echo.client.post("/admin/exit", json={}, headers=headers)).status_code == 401
    assert (await echo.client.get("/usage", headers=headers)).status_code == 401
    assert (await echo.client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer x"}, {"authorization": "Bearer sesame"}])
def test_every_token_is_compared_in_constant_time(monkeypatch, headers):
    """No token, a short one and the right one all take the comparison that does not stop early."""
    asked = []
    compare = hmac.compare_digest
    monkeypatch.setattr(program.hmac, "compare_digest", lambda *pair: asked.append(pair) or compare(*pair))
    request = Request(method="GET", path="/usage", headers=headers, body=b"", peer="", local="")
    assert program.shows(request, "sesame") is (headers.get("authorization") == "Bearer sesame")
    assert len(asked) == 1


async def test_sigterm_ends_it_at_once_with_success(start):
    """A stop takes less than 100 ms, also with an open connection, and is no failure; on a busy machine, at best."""
    times = []
    for _ in range(3):
        one = await start()
        await one.until_ready()
        begun = time.monotonic()
        one.stop()
        assert await one.process.wait() == 0
        times.append(time.monotonic() - begun)
    assert min(times) < 0.1


async def test_sigterm_ends_a_busy_boot(start):
    """A stop is heard while the processor burns."""
    booting = await start(EchoConfig(boot=Boot(burn=600)))
    booting.stop()
    async with asyncio.timeout(1):
        assert await booting.process.wait() == 0


async def test_it_exits_with_the_code_it_is_told(echo):
    """The exit control answers and then ends the process with that code."""
    assert (await echo.client.post("/admin/exit", json={"code": 78}, headers=echo.bearer)).status_code == 202
    assert await echo.process.wait() == 78


async def test_a_hung_agent_answers_nothing_and_is_deaf_to_sigterm(echo):
    """The hang control leaves the process alive, silent and not stoppable by a signal it could handle."""
    assert (await echo.client.post("/admin/hang", headers=echo.bearer)).status_code == 202
    echo.stop()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await echo.client.get("/healthz")
    assert echo.process.returncode is None


async def test_it_eats_memory(echo):
    """The memory control makes the process really hold that much."""
    before = _resident(echo.process.pid)
    eaten = await echo.client.post("/admin/memory", json={"bytes": 20_000_000}, headers=echo.bearer)
    assert eaten.json() == {"eaten": 20_000_000}
    assert _resident(echo.process.pid) - before > 19_000


async def test_it_burns_the_processor_and_still_answers(echo):
    """The burn control works beside the answers."""
    assert (await echo.client.post("/admin/burn", json={"seconds": 600}, headers=echo.bearer)).status_code == 202
    assert (await echo.client.get("/healthz")).json()["ok"]


async def test_a_channel_that_is_off_answers_404(start):
    """The channel decides whether the page or the model is there; health always is."""
    web = await start(EchoConfig(channel=Channel.WEB))
    assert (await web.client.get("/v1/models")).status_code == 404
    assert (await web.client.get("/")).status_code == 200
    model = await start(EchoConfig(channel=Channel.MODEL))
    assert (await model.client.get("/v1/models")).status_code == 200
    assert (await model.client.get("/")).status_code == 404
    assert (await model.client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("broken", ["etc/echo/config.json", "etc/echo/live.json", "run/agentpod/secrets/token"])
async def test_an_unusable_config_is_refused_for_good(start, broken):
    """A config file or token that is missing ends the agent with the code that no restart mends, and a reason."""
    one = await start()
    (one.root / broken).unlink()
    process = await one.begin_anew()
    _, complaint = await process.communicate()
    assert process.returncode == REFUSED
    assert broken in complaint.decode()


async def test_bad_requests_are_refused_and_the_agent_lives_on(echo):
    """What is no HTTP, no JSON or too large gets a 4xx."""
    assert (await echo.client.post("/notes", content=b"[1")).status_code == 400
    assert (await echo.client.post("/notes", content=b"[1]")).status_code == 400
    assert (await echo.client.post("/notes", content=b"x" * (8 * 1024 * 1024 + 1))).status_code == 413
    assert (await echo.client.get("/nowhere")).status_code == 404
    host, port = echo.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"NONSENSE\r\n\r\n")
    assert b"400" in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert (await echo.client.get("/healthz")).status_code == 200


async def test_one_connection_serves_many_requests(echo):
    """Connections are kept open between requests, as a prober and a proxy expect."""
    host, port = echo.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for _ in range(3):
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: echo\r\n\r\n")
        assert b"200" in await reader.readuntil(b"}\n")
    writer.close()
    await writer.wait_closed()


def _processor_seconds(pid: int) -> float:
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
