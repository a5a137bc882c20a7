"""A Traefik of the tests' own: ports that are free, a folder of its own, and an end by its own process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import pytest

from agentpod_core import Daemon, HostContext
from agentpod_traefik import TraefikRouter, TraefikSettings
from agentpod_traefik.binary import find, within_reach

NOBODY = 65534


class HandClock:
    """A clock that a test moves; its seconds are real, for nothing here waits by it."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def now(self) -> datetime:
        """Give the moment that was set."""
        return self.moment

    def monotonic(self) -> float:
        """Give real seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(seconds)


@pytest.fixture
def clock() -> HandClock:
    """Give a clock that stands at the present."""
    return HandClock()


@pytest.fixture(scope="module")
def reachable_folder() -> Iterator[Path]:
    """A folder that other users can pass through, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="agentpod-traefik-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def free_ports(count: int) -> list[int]:
    """Give ports of loopback on which nothing listens."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


Opened = Callable[..., Awaitable[TraefikRouter]]


@pytest.fixture(scope="session")
def opened() -> Opened:
    """Opens a router as the host does."""

    async def open_router(folder: Path, settings: TraefikSettings, clock: HandClock | None = None) -> TraefikRouter:
        router = TraefikRouter()
        context = HostContext(
            instance="traefikt", folder=folder, settings=settings, clock=clock or HandClock(), domain="agents.test"
        )
        await router.open(context)
        return router

    return open_router


Running = Callable[[Daemon, int], AbstractContextManager[subprocess.Popen[bytes]]]


@pytest.fixture(scope="session")
def running() -> Running:
    """Runs what a router described, as the platform does: unprivileged where that is possible."""
    return _running


@contextlib.contextmanager
def _running(daemon: Daemon, ping: int) -> Iterator[subprocess.Popen[bytes]]:
    user = NOBODY if os.geteuid() == 0 else None
    group, groups = (None, None) if user is None else (user, ())
    for name, text in daemon.files.items():
        file = Path(name)
        file.write_text(text)
        file.chmod(0o600)
        _give(file, user)
    for owned in daemon.owned:
        for path in (Path(owned), *Path(owned).rglob("*")):
            _give(path, user)
    environment = {"PATH": "/usr/bin:/bin", **daemon.env}
    with Path(daemon.log).open("ab") as log:
        process = subprocess.Popen(
            daemon.argv, stdout=log, stderr=log, env=environment, user=user, group=group, extra_groups=groups, cwd="/"
        )
    try:
        _await_ping(process, ping, daemon.log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _give(path: Path, user: int | None) -> None:
    if user is not None:
        os.chown(path, user, user)


def _await_ping(process: subprocess.Popen[bytes], ping: int, log: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{ping}/ping", trust_env=False).is_success:
                return
        time.sleep(0.05)
    pytest.fail(f"Traefik did not start: {Path(log).read_text()[-2000:]}")


Change = Callable[..., TraefikSettings]


@pytest.fixture(scope="session")
def traefik_binary() -> Iterator[str]:
    """A Traefik that every user can run, so that no router has to make one in its own folder."""
    with tempfile.TemporaryDirectory(prefix="agentpod-traefik-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield str(within_reach(asyncio.run(find(None)), folder / "bin"))


@pytest.fixture(scope="module")
def settings(traefik_binary: str) -> TraefikSettings:
    """Give settings with ports of their own, and little patience with agents."""
    http, https, ping = free_ports(3)
    return TraefikSettings(
        http=http,
        https=https,
        ping=ping,
        binary=traefik_binary,
        self_signed_domain="contract.test",
        response_header_timeout=1.0,
    )


@pytest.fixture
def but(settings: TraefikSettings) -> Change:
    """Gives the module's settings with some changed."""
    return lambda **changes: msgspec.structs.replace(settings, **changes)
