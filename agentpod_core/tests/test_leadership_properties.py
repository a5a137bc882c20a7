"""However two controllers are frozen or cut off from the store, only the one that holds the lease touches the world.

Time is virtual: the loop jumps to whatever is due next, so that histories of minutes take milliseconds.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import defaultdict
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentpod_core import ContainerState, Port, Probe, ProbeResult, TemporaryError, Volume, Workload
from agentpod_core.controller import Controller, Pace, Parts
from agentpod_core.reconcile.fence import Fence
from agentpod_core.testing import FakeLink, FakeRuntime, FakeStore
from agentpod_core.testing.fake_clock import START

INSTANCE = "leadersx"
PACE = Pace()
END, CALM = 90.0, 60.0
WORKLOAD = Workload(
    image="fake:1",
    ports=(Port(name="http", number=8080),),
    volumes=(Volume(name="data", path="/data"),),
    probe=Probe(probe="any", timeout=1, start_deadline=30),
)


class Jump(selectors.DefaultSelector):
    """Waits for nothing: tells its loop how far to jump instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            pytest.fail("nothing is due any more: everybody waits for ever")
        self.now += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes only while nobody has anything to do."""

    def __init__(self) -> None:
        self._jump = Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


class VirtualClock:
    """The loop's time, as a process asks for it: who is frozen wakes late."""

    def __init__(self, process: Process | None = None) -> None:
        self._process = process

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self._process:
            await self._process.turn()


class Process:
    """Where a controller runs: it may stand still, or be cut off from the store, and go on later."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self._goes = asyncio.Event()
        self._reaches = asyncio.Event()
        self._goes.set()
        self._reaches.set()

    async def turn(self) -> None:
        """Go on, once it is not frozen."""
        await self._goes.wait()

    async def reach(self) -> None:
        """Get through to the store; a connection that is cut says nothing for long, and then that it is."""
        await self.turn()
        if not self._reaches.is_set():
            try:
                async with asyncio.timeout(10):
                    await self._reaches.wait()
            except TimeoutError:
                raise TemporaryError("StoreUnreachable") from None
        await self.turn()

    async def suffer(self, *, at: float, seconds: float, is_cut: bool) -> None:
        """Be frozen or cut off for a while."""
        await asyncio.sleep(at)
        gate = self._reaches if is_cut else self._goes
        gate.clear()
        await asyncio.sleep(seconds)
        gate.set()


class SeenStore:
    """The store as one process reaches it."""

    def __init__(self, store: FakeStore, process: Process, history: History) -> None:
        self._store, self._process, self._history = store, process, history

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._process.reach()
            answer = await getattr(self._store, name)(*args, **kwargs)
            if name == "save":
                self._history.wrote[args[0]].add(self._process.holder)
            await self._process.reach()
            return answer

        return call

    async def changes(self) -> Any:
        async for key in self._store.changes():
            await self._process.reach()
            yield key


class SlowRuntime:
    """The runtime as one process reaches it: each change is two steps with time between them."""

    def __init__(self, runtime: FakeRuntime, process: Process, history: History) -> None:
        self._runtime, self._process, self._history = runtime, process, history

    @property
    def name(self) -> str:
        return self._runtime.name

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._process.turn()
            return await getattr(self._runtime, name)(*args, **kwargs)

        return call

    async def apply(self, action: Any, material: Any) -> Any:
        await self._process.turn()
        self._history.touched(self._process.holder)
        await asyncio.sleep(self._history.slowness)
        await self._process.turn()
        self._history.touched(self._process.holder)
        return await self._runtime.apply(action, material)

    async def watch(self) -> Any:
        async for event in self._runtime.watch():
            await self._process.turn()
            yield event


class History:
    """What two controllers did to one world."""

    def __init__(self, slowness: float) -> None:
        self.slowness = slowness
        self.wrote: dict[int, set[str]] = defaultdict(set)
        self.trespasses: list[str] = []
        self.store = FakeStore(monotonic=lambda: asyncio.get_running_loop().time())
        self.runtime = FakeRuntime(INSTANCE)
        self.runtime.engine.clock = VirtualClock()

    def touched(self, holder: str) -> None:
        """Note a change of the world by somebody who does not hold the lease."""
        now = asyncio.get_running_loop().time()
        held_by, until = self.store._holder, self.store._expires
        if holder != held_by or now >= until:
            self.trespasses.append(f"{holder} at {now:.2f}, while {held_by} leads until {until:.2f}")

    def controller(self, process: Process) -> Controller:
        parts = Parts(
            instance=INSTANCE,
            store=SeenStore(self.store, process, self),
            runtime=SlowRuntime(self.runtime, process, self),
            clock=VirtualClock(process),
        )
        return Controller(parts, holder=process.holder, probe=lambda _: Healthy(), links=Links(), pace=PACE)

    async def kill(self, at: float, number: int) -> None:
        """Take a pod's container away."""
        await asyncio.sleep(at)
        names = sorted(self.runtime.engine.containers)
        if names:
            self.runtime.engine.remove_by_hand(names[number % len(names)])


