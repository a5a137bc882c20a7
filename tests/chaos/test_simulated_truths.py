"""The simulated kit is no liar: of a world in which one thing is wrong, whatever did it, it says what that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from simulated.engine import MEMORY
from simulated.history import lived
from simulated.truths import untruths
from simulated.world import INSTANCE, World

from agentpod_core.testing.fake_engine import FakeContainer
from agentpod_core.values.alerts import Raise
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Phase, Severity
from agentpod_core.values.world import ContainerState, Limits, Protection

Lie = Callable[[World, Any, FakeContainer], object]


def _stored(world: World, pod: Any, **changes: Any) -> None:
    """Let the store say something else of a pod."""
    world.store._pods[pod.id] = msgspec.structs.replace(world.store._pods[pod.id], **changes)


def _status(world: World, pod: Any, **changes: Any) -> None:
    _stored(world, pod, status=msgspec.structs.replace(world.store._pods[pod.id].status, **changes))


def _record(world: World, pod: Any, **changes: Any) -> None:
    _stored(world, pod, record=msgspec.structs.replace(world.store._pods[pod.id].record, **changes))


def _wanted(world: World, pod: Any, wanted: Wanted) -> None:
    _stored(world, pod, spec=msgspec.structs.replace(world.store._pods[pod.id].spec, wanted=wanted))


def _labelled(own: FakeContainer, name: str, value: str) -> None:
    own.labels = own.labels | {name: value}


def _deleted(world: World, pod: Any, *, keeps_data: bool = False) -> None:
    """Let a pod be gone from the store, as after its deletion."""
    pod.is_deleted, pod.keeps_data = True, keeps_data
    del world.store._pods[pod.id]


def _of_its_data(world: World, pod: Any) -> None:
    _deleted(world, pod, keeps_data=True)
    del world.engine.volumes[world.data(pod.id)]


def _beside(world: World, own: FakeContainer, **changes: Any) -> None:
    """Let the engine start one more container of a pod."""
    given = vars(own) | {"id": world.engine.next_id(), "name": "beside", "state": ContainerState.CREATED} | changes
    beside = FakeContainer(**given)
    world.engine.containers[beside.name] = beside
    world.engine.begin(beside)


def _of_the_tenant(world: World, pod: Any) -> None:
    tenant_id = world.tenants[pod.tenant]
    tenant = world.store._tenants[tenant_id]
    world.store._tenants[tenant_id] = msgspec.structs.replace(tenant, wanted=Wanted.DELETED)


def _alarmed(world: World, pod: Any) -> None:
    raised = Raise(reason="Degraded", severity=Severity.WARNING)
    world.store._alerts.change([raised], tenant=pod.tenant, pod_id=pod.id, pod="main")


LIES: list[tuple[Lie, str]] = [
    # What the engine notes at each start.
    (lambda world, _pod, own: _beside(world, own), "two containers of .* run"),
    (lambda world, _pod, own: _beside(world, own, address="10.0.0.1"), "started at 10.0.0.1"),
    (lambda world, pod, own: (world.engine.tokens.update({pod.id: b"?"}), world.engine.begin(own)), "started with"),
    (
        lambda world, _pod, own: (world.engine.write_as_agent(own.name, MEMORY, b""), world.engine.begin(own)),
        r"\d lost what it knew",
    ),
    # What is not ours.
    (lambda world, *_: world.engine.containers.pop("nobodys"), "the foreign container nobodys was touched"),
    (lambda world, *_: world.engine.volumes.pop("anothers"), "the foreign volume anothers was touched"),
    (lambda world, *_: world.engine.networks.pop("nobodys"), "the foreign network nobodys was touched"),
    (lambda world, *_: world.engine.add_foreign_volume("mine"), "the foreign volume mine was touched: not there"),
    # Pods that are to be gone, and those that are not.
    (lambda _world, pod, _: setattr(pod, "is_deleted", True), "is to be gone, and is running"),
    (lambda world, pod, _: world.store._pods.pop(pod.id), "was forgotten, and nobody had deleted it"),
    (lambda world, pod, _: _deleted(world, pod), "is gone, and its container is there"),
    (lambda world, pod, _: _deleted(world, pod), "is gone, and its volume is there"),
    (lambda world, pod, _: _of_its_data(world, pod), "was deleted with its data, which was to be kept"),
    # Pods that are to be stopped.
    (lambda world, pod, _: _wanted(world, pod, Wanted.STOPPED), "to be stopped, and its container is running"),
    (lambda world, pod, _: _wanted(world, pod, Wanted.STOPPED), "to be stopped, and said to be running"),
    (lambda world, pod, _: _wanted(world, pod, Wanted.STOPPED), "it is stopped and has a route"),
    # Pods that are to run.
    (lambda world, _pod, own: _beside(world, own), "there are other containers of it"),
    (lambda world, pod, _: _stored(world, pod, generation=9), "its last generation was not seen"),
    (lambda _world, _pod, own: _labelled(own, "agentpod.instance", ""), "its name is taken"),
    (lambda world, pod, _: world.engine.volumes.pop(world.data(pod.id)), "its volume is gone"),
    (lambda world, pod, _: _status(world, pod, phase=Phase.STARTING, reason="Hm"), "it is starting: Hm"),
    (lambda world, pod, _: _status(world, pod, ready=False), "it is running"),
    (lambda world, _pod, own: world.engine.containers.pop(own.name), "its container is not there"),
    (lambda _world, _pod, own: setattr(own, "state", ContainerState.PAUSED), "its container is paused"),
    (lambda _world, _pod, own: _labelled(own, "agentpod.spec-hash", "?"), "its container is not as it should be"),
    (lambda _world, _pod, own: setattr(own, "limits", Limits(memory=1)), "its limits are"),
    (lambda world, _pod, own: world.engine.cut_off.add(own.id), "it has no address, or another"),
    (lambda _world, _pod, own: setattr(own, "address", "10.0.0.1"), "it has no address, or another"),
    (lambda world, *_: world.board.routes.clear(), "its routes are"),
    (lambda world, pod, _: _record(world, pod, heals=0), "its agent was not told that it is healed"),
    (lambda world, pod, _: _record(world, pod, blocked=78), "its failures are not forgotten"),
    (lambda world, pod, _: _record(world, pod, failures=(world.engine.now(),)), "its failures are not forgotten"),
    (lambda world, pod, _: world.moods.update({pod.id: "ill"}), "its agent does not answer"),
    (lambda world, _pod, own: world.engine.write_as_agent(own.name, MEMORY, b""), "it has lost what it knew"),
    (lambda world, _pod, own: world.engine.write_as_agent(own.name, "/data/live.json", b"9"), "its /data/live.json is"),
    # The rest of the platform.
    (lambda world, pod, _: _of_the_tenant(world, pod), "the tenant acme is to be gone"),
    (lambda world, _pod, own: world.engine.networks.pop(own.network), "the networks are"),
    (
        lambda world, *_: world.engine.add_foreign_network("n", "10.9.0.0/26", {"agentpod.instance": INSTANCE}),
        "networks",
    ),
    (
        lambda world, *_: world.engine.add_foreign_container("lost", {"agentpod.instance": INSTANCE}),
        "lost belongs to nobody",
    ),
    (lambda world, *_: world.engine.add_foreign_container("x-once"), "a container for one command was left behind"),
    (lambda world, *_: setattr(world.engine, "protection", Protection(active=False)), "the host is not closed"),
    (lambda world, pod, _: _alarmed(world, pod), "the alert Degraded of acme/main is still open"),
]
"""What is done to a world that is as it must be, of which its first pod runs, and what has to be said of that."""


@pytest.mark.parametrize(("lie", "said"), LIES, ids=[said for _, said in LIES])
def test_what_is_wrong_is_said(lie: Lie, said: str) -> None:
    """Nobody is there to set it right, and nobody had to do it in a way that the kit knows."""

    async def script(world: World) -> None:
        for process in world.lives():
            process.die()
        pod, own = world.pod(0), world.container(0)
        assert pod is not None
        assert own is not None
        lie(world, pod, own)
        found = untruths(world)
        assert not found, "\n".join(found)

    with pytest.raises(AssertionError, match=said):
        lived(script)
