"""The world behind ``FakeRuntime``: containers, volumes and networks in memory, and hands to disturb them.

It outlives the runtimes that look at it, as a real engine does, and owns no policy of AgentPod.
Everything is deterministic: ids count up, and without a clock time advances a second with each change.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from agentpod_core.errors import TemporaryError
from agentpod_core.plugpoints.context import Clock
from agentpod_core.testing.fake_programs import NOT_FOUND, Seen, Surroundings, run
from agentpod_core.values.actions import Action
from agentpod_core.values.workload import Workload
from agentpod_core.values.world import ContainerState, EngineEvent, Limits, Protection, SeenNetwork, Usage

LIVING = (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)


@dataclass
class FakeVolume:
    """A volume; ``files`` are by their path below its root."""

    labels: dict[str, str]
    files: dict[str, Seen] = field(default_factory=dict)


@dataclass
class FakeContainer:
    """A container with all that the engine knows of it; ``end_wanted`` is set by a stop through the API."""

    id: str
    name: str
    labels: dict[str, str]
    workload: Workload
    volumes: dict[str, str]
    network: str
    address: str
    hostname: str
    limits: Limits
    env: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    state: ContainerState = ContainerState.CREATED
    exit_code: int | None = None
    oom_killed: bool = False
    restarts: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    end_wanted: bool = False
    output: list[bytes] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def notify(self) -> None:
        """Wake whoever follows this container."""
        self.changed.set()
        self.changed = asyncio.Event()


@dataclass(frozen=True)
class Cut:
    """An apply that is to fail, before or after its change was made."""

    error: BaseException
    after: bool


@dataclass
class FakeEngine:
    """The world, with hands to disturb it.

    ``images`` are present, ``pullable`` could be had. ``holds_restarts`` leaves a container that the
    engine restarts in ``restarting`` until ``release``. ``applied`` lists the actions that were made.
    """

    images: set[str] = field(default_factory=lambda: {"fake:1"})
    pullable: set[str] = field(default_factory=set)
    clock: Clock | None = None
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    volumes: dict[str, FakeVolume] = field(default_factory=dict)
    networks: dict[str, SeenNetwork] = field(default_factory=dict)
    protection: Protection = field(default_factory=lambda: Protection(active=False, reason="NotProtected"))
    usage: Usage = field(default_factory=lambda: Usage(cpu=5, memory=1_000_000, pids=1))
    holds_restarts: bool = False
    applied: list[Action] = field(default_factory=list)
    watchers: list[asyncio.Queue[EngineEvent]] = field(default_factory=list)
    _reachable: bool = True
    _lost_at: datetime | None = None
    _attempts: int = 0
    _cuts: dict[int, Cut] = field(default_factory=dict)
    _count: int = 0
    _time: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    # What tests disturb.

    @property
    def reachable(self) -> bool:
        """Whether the engine answers; setting it to True again tells watchers to look at everything."""
        return self._reachable

    @reachable.setter
    def reachable(self, value: bool) -> None:
        came_back = value and not self._reachable
        if self._reachable and not value:
            self._lost_at = self.now()
        self._reachable = value
        if came_back:
            self._tell(EngineEvent(kind="resync", at=self.now(), since=self._lost_at))

    def cut_apply(self, nth: int = 1, *, after: bool = False, error: BaseException | None = None) -> None:
        """Make the ``nth`` apply from now raise, before its change or after it was made."""
        self._cuts[self._attempts + nth] = Cut(error or TemporaryError("EngineUnreachable"), after)

    def kill(self, name: str, code: int = 137, *, oom: bool = False) -> None:
        """End a running container's process; a restart policy answers as the engine's would."""
        self.end(self.containers[name], code, oom=oom)

    def release(self, name: str) -> None:
        """Let a container that waits in ``restarting`` start."""
        container = self.containers[name]
        if container.state is ContainerState.RESTARTING:
            self.begin(container)

    def pause(self, name: str) -> None:
        """Freeze a running container by hand."""
        self.containers[name].state = ContainerState.PAUSED
        self.happened("pause", self.containers[name])

    def remove_by_hand(self, name: str) -> None:
        """Remove a container as somebody with the engine's own tools would."""
        container = self.containers.pop(name)
        if container.state in LIVING:
            self.happened("die", container)
        container.state = ContainerState.REMOVING
        container.notify()
        self.happened("destroy", container)

    def oom(self, name: str) -> None:
        """Kill a process of a running container for want of memory, and not the one that it lives by."""
        self.happened("oom", self.containers[name])

    def reboot(self) -> None:
        """Restart the machine: what ran with a restart policy runs again, the rest is down."""
        lost_at = self.now()
        for container in self.containers.values():
            if container.state in LIVING:
                container.state, container.exit_code = ContainerState.EXITED, 137
                container.finished_at = self.now()
                container.notify()
                if container.limits.restart and not container.end_wanted:
                    self.begin(container)
        self._tell(EngineEvent(kind="resync", at=self.now(), since=lost_at))

    def add_foreign_container(self, name: str, labels: dict[str, str] | None = None) -> FakeContainer:
        """Add a running container that is not ours."""
        container = FakeContainer(
            id=self.next_id(),
            name=name,
            labels=labels or {},
            workload=Workload(image="fake:1"),
            volumes={},
            network="bridge",
            address="",
            hostname=name,
            limits=Limits(),
            state=ContainerState.RUNNING,
            started_at=self.now(),
        )
        self.containers[name] = container
        return container

    def add_foreign_volume(self, name: str, labels: dict[str, str] | None = None) -> None:
        """Add a volume that is not ours."""
        self.volumes[name] = FakeVolume(labels or {})

    def add_foreign_network(self, name: str, subnet: str, labels: dict[str, str] | None = None) -> None:
        """Add a network that is not ours."""
        self.networks[name] = SeenNetwork(id=self.next_id(), name=name, subnet=subnet, labels=labels or {})

    def write_as_agent(self, name: str, path: str, content: bytes, mode: int = 0o600) -> None:
        """Write a file as the agent in that container would."""
        container = self.containers[name]
        security = container.workload.security
        self.put(container, path, Seen(content, mode, security.uid, security.gid))

    # What the runtime uses.

    def now(self) -> datetime:
        """Give the clock's time, or one that advances with every look."""
        if self.clock is not None:
            return self.clock.now()
        self._time += timedelta(seconds=1)
        return self._time

    def next_id(self) -> str:
        """Make an id that no object has had before."""
        self._count += 1
        return f"{self._count:012x}"

    def begin_apply(self, action: Action) -> Callable[[], None]:
        """Count an apply and fail it if that was asked for; the result ends it."""
        self._attempts += 1
        cut = self._cuts.pop(self._attempts, None)
        if cut is not None and not cut.after:
            raise cut.error

        def end() -> None:
            self.applied.append(action)
            if cut is not None:
                raise cut.error

        return end

    def happened(self, kind: str, container: FakeContainer) -> None:
        """Tell watchers about a container."""
        labels = container.labels
        pod_id, tenant = labels.get("agentpod.pod-id", ""), labels.get("agentpod.tenant", "")
        if labels.get("agentpod.instance"):
            self._tell(EngineEvent(kind=kind, pod_id=pod_id, tenant=tenant, at=self.now(), name=container.name))

    def begin(self, container: FakeContainer) -> None:
        """Start a container's program."""
        container.state, container.started_at = ContainerState.RUNNING, self.now()
        container.exit_code, container.oom_killed, container.end_wanted = None, False, False
        self.happened("start", container)
        outcome = run(container.workload.command, self.surroundings(container))
        if outcome.code == NOT_FOUND:
            # An agent of which nothing is known here: it runs until somebody ends it.
            return
        self.print(container, b"".join((*outcome.stdout, *outcome.stderr)))
        if not outcome.seconds:
            self.end(container, outcome.code, at_once=True)

    def end(self, container: FakeContainer, code: int, *, oom: bool = False, at_once: bool = False) -> None:
        """End a container's program, and restart it where its policy says so."""
        container.state, container.exit_code, container.finished_at = ContainerState.EXITED, code, self.now()
        container.oom_killed = oom
        container.notify()
        if oom:
            self.happened("oom", container)
        self.happened("die", container)
        if container.limits.restart and not container.end_wanted:
            container.restarts += 1
            container.state = ContainerState.RESTARTING
            if not (at_once or self.holds_restarts):
                self.begin(container)

    def print(self, container: FakeContainer, text: bytes) -> None:
        """Add lines to a container's output."""
        container.output += text.splitlines()
        container.notify()

    def surroundings(self, container: FakeContainer) -> Surroundings:
        """Give what a program in that container sees."""
        security = container.workload.security

        def write(path: str, content: bytes) -> None:
            self.put(container, path, Seen(content, 0o644, security.uid, security.gid))

        return Surroundings(container.hostname, container.env, lambda path: self.look(container, path), write)

    def look(self, container: FakeContainer, path: str) -> Seen | None:
        """Find a file in a container's volumes."""
        place = self._place(container, path)
        return place[0].files.get(place[1]) if place else None

    def put(self, container: FakeContainer, path: str, file: Seen) -> None:
        """Put a file into a container's volume.

        Raises:
            KeyError: the path is in none of its volumes.
        """
        place = self._place(container, path)
        if place is None:
            raise KeyError(path)
        place[0].files[place[1]] = file

    def holder(self, subnet: str) -> str | None:
        """Name the network that holds a part of that subnet."""
        wanted = ipaddress.ip_network(subnet)
        held = (one.name for one in self.networks.values() if wanted.overlaps(ipaddress.ip_network(one.subnet)))
        return next(held, None)

    def _place(self, container: FakeContainer, path: str) -> tuple[FakeVolume, str] | None:
        for volume in sorted(container.workload.volumes, key=lambda one: -len(one.path)):
            root = f"{volume.path.rstrip('/')}/"
            if path.startswith(root):
                return self.volumes[container.volumes[volume.name]], path.removeprefix(root)
        return None

    def _tell(self, event: EngineEvent) -> None:
        for queue in self.watchers:
            queue.put_nowait(event)
