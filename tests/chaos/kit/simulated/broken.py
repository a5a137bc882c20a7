"""Engines that do well in peace, and one thing wrongly that must never be: the kit has to notice each of them.

Each is made of the real one, for as long as the test's monkeypatch lasts.
"""

from __future__ import annotations

import asyncio
import importlib
from collections import Counter
from datetime import timedelta
from ipaddress import IPv4Address
from typing import Any

import msgspec
import pytest

from agentpod_core.controller import Controller
from agentpod_core.controller.looking import Look
from agentpod_core.desired import desire
from agentpod_core.plan import Timings, alerting
from agentpod_core.reconcile import Reconciler
from agentpod_core.reconcile.applying import Changes
from agentpod_core.reconcile.fence import Fence
from agentpod_core.testing import FakeRuntime, FakeStore
from agentpod_core.testing.fake_changes import Changes as FakeChanges
from agentpod_core.values.actions import CreateContainer, RemoveContainer, RemoveVolume, UpdateLimits, WriteFiles
from agentpod_core.values.names import container_name
from simulated.engine import Engine

PLAN = importlib.import_module("agentpod_core.plan")
STEPS = importlib.import_module("agentpod_core.plan.steps")

# What is not ours.


def loses_what_is_in_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove whatever foreign comes, a second later."""
    adds_container, adds_network = Engine.add_foreign_container, Engine.add_foreign_network

    def soon(things: dict[str, Any], name: str) -> None:
        asyncio.get_running_loop().call_later(1.0, things.pop, name, None)

    def container(self: Engine, name: str, labels: dict[str, str] | None = None) -> Any:
        soon(self.containers, name)
        return adds_container(self, name, labels)

    def network(self: Engine, name: str, subnet: str, labels: dict[str, str] | None = None) -> None:
        soon(self.networks, name)
        adds_network(self, name, subnet, labels)

    monkeypatch.setattr(Engine, "add_foreign_container", container)
    monkeypatch.setattr(Engine, "add_foreign_network", network)


def takes_a_name_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at no label: whoever has the name is ours."""
    find = FakeChanges.find
    monkeypatch.setattr(FakeChanges, "find", lambda self, name: self.engine.containers.get(name) or find(self, name))


# What an agent has.


def empties_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every container on volumes with nothing in them."""
    create = FakeChanges._create_container

    def on_nothing(self: FakeChanges, action: CreateContainer, material: Any) -> None:
        for name in action.volumes.values():
            self.engine.volumes[name].files.clear()
        create(self, action, material)

    monkeypatch.setattr(FakeChanges, "_create_container", on_nothing)


def takes_volumes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove a container's volumes with it, wanted or not."""
    make = FakeChanges.make

    def with_volumes(self: FakeChanges, action: Any, material: Any) -> None:
        found = self.find(action.container) if isinstance(action, RemoveContainer) else None
        make(self, action, material)
        for name in found.volumes.values() if found else ():
            self.engine.volumes.pop(name, None)

    monkeypatch.setattr(FakeChanges, "make", with_volumes)


def cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove an agent's volumes before its container is made anew."""
    anew = STEPS._anew

    def with_removals(desired: Any, container: Any, *given: Any) -> Any:
        found = anew(desired, container, *given)
        at = 1 + [type(one) for one in found.actions].index(RemoveContainer)
        removals = (RemoveVolume(name=name, reason="Deleting") for name in desired.volumes.values())
        return msgspec.structs.replace(found, actions=(*found.actions[:at], *removals, *found.actions[at:]))

    monkeypatch.setattr(STEPS, "_anew", with_removals)


