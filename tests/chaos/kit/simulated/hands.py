"""What somebody with the engine's own tools can do to a pod's container."""

from __future__ import annotations

import msgspec

from agentpod_core.testing.fake_engine import LIVING, FakeContainer
from agentpod_core.values.world import ContainerState, Limits
from simulated.world import World


def _kill(world: World, found: FakeContainer) -> None:
    if found.state is ContainerState.RUNNING:
        world.engine.kill(found.name)


def _oom(world: World, found: FakeContainer) -> None:
    if found.state is ContainerState.RUNNING:
        world.engine.kill(found.name, oom=True)


def _oom_child(world: World, found: FakeContainer) -> None:
    if found.state is ContainerState.RUNNING:
        world.engine.oom(found.name)


def _hang(world: World, found: FakeContainer) -> None:
    if found.state is ContainerState.RUNNING:
        world.engine.hung.add(found.id)


def _go_on(world: World, found: FakeContainer) -> None:
    world.engine.hung.discard(found.id)


def _remove(world: World, found: FakeContainer) -> None:
    world.engine.remove_by_hand(found.name)


def _pause(world: World, found: FakeContainer) -> None:
    if found.state is ContainerState.RUNNING:
        world.engine.pause(found.name)


def _unpause(world: World, found: FakeContainer) -> None:
    if found.state is ContainerState.PAUSED:
        found.state = ContainerState.RUNNING
        world.engine.happened("unpause", found)


def _stop(world: World, found: FakeContainer) -> None:
    if found.state in LIVING:
        found.end_wanted = True
        world.engine.end(found, 143)


def _start(world: World, found: FakeContainer) -> None:
    is_free = not any(one.state in LIVING and one.address == found.address for one in world.engine.containers.values())
    if found.state not in LIVING and is_free and found.network in world.engine.networks:
        found.restarts = 0
        world.engine.begin(found)


def _die(world: World, found: FakeContainer) -> None:
    if found.state in LIVING:
        world.engine.end(found, 137)
    found.state, found.limits = ContainerState.DEAD, msgspec.structs.replace(found.limits, restart=False)


def _loosen(world: World, found: FakeContainer) -> None:
    found.limits = Limits(memory=None, cpus=100, pids=7, restart=None)
    world.engine.happened("update", found)


def _tighten(world: World, found: FakeContainer) -> None:
    found.limits = msgspec.structs.replace(found.limits, memory=8 * 1024 * 1024, restart=False)
    world.engine.happened("update", found)


def _rename(world: World, found: FakeContainer) -> None:
    del world.engine.containers[found.name]
    found.name = f"renamed-{found.id}"
    world.engine.containers[found.name] = found
    # It is no longer the one that the platform made: somebody took it.
    world.engine.by_hand.add(found.id)
    world.engine.happened("rename", found)


HANDS = {
    "kill": _kill,
    "oom": _oom,
    "oom-child": _oom_child,
    "hang": _hang,
    "go-on": _go_on,
    "remove": _remove,
    "pause": _pause,
    "unpause": _unpause,
    "stop": _stop,
    "start": _start,
    "dead": _die,
    "loosen": _loosen,
    "tighten": _tighten,
    "rename": _rename,
}
