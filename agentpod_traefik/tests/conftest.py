"""A Traefik of the tests' own: ports that are free, a folder of its own, and an end by its own process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

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

    async def open_router(
        folder: Path, settings: TraefikSettings, clock: HandClock | None = None, instance: str = "traefikt"
    ) -> TraefikRouter:
        router = TraefikRouter()
        context = HostContext(
            instance=instance, folder=folder, settings=settings, clock=clock or HandClock(), domain="agents.test"
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
    group, groups = (None, None) if user is None else (user, daemon.groups)
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


class Docker:
    """The engine, as somebody sees it who is neither the router nor Traefik."""

    def __init__(self) -> None:
        transport = httpx.HTTPTransport(uds="/var/run/docker.sock")
        self.client = httpx.Client(transport=transport, base_url="http://docker/v1.41", timeout=60, trust_env=False)

    def containers(self, *labels: str) -> list[dict[str, Any]]:
        """List containers with all these labels."""
        query = {"all": "1", "filters": json.dumps({"label": labels})}
        found: list[dict[str, Any]] = self._asked("GET", "/containers/json", params=query).json()
        return found

    def names(self, instance: str) -> list[str]:
        """Name the containers of an instance."""
        return sorted(one["Names"][0][1:] for one in self.containers(f"agentpod.instance={instance}"))

    def create(self, name: str, labels: dict[str, str]) -> str:
        """Make a container that never runs; some route was there before, so the empty image is."""
        body = {"Image": "agentpod-carrier:1", "Cmd": ["-"], "Labels": labels, "HostConfig": {"NetworkMode": "none"}}
        return str(self._asked("POST", "/containers/create", params={"name": name}, json=body).json()["Id"])

    def remove(self, container: str) -> None:
        """Remove a container."""
        self._asked("DELETE", f"/containers/{container}", params={"force": "1"})

    def sweep(self, instance: str) -> None:
        """Remove what an instance left."""
        for one in self.containers(f"agentpod.instance={instance}"):
            self.remove(one["Id"])

    def _asked(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.client.request(method, path, **options).raise_for_status()


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    """The real engine."""
    docker = Docker()
    with docker.client:
        yield docker


@pytest.fixture
def instance(docker: Docker) -> Iterator[str]:
    """An instance of this test's own; what it made goes with it."""
    name = f"t{secrets.token_hex(3)}t"
    yield name
    docker.sweep(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of this test's own that other users can pass through, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="agentpod-traefik-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


class Relay:
    """A socket before the engine's, as a filtering proxy is, that lets through what a test lets through.

    ``lets`` sees the beginning of every request; False closes the connection in its face. ``delay`` is how
    many seconds lie between a list of all containers and the look at the first of them. With ``port`` it
    listens there instead of at a path.
    """

    def __init__(self, path: Path, lets: Callable[[bytes], bool], delay: float, port: int | None) -> None:
        self.endpoint = f"tcp://127.0.0.1:{port}" if port else f"unix://{path}"
        self._port = port
        self.asked: list[bytes] = []
        self._path = path
        self._lets = lets
        self._delay = delay
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        if self._port:
            self._server = await asyncio.start_server(self._meet, "127.0.0.1", self._port)
            return self
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._meet, self._path)
        self._path.chmod(0o666)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for line in self._lines:
            line.close()
        self._path.unlink(missing_ok=True)
        while self._lines:  # noqa: ASYNC110 - each leaves by itself
            await asyncio.sleep(0.01)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_unix_connection("/var/run/docker.sock")
        self._lines |= {writer, onward}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, onward, writer, is_asked=True))
                both.create_task(self._carry(there, writer, onward, is_asked=False))
        finally:
            for line in (writer, onward):
                line.close()
            self._lines -= {writer, onward}

    async def _carry(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, back: asyncio.StreamWriter, *, is_asked: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if is_asked and data[:5] in {b"GET /", b"POST ", b"DELET", b"HEAD "}:
                    has_listed = b"/containers/json" in (self.asked or [b""])[-1]
                    self.asked.append(data[:40])
                    if not self._lets(data):
                        break
                    if has_listed:
                        await asyncio.sleep(self._delay)
                to.write(data)
                await to.drain()
        to.close()
        back.close()


@pytest.fixture
def relay(folder: Path) -> Callable[..., Relay]:
    """Makes relays."""
    return lambda lets=lambda _: True, delay=0.0, port=None: Relay(folder / "relay.sock", lets, delay, port)
