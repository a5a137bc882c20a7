"""Makes the changes that a plan asks for, each behind the fence and with the secrets that it needs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec

from agentpod_core.desired import effective_wanted, is_secret
from agentpod_core.errors import AgentPodError
from agentpod_core.plan.steps import CHANGED, SILENT
from agentpod_core.ports import PodInput
from agentpod_core.reconcile.asking import Engine, in_our_words
from agentpod_core.reconcile.fence import Fence
from agentpod_core.reconcile.material import material
from agentpod_core.reconcile.parts import Parts
from agentpod_core.reconcile.turns import Turns
from agentpod_core.reconcile.waits import Waits
from agentpod_core.values import names
from agentpod_core.values.actions import (
    Action,
    CreateNetwork,
    ObtainImage,
    PlannedAction,
    RemoveContainer,
    RemoveNetwork,
    RunOnce,
    StopContainer,
    TellHealed,
    WriteFiles,
)
from agentpod_core.values.pods import Lease, Wanted
from agentpod_core.values.workload import File, OnChange
from agentpod_core.values.world import Endpoint

MERGED_LIMIT = 4 * 1024 * 1024
"""The largest file, in bytes, that an agent may have made of one that is merged."""

SLOW = (RunOnce, StopContainer)
"""What takes as long as an agent likes."""


class Changes:
    """Makes changes for one leader. ``networks`` are those that are known to be there."""

    def __init__(self, parts: Parts, engine: Engine, fence: Fence, turns: Turns) -> None:
        self.networks: set[str] = set()
        self.waits = Waits()
        self._parts = parts
        self._engine = engine
        self._fence = fence
        self._turns = turns
        self._locks: dict[str, asyncio.Lock] = {}

    async def all(self, pod: PodInput, actions: Sequence[PlannedAction]) -> None:
        """Make a pod's changes, one after another, in the network that it needs.

        Raises:
            OtherwiseWanted: something else is wanted of the pod by now, and the rest was left undone.
        """
        if effective_wanted(pod) is Wanted.RUNNING:
            await self.network(pod.tenant_id, pod.tenant, pod.lease)
        for action in actions:
            if isinstance(action, TellHealed):
                await self._tell_healed(pod, action)
                continue
            if isinstance(action, WriteFiles):
                action = await self._merged(pod, action)  # noqa: PLW2901 - the same change, made precise
            # A repair is in vain once something else is wanted, and leaves nothing behind when it is cut short.
            async with self.waits.of(pod.id) if isinstance(action, RunOnce) else contextlib.nullcontext():
                await self.one(pod.tenant_id, action)

    async def image(self, tenant_id: str, image: str) -> None:
        """Bring an image onto the engine, for one of that tenant's pods."""
        await self.one(tenant_id, ObtainImage(image=image, reason="ImageMissing"))

    async def rehearse(self, pod: PodInput, actions: Sequence[PlannedAction]) -> None:
        """Find out what would fail before what is there is taken away for it: a secret, an adapter, a full disk."""
        if not any(_takes_away(action) for action in actions):
            return
        is_up = any(isinstance(action, StopContainer) for action in actions)
        is_kept = not any(isinstance(action, RemoveContainer) for action in actions)
        for action in actions:
            if not isinstance(action, TellHealed):
                await material(self._parts.store, pod.tenant_id, action)
            if isinstance(action, WriteFiles):
                made = await self._merged(pod, action, is_up=is_up)
                if is_up and is_kept:
                    await self.one(pod.tenant_id, made)

    async def _tell_healed(self, pod: PodInput, action: TellHealed) -> None:
        endpoint = Endpoint(host=action.address, port=pod.workload.main_port() or 0)
        async with self._turns.lent(), self._fence.held():
            with in_our_words(pod.spec.adapter, "after_heal"):
                await self._parts.heal(pod, endpoint, action.container)

    async def _merged(self, pod: PodInput, action: WriteFiles, *, is_up: bool = True) -> WriteFiles:
        files = [await self._merged_file(pod, action.container, file, is_up=is_up) for file in action.files]
        return msgspec.structs.replace(action, files=tuple(files))

    async def _merged_file(self, pod: PodInput, container: str, file: File, *, is_up: bool) -> File:
        if file.on_change is not OnChange.MERGED or is_secret(file):
            return file
        try:
            current = await self._engine.read(container, file.path, limit=MERGED_LIMIT)
        except AgentPodError:
            if is_up:
                raise
            # One that is down may be past reading; the file is merged once more where it is written.
            return file
        if current is None:
            return file
        wanted = "".join(part for part in file.parts if isinstance(part, str)).encode()
        with in_our_words(pod.spec.adapter, "merge"):
            merged = (await self._parts.merge(pod.spec.adapter, file, current, wanted)).decode()
        return msgspec.structs.replace(file, parts=(merged,))

    async def one(self, tenant_id: str, action: Action) -> None:
        """Make one change, with the secrets of that tenant, as long as we lead."""
        values = await material(self._parts.store, tenant_id, action)
        name = type(action).__name__
        begun = self._parts.clock.monotonic()
        outcome = "PluginFailed"
        try:
            with self._parts.telemetry.span("act", action=name, why=action.reason):
                turn = self._turns.lent() if isinstance(action, SLOW) else contextlib.nullcontext()
                async with turn, self._fence.held():
                    await self._engine.apply(action, values)
            outcome = "ok"
        except AgentPodError as error:
            outcome = error.reason
            raise
        finally:
            self._parts.telemetry.acted(name, self._parts.clock.monotonic() - begun, outcome)

    async def network(self, tenant_id: str, tenant: str, lease: Lease) -> None:
        """Make a tenant's network, unless it is known to be there."""
        name = names.network_name(self._parts.instance, lease.number)
        async with self._locks.setdefault(name, asyncio.Lock()):
            if name in self.networks:
                return
            action = CreateNetwork(
                name=name, tenant=tenant, subnet=lease.subnet, gateway=lease.gateway, reason="TenantNeedsNetwork"
            )
            await self.one(tenant_id, action)
            self.networks.add(name)

    async def without_network(self, tenant_id: str, lease: Lease) -> None:
        """Remove a tenant's network."""
        name = names.network_name(self._parts.instance, lease.number)
        await self.one(tenant_id, RemoveNetwork(name=name, reason="NobodyNeedsNetwork"))
        self.networks.discard(name)
        self._locks.pop(name, None)


def _takes_away(action: PlannedAction) -> bool:
    """Say whether that is the end of an agent that works, or of one that is down and could be started again."""
    if isinstance(action, RemoveContainer):
        return action.reason == CHANGED
    return isinstance(action, StopContainer) and action.reason != SILENT
