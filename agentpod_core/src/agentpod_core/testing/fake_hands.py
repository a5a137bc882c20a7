"""Hands on the fake engine that are not ours: what the runtime contract disturbs a runtime with."""

from __future__ import annotations

from agentpod_core.testing.fake_engine import FakeEngine
from agentpod_core.values.world import ContainerState


class FakeHands:
    """Implements ``Foreign`` and ``Outage`` of the runtime contract for a fake engine, and its ``kill``."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    async def add(self, kind: str, name: str, *, subnet: str = "") -> None:
        """Add a running container, a volume or a network of nobody; a network says that it is somebody's."""
        if kind == "container":
            self._engine.add_foreign_container(name)
        elif kind == "volume":
            self._engine.add_foreign_volume(name)
        else:
            self._engine.add_foreign_network(name, subnet, {"agentpod.instance": "somebody"})

    async def exists(self, kind: str, name: str) -> bool:
        """Say whether it is there, a container still running."""
        if kind == "container":
            found = self._engine.containers.get(name)
            return found is not None and found.state is ContainerState.RUNNING
        return name in (self._engine.volumes if kind == "volume" else self._engine.networks)

    async def begin(self) -> None:
        """Make the engine unreachable."""
        self._engine.reachable = False

    async def end(self) -> None:
        """Make it reachable again."""
        self._engine.reachable = True

    async def kill(self, name: str) -> None:
        """End a container's process."""
        self._engine.kill(name)
