"""The real Traefik, run unprivileged on loopback, against all that a router must do, by files and by labels."""

from __future__ import annotations

import asyncio
import secrets
import socket
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from agentpod_core.testing import RouterContract
from agentpod_core.testing.routers import Again, ForeignRoute
from agentpod_core.testing.wire import Entrance
from agentpod_traefik import TraefikRouter, TraefikSettings

Opened = Callable[..., Coroutine[Any, Any, TraefikRouter]]
Opening = Callable[[], Coroutine[Any, Any, TraefikRouter]]
Running = Callable[..., AbstractContextManager[object]]

FOREIGN = """
http:
  routers:
    theirs: {rule: "Host(`theirs.test`)", service: theirs}
  services:
    theirs: {loadBalancer: {servers: [{url: "http://127.0.0.1:1"}]}}
"""


class ForeignFile:
    """A file that an operator put beside ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def plant(self) -> None:
        """Write it."""
        self._path.write_text(FOREIGN)

    async def is_intact(self) -> bool:
        """Compare it."""
        return self._path.read_text() == FOREIGN


class ForeignContainer:
    """A container with labels for Traefik that somebody else made."""

    LABELS: ClassVar[dict[str, str]] = {
        "traefik.enable": "true",
        "traefik.docker.allownonrunning": "true",
        "traefik.http.routers.theirs.rule": "Host(`theirs.test`)",
        "traefik.http.services.theirs.loadbalancer.server.url": "http://127.0.0.1:1",
    }

    def __init__(self, docker: Any, name: str) -> None:
        self._docker = docker
        self._name = name
        self.id: str | None = None

    async def plant(self) -> None:
        """Make it."""
        self.id = self._docker.create(self._name, self.LABELS)

    async def is_intact(self) -> bool:
        """Look for it."""
        found = [one["Id"] for one in self._docker.containers("traefik.http.routers.theirs.rule")]
        return self.id in found


@pytest.fixture(scope="module", params=["file", pytest.param("docker", marks=pytest.mark.docker)])
def provider(request: pytest.FixtureRequest) -> str:
    """Where Traefik finds the routes."""
    return str(request.param)


@pytest.fixture(scope="module")
def settings(settings: TraefikSettings, provider: str) -> TraefikSettings:
    """Settings for that provider."""
    return msgspec.structs.replace(settings, provider=provider)


@pytest.fixture(scope="module")
def folder(provider: str) -> Iterator[Path]:
    """A folder for all tests with that provider, through which other users can pass."""
    with tempfile.TemporaryDirectory(prefix="agentpod-traefik-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="module")
def opening(folder: Path, settings: TraefikSettings, opened: Opened, provider: str, docker: Any) -> Iterator[Opening]:
    """Opens a router there; what is left on the engine goes at the end."""
    instance = f"t{secrets.token_hex(3)}t"
    yield lambda: opened(folder, settings, instance=instance)
    if provider == "docker":
        docker.sweep(instance)


@pytest.fixture(scope="module")
def traefik(opening: Opening, settings: TraefikSettings, running: Running) -> Iterator[None]:
    """One process for all tests; each starts from no routes."""
    with running(asyncio.run(opening()).daemon(), settings.ping):
        yield


@pytest.mark.usefixtures("traefik")
class TestTraefik(RouterContract):
    serves_traffic = True
    hang_seconds = 1.0

    @pytest.fixture
    async def router(self, opening: Opening) -> TraefikRouter:
        router = await opening()
        await router.apply([])
        return router

    @pytest.fixture
    def again(self, opening: Opening) -> Again:
        return opening

    @pytest.fixture
    def foreign(self, provider: str, folder: Path, docker: Any) -> Iterator[ForeignRoute]:
        if provider == "file":
            path = folder / "routes" / "theirs.yml"
            yield ForeignFile(path)
            path.unlink(missing_ok=True)
            return
        container = ForeignContainer(docker, f"agentpod-test-theirs-{secrets.token_hex(3)}")
        yield container
        if container.id:
            docker.remove(container.id)

    @pytest.fixture
    def door(self, settings: TraefikSettings) -> Entrance:
        return Entrance(address="127.0.0.1", port=settings.http)

    @pytest.fixture
    def secure_door(self, settings: TraefikSettings) -> Entrance:
        return Entrance(address="127.0.0.1", port=settings.https or 0, tls=True)

    @pytest.fixture
    def outside_door(self, settings: TraefikSettings) -> Entrance | None:
        address = own_address()
        return Entrance(address=address, port=settings.http) if address else None


def own_address() -> str | None:
    """Give an address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address
