"""Looks at everything now and then, and says which keys seem to need a pass.

One list and one query; a deep look only where something seems off, and at a rolling tenth, for the
list shows neither limits nor exit codes.
"""

from __future__ import annotations

from agentpod_core.controller.probing import Prober
from agentpod_core.controller.queue import KeyQueue
from agentpod_core.controller.sampling import Sampler
from agentpod_core.desired import desire, effective_wanted
from agentpod_core.errors import TemporaryError
from agentpod_core.ports import ROUTES, PodInput, pod_key, tenant_key
from agentpod_core.reconcile import Parts, Reconciler, is_refused
from agentpod_core.values.actions import ProtectHost
from agentpod_core.values.alerts import Clear, Raise
from agentpod_core.values.names import container_name
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import ConditionType, Happening, Phase, Severity
from agentpod_core.values.world import Container, ContainerState, Protection, World

UNREACHABLE = "EngineUnreachable"
PATIENCE = 2
"""So many failed looks in a row pass for a restart of the engine."""


class Look:
    """Looks for one controller."""

    def __init__(self, parts: Parts, queue: KeyQueue, prober: Prober, sampler: Sampler) -> None:
        self._parts = parts
        self._queue = queue
        self._prober = prober
        self._sampler = sampler
        self._orphans: set[str] = set()
        self._hashes: dict[str, tuple[object, str]] = {}
        self._round = 0

    async def everywhere(self, reconciler: Reconciler, *, tries: int) -> None:
        """Compare everything once, shallowly; ``tries`` is how often that failed in a row.

        Raises:
            TemporaryError: the engine or the store does not answer.
        """
        try:
            world = await self._parts.runtime.observe()
        except TemporaryError as error:
            await self._miss_engine(reconciler, tries, error)
            raise
        await self._find_engine(reconciler)
        reconciler.looked(world)
        pods = await self._parts.store.pods()
        tenants = await self._parts.store.tenants()
        await self._protect(reconciler, world)
        self._queue.add(ROUTES)
        own = {container.name: container for container in world.containers}
        self._round = (self._round + 1) % 10
        for tenant in tenants:
            if reconciler.needs(tenant):
                self._queue.add(tenant_key(tenant.id))
        for number, pod in enumerate(pods):
            container = own.get(container_name(self._parts.instance, pod.id))
            if reconciler.notes.is_doubled(pod.id) or not self._seems_right(pod, container, number):
                self._queue.add(pod_key(pod.id))
        known = {pod.id for pod in pods}
        for pod_id in self._hashes.keys() - known:
            del self._hashes[pod_id]
        await self._report_orphans(world, known)

    async def _miss_engine(self, reconciler: Reconciler, tries: int, error: TemporaryError) -> None:
        """Tell, and let each status say that nobody sees the pod, once the engine is away longer than for a restart."""
        if reconciler.is_engine_away or tries < PATIENCE:
            return
        params = {**error.params, "runtime": self._parts.runtime.name, "cause": error.reason}
        news = Happening(kind="system", reason=UNREACHABLE, severity=Severity.ERROR, params=params)
        alert = Raise(reason=UNREACHABLE, severity=Severity.ERROR, params=params)
        await self._parts.store.report([news], alerts=[alert])
        reconciler.is_engine_away = True
        for pod in await self._parts.store.pods():
            self._queue.add(pod_key(pod.id))

    async def _find_engine(self, reconciler: Reconciler) -> None:
        """Take the alert back, which may be another leader's; one that is not open stays as it is."""
        if reconciler.is_engine_away is not False:
            await self._parts.store.report([], alerts=[Clear(reason=UNREACHABLE)])

    def _seems_right(self, pod: PodInput, container: Container | None, number: int) -> bool:
        wanted = effective_wanted(pod)
        is_lacking = self._parts.adapter_lack(pod.spec.adapter) is not None
        if is_lacking is (pod.status.condition(ConditionType.UP_TO_DATE) is None):
            return False
        if is_refused(pod) and self._queue.is_due(pod_key(pod.id)):
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

    async def _protect(self, reconciler: Reconciler, world: World) -> None:
        is_first_look = reconciler.protection.active is None
        reconciler.protection = world.protection
        if world.protection.active and not is_first_look:
            return
        # At the first look even where it is active: the router's ports may be others than last time.
        entry = self._parts.router.entrypoints() if self._parts.router else None
        ports = tuple(port for port in (entry.http, entry.https) if port is not None) if entry else ()
        try:
            await reconciler.changes.one("", ProtectHost(ports=ports, reason="HostMustBeClosed"))
        except Exception as error:
            # Whatever it is, the rest has to be looked at too.
            reason = reconciler.changes.understood(error).reason
            if reason == "NotLeader":
                raise
            reconciler.protection = Protection(active=False, reason=reason)
            return
        reconciler.protection = (await self._parts.runtime.observe()).protection

    async def _report_orphans(self, world: World, known: set[str]) -> None:
        orphans = {one.name for one in world.containers if one.pod_id not in known}
        news = [
            Happening(kind="system", reason="OrphanContainer", severity=Severity.WARNING, params={"name": name})
            for name in sorted(orphans - self._orphans)
            # One whose pod was deleted since the list was made is gone by now.
            if await self._parts.runtime.inspect(name) is not None
        ]
        self._orphans = orphans
        if news:
            await self._parts.store.report(news)