def moves_house(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give an agent that is made anew another address."""
    creation = STEPS.creation

    def elsewhere(desired: Any, reason: str) -> Any:
        if reason == STEPS.CHANGED:
            desired = msgspec.structs.replace(desired, address=_another(desired.address))
        return creation(desired, reason)

    monkeypatch.setattr(STEPS, "creation", elsewhere)


def changes_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand out another secret to whoever asks for it again."""
    secret, asked = FakeStore.secret, Counter[Any]()

    async def another(self: FakeStore, tenant_id: str, ref: Any) -> str:
        value = await secret(self, tenant_id, ref)
        asked[tenant_id, ref] += 1
        return value if asked[tenant_id, ref] == 1 else f"{value}-{asked[tenant_id, ref]}"

    monkeypatch.setattr(FakeStore, "secret", another)


# One container for each pod.


def starts_the_next_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the next container of a pod before the last one is taken away."""
    anew, creation = STEPS._anew, STEPS.creation

    def beside(desired: Any, *given: Any) -> Any:
        found = anew(desired, *given)
        address = _another(desired.address)
        following = msgspec.structs.replace(desired, container=f"{desired.container}-next", address=address)
        starts = (one for one in creation(following, STEPS.CHANGED) if not isinstance(one, WriteFiles))
        return msgspec.structs.replace(found, actions=(*starts, *found.actions))

    monkeypatch.setattr(STEPS, "_anew", beside)


def leaves_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look on where a pod has two containers."""
    decide = PLAN.steps

    def without(*given: Any, **more: Any) -> Any:
        found = decide(*given, **more)
        kept = tuple(one for one in found.actions if one.reason != "SecondContainer")
        return msgspec.structs.replace(found, actions=kept)

    monkeypatch.setattr(PLAN, "steps", without)


def sees_one_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know a pod's container by its name alone, and forget the pod once that one is gone."""
    observe = FakeRuntime.observe_pod

    async def by_name(self: FakeRuntime, pod_id: str) -> Any:
        found = await observe(self, pod_id)
        own = tuple(one for one in found.containers if one.name == container_name(self.instance, pod_id))
        return msgspec.structs.replace(found, containers=own)

    monkeypatch.setattr(FakeRuntime, "observe_pod", by_name)


# Peace.


def acts_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set right at every look what is right."""
    pod = Reconciler.pod

    async def and_limits(self: Reconciler, pod_id: str) -> Any:
        done = await pod(self, pod_id)
        if done.pod and done.container:
            desired = desire(self._parts.instance, done.pod)
            action = UpdateLimits(container=desired.container, limits=desired.limits, reason="LimitsDiffer")
            await self.changes.one(done.pod.tenant_id, action)
        return done

    monkeypatch.setattr(Reconciler, "pod", and_limits)
    monkeypatch.setattr(Look, "_seems_right", lambda *_, **__: False)


def writes_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write down at every look that nothing is new."""

    async def save(self: Reconciler, stored: Any, found: Any, record: Any) -> Any:
        await self._parts.store.save(self._fence.epoch, stored.id, status=found.status, record=record)
        return msgspec.structs.replace(stored, status=found.status, record=record)

    monkeypatch.setattr(Reconciler, "_save", save)
    monkeypatch.setattr(Look, "_seems_right", lambda *_, **__: False)


# What is told, who acts, and how often.


def stripped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell nobody of anything."""
    follow = alerting.follow
    monkeypatch.setattr(alerting, "follow", lambda *given, **more: (follow(*given, **more)[0], ()))


def doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell everything twice."""
    follow = alerting.follow

    def twice(*given: Any, **more: Any) -> Any:
        record, changes = follow(*given, **more)
        return record, (*changes, *changes)

    monkeypatch.setattr(alerting, "follow", twice)


def has_no_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust a lease that ran out."""
    monkeypatch.setattr(Fence, "left", property(lambda _: 1e6))


def leads_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust a lease that ran out; and the store, which is to say no, does not."""
    has_no_fence(monkeypatch)
    monkeypatch.setattr(FakeStore, "_demand", lambda _self, _epoch: None)


def has_no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once, however often it failed."""
    monkeypatch.setattr(Timings, "backoff", lambda _self, _failures: timedelta())


def heals_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take an agent for told that was not."""

    async def nothing(*_: object) -> None:
        pass

    monkeypatch.setattr(Changes, "_tell_healed", nothing)


def looks_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the engine's events alone."""

    async def never(_: Controller) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Controller, "_resync_regularly", never)


def promises_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speak of what is wanted as soon as it is asked for."""
    module = importlib.import_module("agentpod_core.plan.conclude")
    monkeypatch.setattr(module, "earlier", lambda _before, generation: generation)


def _another(address: str) -> str:
    """Give a free address of the same network."""
    return str(IPv4Address(address) + 20)
