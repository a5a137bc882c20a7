"""Runs the Echo program as its image does: the recipe's files, and the files that the adapter renders."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from agentpod_core import Pod, SecretRef
from agentpod_echo import EchoAdapter, EchoConfig
from agentpod_echo.image import RECIPE

TOKEN = "a-token-of-the-tests"
API_KEY = "a-key-of-the-tests"


@dataclass
class Echo:
    """A running Echo agent and a client for it."""

    process: asyncio.subprocess.Process
    client: httpx.AsyncClient
    address: str
    root: Path

    @property
    def bearer(self) -> dict[str, str]:
        """The header that shows the pod's token."""
        return {"authorization": f"Bearer {TOKEN}"}

    async def begin_anew(self) -> asyncio.subprocess.Process:
        """Start the program once more on the same files; gives the process, whatever becomes of it."""
        return await launch(self.root)

    def stop(self) -> None:
        """Ask it to stop."""
        self.process.send_signal(signal.SIGTERM)

    async def until_ready(self) -> None:
        """Wait until it says that it is ready."""
        async with asyncio.timeout(10):
            while (await self.client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - another process sets it
                await asyncio.sleep(0.01)


Start = Callable[..., Awaitable[Echo]]


def a_pod() -> Pod:
    """Make the pod that the tests render."""
    return Pod(
        id="0190a000-0000-7000-8000-000000000001",
        name="support",
        tenant="acme",
        tenant_name="Acme",
        host="support-acme.example.com",
        origins=("https://support-acme.example.com",),
        address="10.214.0.2",
        gateway="10.214.0.1",
        hostname="support-acme",
        secrets={"token": SecretRef(key="token")},
    )


def lay_out(root: Path, config: EchoConfig) -> None:
    """Write what the adapter renders below ``root``, with the secrets in place."""
    secrets = {"token": TOKEN, "api_key": API_KEY}
    for file in EchoAdapter().workload(config, a_pod(), None).files:
        path = root / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text("".join(part if isinstance(part, str) else secrets[part.key] for part in file.parts))
        path.chmod(file.mode)


async def launch(root: Path) -> asyncio.subprocess.Process:
    """Start the program on what lies below ``root``."""
    for path, text in RECIPE.files.items():
        source = root / path.lstrip("/")
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
    (root / "data").mkdir(exist_ok=True)
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(root / "opt"),
        "ECHO_CONFIG": str(root / "etc/echo"),
        "ECHO_SECRETS": str(root / "run/agentpod/secrets"),
        "ECHO_DATA": str(root / "data"),
        "ECHO_HOST": "127.0.0.1",
        "ECHO_PORT": "0",
        **EchoAdapter().workload(EchoConfig(), a_pod(), None).env,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *RECIPE.command[1:],
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start agents that end with the test; by default all in one place, as after a recreation."""
    running: list[Echo] = []

    async def begin(config: EchoConfig | None = None) -> Echo:
        lay_out(tmp_path, config or EchoConfig())
        process = await launch(tmp_path)
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("listening on"), line + (await process.stderr.read()).decode()
        address = line.split()[-1]
        client = httpx.AsyncClient(base_url=f"http://{address}", timeout=5, trust_env=False)
        running.append(Echo(process, client, address, tmp_path))
        return running[-1]

    yield begin
    for one in running:
        await one.client.aclose()
        if one.process.returncode is None:
            one.process.kill()
        await one.process.communicate()


@pytest.fixture
async def echo(start: Start) -> Echo:
    """A ready agent with the default config."""
    one = await start()
    await one.until_ready()
    return one