class Healthy:
    async def check(self, link: Any, settings: Any, *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        await asyncio.sleep(0.01)
        return ProbeResult(alive=True, ready=True, reason="Answering")


class Links:
    def link(self, pod: Any, endpoint: Any, container: Any) -> FakeLink:
        return FakeLink()


async def lived(slowness: float, troubles: list[tuple[int, float, float, bool]], kills: list[tuple[float, int]]) -> Any:
    """Let two controllers live through troubles (who, when, how long, cut or frozen) and then some calm."""
    history = History(slowness)
    tenant = await history.store.add_tenant("acme")
    pods = [await history.store.add_pod(tenant, name, workload=WORKLOAD) for name in ("main", "other")]
    processes = [Process("one"), Process("two")]
    leaders = [asyncio.create_task(history.controller(process).run()) for process in processes]
    events = [processes[who].suffer(at=at, seconds=long, is_cut=cut) for who, at, long, cut in troubles]
    events += [history.kill(at, number) for at, number in kills]
    await asyncio.gather(asyncio.sleep(END), *events)
    await asyncio.sleep(CALM + 15 * slowness)
    for task in leaders:
        task.cancel()
    for task in leaders:
        with suppress(asyncio.CancelledError):
            await task
    return history, [(await history.store.pod(pod)).status for pod in pods]


def living(*history: Any) -> tuple[History, list[Any]]:
    """Run a history in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(lived(*history))


moments = st.floats(0, END, allow_nan=False).map(lambda at: round(at, 2))
troubles = st.tuples(st.integers(0, 1), moments, st.floats(0.1, 40).map(lambda long: round(long, 2)), st.booleans())


@settings(max_examples=120, deadline=None)
@given(
    slowness=st.sampled_from([0.0, 0.4, 3.0, 11.0]),
    suffered=st.lists(troubles, max_size=5),
    kills=st.lists(st.tuples(moments, st.integers(0, 1)), max_size=5),
)
def test_only_who_holds_the_lease_touches_the_world(slowness, suffered, kills) -> None:
    """No change begins or goes on after the lease ran out, no epoch has two writers, and all ends well."""
    history, statuses = living(slowness, suffered, kills)

    assert history.trespasses == []
    assert [epoch for epoch, holders in history.wrote.items() if len(holders) > 1] == []
    assert [status.ready for status in statuses] == [True, True]
    running = [one.state is ContainerState.RUNNING for one in history.runtime.engine.containers.values()]
    assert running == [True, True]


FROZEN_IN_THE_MIDST = (3.0, [(0, 5.0, 30.0, False)], [(20.0, 0)])


def test_the_property_sees_a_leader_without_a_fence(monkeypatch) -> None:
    """A controller that trusts its lease for ever is caught: this is what the fence is for."""
    monkeypatch.setattr(Fence, "left", property(lambda _: 1e6))

    history, _ = living(*FROZEN_IN_THE_MIDST)

    assert history.trespasses


def test_a_leader_frozen_in_the_midst_of_a_change_leaves_it() -> None:
    """The same history with the fence: another finishes the work, and who wakes up does nothing more of it."""
    history, statuses = living(*FROZEN_IN_THE_MIDST)

    assert history.trespasses == []
    assert set().union(*history.wrote.values()) == {"one", "two"}
    assert [status.ready for status in statuses] == [True, True]
