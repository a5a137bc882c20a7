"""A platform with a real OpenClaw, a scripted model beside it, and browsers that nobody used before."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

REPLY = "A reply by script."
BUILD_SECONDS = 900
ASK = """
import { readFileSync } from "node:fs"
const token = JSON.parse(readFileSync("/run/agentpod/secrets/openclaw.json")).gateway_token
const body = JSON.stringify({ method: process.argv[1], params: {} })
const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
const reply = await fetch("http://127.0.0.1:18789/api/v1/admin/rpc", { method: "POST", headers, body })
console.log(await reply.text())
"""


class Agent:
    """One OpenClaw pod and how to reach it by hand."""

    def __init__(self, platform, name: str) -> None:
        self.platform = platform
        self.name = name
        self.id = platform.json("pod", "get", name)["id"]

    @property
    def container(self) -> dict:
        return self.platform.container(self.id)

    @property
    def network(self) -> dict:
        (network,) = self.container["NetworkSettings"]["Networks"].values()
        return network

    def containers(self) -> list[str]:
        """List the pod's containers, whatever they are for."""
        label = f"label=agentpod.pod-id={self.id}"
        listed = subprocess.run(["docker", "ps", "-aq", "--filter", label], capture_output=True, text=True, check=True)
        return listed.stdout.split()

    def run(self, *argv: str) -> str:
        """Run a command in the container."""
        done = subprocess.run(
            ["docker", "exec", self.container["Id"], *argv], capture_output=True, text=True, check=True, timeout=120
        )
        return done.stdout

    def token(self) -> str:
        return json.loads(self.run("cat", "/run/agentpod/secrets/openclaw.json"))["gateway_token"]

    def crash(self) -> None:
        """Kill the gateway as a crash would, past its init."""
        init = self.container["State"]["Pid"]
        gateway = int(Path(f"/proc/{init}/task/{init}/children").read_text().split()[0])
        os.kill(gateway, signal.SIGKILL)

    def ask(self, method: str) -> dict:
        """Call a method of the gateway's admin RPC from within, and give its payload."""
        answer = json.loads(self.run("node", "--input-type=module", "-e", ASK, method))
        assert answer["ok"], answer
        return answer["payload"]

    def link(self) -> str:
        """Ask for a one-time link."""
        return self.platform.agentpod("pod", "open", self.name).stdout.split()[0]


def new_agent(platform, *options: str) -> Agent:
    """Make a tenant with a scripted model and an OpenClaw that thinks with it, and wait until it is ready."""
    platform.agentpod("image", "build", "openclaw", timeout=BUILD_SECONDS)
    platform.agentpod("image", "build", "echo", timeout=BUILD_SECONDS)
    platform.agentpod("tenant", "create", "acme")
    platform.agentpod("pod", "create", "acme/model", "--adapter", "echo", "--set", f"reply={REPLY}")
    return add_agent(platform, "acme/support", *options)


def add_agent(platform, name: str, *options: str, check: int = 0) -> Agent:
    """Make an OpenClaw pod that thinks with the tenant's scripted model."""
    model = ("provider=openai-compatible", "model=scripted-1", "base_url=http://model-acme:8080/v1")
    settings = (part for one in model for part in ("--set", one))
    platform.agentpod("pod", "create", name, "--adapter", "openclaw", *settings, *options, check=check)
    return Agent(platform, name)


@pytest.fixture(scope="session")
def openclaw(lasting_platform):
    """Give a ready OpenClaw at an address below *.localhost."""
    platform = lasting_platform(network="10.217.0.0/17", extra={"AGENTPOD_TIME_SCALE": "1"})
    platform.up()
    return new_agent(platform, "--set", "agent_name=Ada", "--set", "soul=You are Ada of Acme.")


@pytest.fixture
def add_openclaw(openclaw):
    """Give the way to make another OpenClaw on the same platform."""
    return lambda name, *options: add_agent(openclaw.platform, name, *options)


@pytest.fixture(scope="session")
def secure_openclaw(lasting_platform, free_ports):
    """Give a ready OpenClaw at an HTTPS address below a domain, with a self-signed certificate."""
    extra = {
        "AGENTPOD_TIME_SCALE": "1",
        "AGENTPOD_DOMAIN": "example.test",
        "AGENTPOD_ROUTER_TRAEFIK_HTTPS": str(free_ports()),
    }
    platform = lasting_platform(network="10.217.128.0/17", extra=extra)
    platform.up()
    return new_agent(platform)


@pytest.fixture
def new_browser(tmp_path):
    """Give the way to open a page of a fresh Chromium; ``within`` is the network namespace that it lives in."""

    @contextmanager
    def browse(*, resolve: str, within: str | None = None) -> Iterator[Page]:
        program = shutil.which("chromium") or pytest.fail("Chromium is missing; install it with: make machine")
        if within is not None:
            wrapper = tmp_path / "chromium"
            wrapper.write_text(f'#!/bin/sh\nexec nsenter --net=/run/netns/{within} {program} "$@"\n')
            wrapper.chmod(0o755)
            program = str(wrapper)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=program,
                args=[
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-background-networking",
                    "--ignore-certificate-errors",
                    f"--host-resolver-rules=MAP * {resolve}",
                ],
            )
            try:
                yield browser.new_page(viewport={"width": 1280, "height": 800})
            finally:
                browser.close()

    return browse


@pytest.fixture
def other_machine() -> Iterator[tuple[str, str]]:
    """Give a network namespace, which to us is another machine, and the address at which it finds this one."""
    name, here, there = "agentpod-oc", "10.219.254.1", "10.219.254.2"
    ends = ("apoc-here", "apoc-there")
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    subprocess.run(["ip", "link", "del", ends[0]], capture_output=True, check=False)
    commands = (
        f"ip netns add {name}",
        f"ip link add {ends[0]} type veth peer name {ends[1]} netns {name}",
        f"ip addr add {here}/30 dev {ends[0]}",
        f"ip link set {ends[0]} up",
        f"ip -n {name} addr add {there}/30 dev {ends[1]}",
        f"ip -n {name} link set {ends[1]} up",
        f"ip -n {name} link set lo up",
    )
    try:
        for command in commands:
            subprocess.run(command.split(), check=True, capture_output=True)
        yield name, here
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", ends[0]], capture_output=True, check=False)
