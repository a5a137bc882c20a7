"""The container engine of a simulated world: Docker's ways with what ends, and a memory of what was done to it.

It knows what an agent kept in its volume, and notes at once what must never be: two containers of one
pod that run, a start without the agent's data, its token or its address. What is not ours lives on whatever
happens to the machine, so that every change of it is somebody's doing.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec

from agentpod_core import Container, ContainerState, PermanentError
from agentpod_core.testing import FakeEngine, FakeRuntime, VirtualClock
from agentpod_core.testing.fake_engine import LIVING, FakeContainer

MEMORY = "/data/memory"
TOKEN = "/run/agentpod/secrets/token"
HANGS = 100.0
"""Seconds after which even an engine that hangs gives up."""


class Fate:
    """How the agent of a pod ends at its next starts: with that code after that many seconds, so many times."""

    def __init__(self, code: int, after: float, times: int) -> None:
        self.code, self.after, self.times = code, after, times


class Engine(FakeEngine):
    """Containers with lives of their own. ``wrongs`` is what must never be and was."""

    def __init__(self, instance: str) -> None:
        super().__init__(clock=VirtualClock())
        self.instance = instance
        # A restart takes time here: see ``end``.
        self.holds_restarts = True
        self.wrongs: list[str] = []
        self.fates: dict[str, Fate] = {}
        self.hung: set[str] = set()
        self.cut_off: set[str] = set()
        self.by_hand: set[str] = set()
        self.kept: dict[str, bytes] = {}
        self.tokens: dict[str, bytes] = {}
        self.addresses: dict[str, str] = {}
        self.is_deaf = False
        self.unshown: dict[str, str] = {}
        self._ends: dict[str, int] = {}

    def begin(self, container: FakeContainer) -> None:
        """Start a program, which finds its data, and may be bound to end soon."""
        super().begin(container)
        self.cut_off.discard(container.id)
        self.hung.discard(container.id)
        pod_id = container.labels.get("agentpod.pod-id", "")
        if not pod_id or container.id in self.by_hand or container.name.endswith("-once"):
            return
        self._judge(container, pod_id)
        fate = self.fates.get(pod_id)
        if fate and fate.times:
            fate.times -= 1
            self._later(fate.after, container, ContainerState.RUNNING, lambda: self.end(container, fate.code))

    def end(self, container: FakeContainer, code: int, *, oom: bool = False, at_once: bool = False) -> None:
        """End a program; where the policy says so, it is started again after Docker's own pause."""
        lived = self.now() - container.started_at if container.started_at else timedelta()
        quick = self._ends[container.id] = self._ends.get(container.id, 0) + 1 if lived < timedelta(seconds=10) else 0
        super().end(container, code, oom=oom, at_once=at_once)
        if container.state is ContainerState.RESTARTING:
            self._later(0.1 * 2 ** min(quick, 9), container, ContainerState.RESTARTING, lambda: self.begin(container))

    def lose(self) -> None:
        """Go down, and everything that runs with it."""
        self.reachable = False
        for container in self.containers.values():
            if container.state in LIVING and self.is_ours(container):
                container.state, container.exit_code, container.finished_at = ContainerState.EXITED, 137, self.now()

    def come_back(self) -> None:
        """Start what has a policy, ran once and was not stopped; then answer."""
        for container in self.containers.values():
            has_ended = container.state is ContainerState.EXITED and container.limits.restart
            is_held = not self.is_ours(container) or container.network not in {"", *self.networks}
            if has_ended and not container.end_wanted and not is_held:
                container.restarts = 0
                self.begin(container)
        self.reachable = True

    def happened(self, kind: str, container: FakeContainer) -> None:
        """Tell watchers, unless what they follow has broken down without a word."""
        if not self.is_deaf:
            super().happened(kind, container)

    def remove_network(self, name: str) -> None:
        """Take a network from under whoever is in it."""
        self.networks.pop(name, None)
        self.cut_off |= {one.id for one in self.containers.values() if one.network == name and one.state in LIVING}

    def remove_volumes(self, pod_id: str) -> None:
        """Remove a pod's volumes by hand, and with them what the agent knew."""
        for name in [name for name, one in self.volumes.items() if one.labels.get("agentpod.pod-id") == pod_id]:
            del self.volumes[name]
            self.kept.pop(name, None)

    def is_ours(self, one: Any) -> bool:
        """Say whether an object carries the label of this platform."""
        return bool(one.labels.get("agentpod.instance") == self.instance)

    def foreign(self) -> dict[str, str]:
        """Say of everything that is not ours how it is."""
        kinds = {"container": self.containers, "volume": self.volumes, "network": self.networks}
        return {
            f"{kind} {name}": _facts(one)
            for kind, some in kinds.items()
            for name, one in some.items()  # type: ignore[attr-defined]
            if not self.is_ours(one)
        }

    def of(self, pod_id: str) -> list[FakeContainer]:
        """List the containers that carry that pod's id."""
        return [one for one in self.containers.values() if one.labels.get("agentpod.pod-id") == pod_id]

    def _judge(self, container: FakeContainer, pod_id: str) -> None:
        others = [one.name for one in self.of(pod_id) if one.id not in {container.id, *self.by_hand}]
        if any(self.containers[name].state in LIVING for name in others):
            self.wrongs.append(f"two containers of {pod_id} run: {container.name} beside {others}")
        token = self.look(container, TOKEN)
        if token is None or token.content != self.tokens[pod_id]:
            self.wrongs.append(f"{pod_id} started with {token.content if token else 'no'} token")
        if container.address != self.addresses[pod_id]:
            self.wrongs.append(f"{pod_id} started at {container.address}")
        volume = container.volumes["data"]
        memory = self.look(container, MEMORY)
        if volume in self.kept:
            if memory is None or memory.content != self.kept[volume]:
                self.wrongs.append(f"{pod_id} lost what it knew")
        else:
            self.kept[volume] = container.id.encode()
            self.write_as_agent(container.name, MEMORY, self.kept[volume])

    def _later(self, seconds: float, container: FakeContainer, state: ContainerState, what: Any) -> None:
        """Do something, if by then the container is still in that life of its."""
        started_at = container.started_at

        def due() -> None:
            is_same = self.containers.get(container.name) is container and container.started_at == started_at
            if is_same and container.state is state:
                what()

        asyncio.get_running_loop().call_later(seconds, due)


def _facts(one: object) -> str:
    """Write down all of an object but what only its followers and its readers care for."""
    if isinstance(one, FakeContainer):
        return str({key: value for key, value in vars(one).items() if key not in {"changed", "output"}})
    return repr(one)


class Runtime(FakeRuntime):
    """Sees that a container whose network was taken away has no address any more.

    Of a pod in ``unshown`` the engine lists the container, and does not show it: it ``hangs`` then, or ``refuses``.
    """

    engine: Engine

    async def inspect(self, name: str) -> Container | None:
        """Look deeply at one container, if the engine lets anybody."""
        found = self.engine.containers.get(name)
        how = self.engine.unshown.get(found.labels.get("agentpod.pod-id", "")) if found else None
        if how == "hangs":
            await asyncio.sleep(HANGS)
        if how:
            raise PermanentError("EngineRefused", message="no look at that one")
        return await super().inspect(name)

    def _seen(self, container: FakeContainer, *, deep: bool = False) -> Container:
        seen = super()._seen(container, deep=deep)
        if container.id in self.engine.cut_off:
            return msgspec.structs.replace(seen, address=None)
        return seen
