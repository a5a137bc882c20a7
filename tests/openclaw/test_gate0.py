"""A customer's OpenClaw from outside: who holds its token or a one-time link is let in, and talked with, at once."""

from __future__ import annotations

import subprocess
from datetime import datetime

import httpx
import pytest
from playwright.sync_api import Page, expect

from agentpod_openclaw.client import Conversation, GatewayRefusedError

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1200)]

LOCAL = "127.0.0.1"
REPLY = "A reply by script."
READY_WITHIN = 180
HOST = "support-acme.localhost"


def address(agent) -> str:
    """Give the pod's public address."""
    return agent.platform.json("pod", "get", agent.name)["urls"][0]


def refusal(page: Page) -> str:
    """Wait for the page on which the gateway refuses."""
    heading = page.get_by_text("Gateway secret rejected")
    expect(heading).to_be_visible(timeout=60_000)
    return page.inner_text("body")


def chat(page: Page, text: str) -> None:
    """Wait for the chat view, say something there, and wait for the model's reply."""
    page.wait_for_url("**/chat**", timeout=60_000)
    expect(page.get_by_text("Connected", exact=True).first).to_be_visible(timeout=60_000)
    assert "pairing required" not in page.inner_text("body").lower()
    box = page.locator("textarea").first
    box.fill(text)
    box.press("Enter")
    expect(page.get_by_text(REPLY).first).to_be_visible(timeout=120_000)


def test_it_is_ready_in_time(openclaw) -> None:
    """From the accepted request until the agent answers, at most three minutes pass."""
    events = openclaw.platform.json("pod", "events", openclaw.name)
    at = {event["reason"]: event["at"] for event in reversed(events)}
    assert seconds(at["PodCreated"], at["Running"]) < READY_WITHIN


def test_who_holds_the_token_gets_hello_ok(openclaw) -> None:
    """A WebSocket client with the pod's token is greeted through the router, one with another token is not."""
    url = address(openclaw)
    with Conversation(url, token=openclaw.token(), dial=LOCAL) as conversation:
        assert conversation.hello.get("type", str) == "hello-ok"
    with pytest.raises(GatewayRefusedError) as refused, Conversation(url, token="wrong", dial=LOCAL):
        pass
    assert refused.value.code == "AUTH_TOKEN_MISMATCH"


def test_the_operator_s_side_stays_inside(openclaw) -> None:
    """What the platform calls on the pod's network is not there at its public address."""
    auth = {"Authorization": f"Bearer {openclaw.token()}"}
    body = {"method": "health", "params": {}}
    inside = httpx.post(
        f"http://{openclaw.network['IPAddress']}:18789/api/v1/admin/rpc",
        headers={**auth, "X-Forwarded-For": "192.0.2.2"},
        json=body,
        timeout=30,
    )
    assert inside.json()["ok"] is True
    for path in ("/api/v1/admin/rpc", "/api/v1/%61dmin/rpc", "/tools/invoke", "/v1/chat/completions", "/v1/models"):
        url = f"http://{LOCAL}:{openclaw.platform.http}{path}"
        reply = httpx.post(url, headers={"Host": HOST, **auth}, json=body, timeout=10)
        assert (path, reply.status_code) == (path, 404)
    assert openclaw.platform.get(HOST, "/readyz").json()["ready"] is True


def test_there_is_no_terminal(openclaw) -> None:
    """The shell that OpenClaw would give every browser is off."""
    config = openclaw.run("openclaw", "config", "get", "gateway.terminal.enabled")
    assert config.strip().splitlines()[-1] == "false"


def test_the_link_opens_the_chat(openclaw, new_browser) -> None:
    """The one-time link takes a fresh browser to the chat, which answers; nobody has to approve anything."""
    link = openclaw.link()
    assert openclaw.token() not in link
    with new_browser(resolve=LOCAL) as page:
        page.goto(link)
        chat(page, "Hello there")


def test_the_link_works_once(openclaw, new_browser) -> None:
    """Another browser with a link that was used is refused."""
    link = openclaw.link()
    with Conversation(link, dial=LOCAL) as conversation:
        assert REPLY in conversation.say("Hello")
    with new_browser(resolve=LOCAL) as page:
        page.goto(link)
        assert "Connected" not in refusal(page)


def test_it_is_the_same_over_tls_from_another_machine(secure_openclaw, new_browser, other_machine) -> None:
    """With a domain, a browser on another machine gets in over HTTPS, with a certificate that we made."""
    machine, here = other_machine
    link = secure_openclaw.link()
    assert link.startswith("https://support-acme.example.test:")
    with new_browser(resolve=here, within=machine) as page:
        page.goto(link)
        assert page.evaluate("isSecureContext && location.protocol") == "https:"
        chat(page, "Hello from afar")


def test_closed_loop(openclaw, wait_until) -> None:
    """A killed agent comes back, a removed one too, as itself, and a deleted one leaves nothing."""
    platform = openclaw.platform
    first, network, token = openclaw.container, openclaw.network, openclaw.token()
    openclaw.run("sh", "-c", "echo Still Ada. >> ~/.openclaw/workspace/SOUL.md")
    openclaw.run("npm", "install", "-g", "--offline", "--silent", own_package(openclaw))
    assert openclaw.run("sh", "-c", "hello-from-volume") == "hello\n"

    openclaw.crash()
    wait_until(
        lambda: openclaw.container["State"]["StartedAt"] != first["State"]["StartedAt"], seconds=60, what="a new start"
    )
    wait_until(lambda: ready(platform), seconds=READY_WITHIN, what="the killed agent answers again")
    assert answers(openclaw)

    subprocess.run(["docker", "rm", "-f", first["Id"]], check=True, capture_output=True)
    wait_until(lambda: openclaw.container.get("Id", first["Id"]) != first["Id"], seconds=60, what="a new container")
    wait_until(lambda: ready(platform), seconds=READY_WITHIN, what="the new container answers")
    assert (openclaw.network["IPAddress"], openclaw.token()) == (network["IPAddress"], token)
    assert openclaw.run("sh", "-c", "cat ~/.openclaw/workspace/SOUL.md") == "You are Ada of Acme.\nStill Ada.\n"
    assert openclaw.run("sh", "-c", "hello-from-volume") == "hello\n"
    assert answers(openclaw)

    platform.agentpod("tenant", "delete", "acme", "--cascade", "--yes")
    wait_until(lambda: not platform.leftovers(), seconds=60, what="nothing is left on the engine")


def answers(agent) -> bool:
    """Have one chat turn through the public address."""
    with Conversation(agent.link(), dial=LOCAL) as conversation:
        return REPLY in conversation.say("Are you there?")


def ready(platform) -> bool:
    """Say whether the agent answers at its public address."""
    return platform.get(HOST, "/readyz").status_code == 200


def own_package(agent) -> str:
    """Write a package with a command into the agent's home, as something that it made itself."""
    folder = "/home/node/.openclaw/workspace/hello"
    manifest = '{"name": "hello", "version": "1.0.0", "bin": {"hello-from-volume": "run.sh"}}'
    agent.run("sh", "-c", f"mkdir -p {folder} && cd {folder} && echo '{manifest}' > package.json")
    agent.run("sh", "-c", f"cd {folder} && printf '#!/bin/sh\\necho hello\\n' > run.sh && chmod +x run.sh")
    return folder


def seconds(start: str, end: str) -> float:
    """Say how long it was between two events."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
