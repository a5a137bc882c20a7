"""The host is closed to pods by a chain of ours, on a real kernel."""

# ruff: noqa: ASYNC221 - a test may block its own loop

from __future__ import annotations

import asyncio
import os
import subprocess
import uuid

import pytest

from agentpod_core import ProtectHost
from agentpod_core.testing import Stage
from agentpod_docker import firewall

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the packet filter"),
]


@pytest.fixture
async def stage(docker_runtime, docker_instance, docker_image, docker_subnet):
    """A pod to apply, on a host that is open at first."""
    await firewall.unprotect(docker_instance)
    yield Stage(
        runtime=docker_runtime,
        instance=docker_instance,
        image=docker_image,
        subnet=docker_subnet,
        pod_id=str(uuid.uuid4()),
    )
    await firewall.unprotect(docker_instance)


@pytest.fixture
async def services():
    """Two services of the host on all addresses; gives their ports."""

    async def greet(_reader, writer):
        writer.write(b"hello\n")
        await writer.drain()
        writer.close()

    servers = [await asyncio.start_server(greet, "0.0.0.0", 0) for _ in range(2)]
    yield [server.sockets[0].getsockname()[1] for server in servers]
    for server in servers:
        server.close()


def _listing() -> str:
    return subprocess.run(["iptables", "-w", "-S"], check=True, capture_output=True, text=True).stdout


async def _reaches(stage: Stage, host: str, port: int) -> bool:
    command = ("sh", "-c", f"nc -w 1 {host} {port} </dev/null")
    return b"hello" in (await stage.runtime.exec(stage.container, command, timeout=10, limit=100)).stdout


async def test_pods_reach_only_the_given_ports(stage, services):
    """A pod reaches a protected host's given port and nothing else, by any of its addresses; before, it did."""
    await stage.start(command=("sh", "-c", "while true; do echo pod | nc -l -p 7000; done"))
    gateway = stage.subnet.rpartition(".")[0] + "." + str(int(stage.subnet.rpartition(".")[2].split("/")[0]) + 1)
    opened, closed = services
    assert await _reaches(stage, gateway, closed)
    await stage.runtime.apply(ProtectHost(ports=(opened,), reason="test"), {})
    assert (await stage.runtime.observe()).protection.active is True
    assert await _reaches(stage, gateway, opened)
    assert not await _reaches(stage, gateway, closed)
    assert not await _reaches(stage, "172.17.0.1", closed)
    # The host still reaches its pods.
    reader, writer = await asyncio.open_connection(stage.address, 7000)
    assert await reader.readline() == b"pod\n"
    writer.close()


async def test_protection_is_idempotent_and_removable(stage):
    """Twice is once, other ports replace the old ones, a removed hook is seen and mended, and all of it can go."""
    instance = stage.instance
    before = _listing()
    for ports in ((80,), (80,), (8080, 8443)):
        assert (await firewall.protect(instance, ports)).active is True
    listing = _listing().splitlines()
    assert listing.count(firewall.hook(instance)) == 1
    assert len([line for line in listing if f"-A {firewall.chain(instance)} " in line and "--dport 80 " in line]) == 0
    subprocess.run(["iptables", "-w", *firewall.hook(instance).replace("-A", "-D", 1).split()], check=True)
    assert (await firewall.protection(instance)).active is False
    assert (await firewall.protect(instance, (8080, 8443))).active is True
    for _ in range(2):
        await firewall.unprotect(instance)
    assert _listing() == before


async def test_protection_can_be_turned_off(docker_opened, docker_wire):
    """An operator who turns it off gets no rules, and is told so."""
    runtime = await docker_opened(f"unix://{docker_wire.path}", protect_host=False)
    try:
        before = _listing()
        await runtime.apply(ProtectHost(ports=(80,), reason="test"), {})
        protection = (await runtime.observe()).protection
        assert (protection.active, protection.reason) == (False, "ProtectionTurnedOff")
        assert _listing() == before
    finally:
        await runtime.close()


async def test_without_the_right_it_is_said(monkeypatch, tmp_path):
    """Without the program, or without the right to use it, protection says why and nothing fails."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (await firewall.protect("abcdefgh", (80,))).reason == "FirewallMissing"
    program = tmp_path / "iptables"
    program.write_text("#!/bin/sh\nexit 4\n")
    program.chmod(0o755)
    assert (await firewall.protect("abcdefgh", (80,))).reason == "FirewallNotPermitted"
    assert (await firewall.protection("abcdefgh")).active is False
    await firewall.unprotect("abcdefgh")
