"""Looks at everything now and then, and says which keys seem to need a pass.

One list and one query; a deep look only where something seems off, and at a rolling tenth, for the
list shows neither limits nor exit codes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from agentpod_core.controller.passes import Passes
from agentpod_core.controller.platform import PlatformAlerts
from agentpod_core.controller.probing import Prober
from agentpod_core.controller.sampling import Sampler
from agentpod_core.desired import desire, effective_wanted
from agentpod_core.errors import AgentPodError
from agentpod_core.ports import RESYNC, ROUTES, PodInput, TenantInput, pod_key, tenant_key
from agentpod_core.reconcile import Parts, Reconciler, is_refused
from agentpod_core.values.actions import ProtectHost, RemoveNetwork
from agentpod_core.values.names import container_name, network_name, network_prefix
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import ConditionType, Phase
from agentpod_core.values.world import Container, ContainerState, Protection, World

logger = logging.getLogger(__name__)


class Look:
    """Looks for one leader."""

    def __init__(self, parts: Parts, reconciler: Reconciler, passes: Passes, prober: Prober, sampler: Sampler) -> None:
        self._parts = parts
        self._reconciler = reconciler
        self._passes = passes
        self._prober = prober
        self._sampler = sampler
        self._platform = PlatformAlerts(parts.store, reconciler.epoch)
        self._hashes: dict[str, tuple[object, str]] = {}
        self._round = 0
        self._missed_since: float | None = None
        self._is_close = False

    def closely(self) -> None:
        """Have the next look ask also for those that wait out a refusal: what stood in their way may be gone."""
        self._is_close = True
        self._reconciler.images.again()

    async def everywhere(self) -> None:
        """Compare everything once, shallowly.

        Raises:
            AgentPodError: the engine or the store does not answer, or refuses to.
        """
        reconciler, begun = self._reconciler, self._parts.clock.monotonic()
        try:
            world = await reconciler.sight.engine.observe()
        except AgentPodError as error:
            await self._miss_engine(begun, error)
            raise
        self._missed_since = None
        if not self._round:
            self._platform.doubt()
        await self._platform.engine_found()
        reconciler.looked(world)
        pods, tenants = await asyncio.gather(self._parts.store.pods(), self._parts.store.tenants())
        await self._protect(world)
        self._passes.add(ROUTES)
        own = {container.name: container for container in world.containers}
        self._round = (self._round + 1) % 10
        is_close, self._is_close = self._is_close, False
        for tenant in tenants:
            if reconciler.needs(tenant):
                self._passes.add(tenant_key(tenant.id))
        if is_close:
            await self._drop_networks(world, tenants)
        for number, pod in enumerate(pods):
            container = own.get(container_name(self._parts.instance, pod.id))
            is_doubled = reconciler.sight.notes.is_doubled(pod.id)
            if is_doubled or not self._seems_right(pod, container, number, is_close=is_close):
                self._passes.add(pod_key(pod.id))
        known = {pod.id for pod in pods}
        for pod_id in self._hashes.keys() - known:
            del self._hashes[pod_id]
        orphans = {one.name for one in world.containers if one.pod_id not in known}
        await self._platform.orphans(orphans, self._is_there)

    async def _miss_engine(self, begun: float, error: AgentPodError) -> None:
        """Tell, and let each status say that nobody sees the pod, once the engine is away longer than for a restart."""
        if self._reconciler.sight.is_engine_away:
            return
        since = self._missed_since = begun if self._missed_since is None else self._missed_since
        left = since + self._parts.timings.absence - self._parts.clock.monotonic()
        if left > 0:
            self._passes.add_in(RESYNC, left)
            return
        pods = await self._parts.store.pods()
        await self._platform.engine_missed(self._parts.runtime.name, error)
        self._reconciler.sight.is_engine_away = True
        for pod in pods:
            self._passes.add(pod_key(pod.id))

    async def _drop_networks(self, world: World, tenants: Sequence[TenantInput]) -> None:
        """Remove what an engine held on to when the tenant of a network went: once it is back it may let go."""
        instance = self._parts.instance
        wanted = {network_name(instance, tenant.lease.number) for tenant in tenants}
        there = {one.name for one in world.networks if one.name.startswith(network_prefix(instance))}
        for name in there - wanted:
            try:
                await self._reconciler.changes.one("", RemoveNetwork(name=name, reason="NobodyNeedsNetwork"))
            except AgentPodError as error:
                if error.reason == "NotLeader":
                    raise
                logger.warning("%s: %s", name, error)

    async def _is_there(self, container: str) -> bool:
        return await self._reconciler.sight.engine.inspect(container) is not None

    def _seems_right(self, pod: PodInput, container: Container | None, number: int, *, is_close: bool) -> bool:
        wanted = effective_wanted(pod)
        is_lacking = self._parts.adapter_lack(pod.spec.adapter) is not None
        if is_lacking is (pod.status.condition(ConditionType.UP_TO_DATE) is None):
            return False
        if not is_close and is_refused(pod) and self._passes.is_due(pod_key(pod.id)):
            return True
        alive = pod.status.condition(ConditionType.ALIVE)
        if number % 10 == self._round or alive is None or alive.status is None:
            return False
        if wanted is Wanted.STOPPED:
            return pod.status.phase is Phase.STOPPED and (container is None or container.state is ContainerState.EXITED)
        if wanted is Wanted.DELETED or container is None or container.state is not ContainerState.RUNNING:
            return False
        if container.address is None:
            return False
        return (
            pod.status.phase is Phase.RUNNING
            and pod.status.observed_generation == pod.generation
            and container.spec_hash == self._spec_hash(pod)
            and (pod.workload.probe is None or self._prober.last(pod.id) is not None)
            and self._sampler.follows(pod.id)
        )

    def _spec_hash(self, pod: PodInput) -> str:
        """Give the hash of the container that a pod should have: reckoned anew only when what it is made of changed."""
        made_of = (pod.generation, pod.lease.number, pod.address)
        known = self._hashes.get(pod.id)
        if known is None or known[0] != made_of:
            known = self._hashes[pod.id] = made_of, desire(self._parts.instance, pod).spec_hash
        return known[1]

    async def _protect(self, world: World) -> None:
        reconciler, sight = self._reconciler, self._reconciler.sight
        is_first_look = sight.protection.active is None
        sight.protection = world.protection
        if world.protection.active and not is_first_look:
            return
        # At the first look even where it is active: the router's ports may be others than last time.
        entry = self._parts.router.entrypoints() if self._parts.router else None
        ports = tuple(port for port in (entry.http, entry.https) if port is not None) if entry else ()
        try:
            await reconciler.changes.one("", ProtectHost(ports=ports, reason="HostMustBeClosed"))
        except AgentPodError as error:
            if error.reason == "NotLeader":
                raise
            # Whatever it is, the rest has to be looked at too.
            sight.protection = Protection(active=False, reason=error.reason)
            return
        sight.protection = (await sight.engine.observe()).protection
