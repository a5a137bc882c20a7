"""The real Traefik, run unprivileged on loopback, against everything that a router must do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from agentpod_core import Router
from agentpod_core.testing import RouterContract
from agentpod_core.testing.routers import Again
from agentpod_core.testing.wire import Entrance
from agentpod_traefik import TraefikRouter, TraefikSettings

Opened = Callable[..., Coroutine[Any, Any, TraefikRouter]]
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


@pytest.fixture(scope="module")
def traefik(reachable_folder: Path, settings: TraefikSettings, opened: Opened, running: Running) -> Iterator[None]:
    """One process for all tests; each starts from no routes."""
    router = asyncio.run(opened(reachable_folder, settings))
    with running(router.daemon(), settings.ping):
        yield


@pytest.mark.usefixtures("traefik")
class TestTraefik(RouterContract):
    serves_traffic = True
    hang_seconds = 1.0

    @pytest.fixture
    async def router(self, reachable_folder: Path, settings: TraefikSettings, opened: Opened) -> TraefikRouter:
        router = await opened(reachable_folder, settings)
        await router.apply([])
        return router

    @pytest.fixture
    def again(self, reachable_folder: Path, settings: TraefikSettings, opened: Opened) -> Again:
        async def another() -> Router:
            return await opened(reachable_folder, settings)

        return another

    @pytest.fixture
    def foreign(self, reachable_folder: Path) -> Iterator[ForeignFile]:
        path = reachable_folder / "routes" / "theirs.yml"
        yield ForeignFile(path)
        path.unlink(missing_ok=True)

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
