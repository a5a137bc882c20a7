"""One pass for one key: observe, plan, apply, write down. Decides nothing itself; ``plan`` does.

Acts on a fresh look at the world, never on the event that caused the pass.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta

import msgspec

from agentpod_core.desired import Desired, desire, effective_wanted, lesser_life
from agentpod_core.errors import AgentPodError, ConflictError, NotFoundError
from agentpod_core.observed import Observed, Probed, Trend
from agentpod_core.plan import Plan, applied_badly, hidden, plan, unseen
from agentpod_core.plan.answers import own_container
from agentpod_core.plan.refusals import standing
from agentpod_core.plan.steps import UNPAUSE
from agentpod_core.ports import PodInput, RouteInput, TenantInput
from agentpod_core.reconcile.applying import Changes
from agentpod_core.reconcile.asking import Engine
from agentpod_core.reconcile.boots import Boots
from agentpod_core.reconcile.fence import Fence
from agentpod_core.reconcile.images import Images
from agentpod_core.reconcile.noticing import Notes
from agentpod_core.reconcile.parts import Merge, Parts, Pass, keep_wanted
from agentpod_core.reconcile.sight import Sight
from agentpod_core.reconcile.turns import Turns
from agentpod_core.reconcile.waits import OtherwiseWanted
from agentpod_core.values import names
from agentpod_core.values.actions import RunOnce, StartContainer
from agentpod_core.values.pods import Wanted
from agentpod_core.values.routes import Route
from agentpod_core.values.status import Happening, PodStatus, Record
from agentpod_core.values.workload import main_port
from agentpod_core.values.world import Container, ContainerState, Endpoint, World

__all__ = ["Merge", "Parts", "Pass", "Reconciler", "is_refused", "keep_wanted"]

ROUNDS = 6
"""So many plans in one pass before it lets other keys have their turn."""


class Reconciler:
    """Makes passes for one leader; keeps only what can be seen again."""

    def __init__(  # noqa: PLR0913 - what a leader shares among its passes
        self,
        parts: Parts,
        fence: Fence,
        boots: Boots,
        turns: Turns,
        probed: Callable[[str], Probed | None],
        notes: Notes,
        trend: Callable[[str, datetime | None], Trend | None],
        nudge: Callable[[str], None],
    ) -> None:
        engine = Engine(parts.runtime, parts.timings.look)
        self.changes = Changes(parts, engine, fence, turns)
        self.images = Images(self.changes.image, parts.clock, parts.timings, nudge)
        self.sight = Sight(parts, engine, boots, self.images, probed, trend, notes)
        self._parts = parts
        self._fence = fence
        self._boots = boots
        self._turns = turns
        self._probed = probed

    @property
    def epoch(self) -> int:
        """The epoch of the leader that this makes passes for."""
        return self._fence.epoch

    def changed(self, pod_id: str) -> None:
        """Take note that something else may be wanted of a pod: a pass that waits for what takes long lets go of it."""
        self.changes.waits.changed(pod_id)

    async def pod(self, pod_id: str) -> Pass:  # noqa: C901, PLR0912 - one pass from its first look to its last word
        """Bring one pod closer to what is wanted of it.

        Raises:
            AgentPodError: the engine or the store does not answer; nothing was concluded, but that it is unknown how
                the pod is where the engine is away, or does not show this one, for too long. ``NotLeader``.
        """
        self.changes.waits.begin(pod_id)
        pod = stored = await self._parts.store.pod(pod_id)
        if pod is None or stored is None:
            self._forget(pod_id)
            return Pass(pod=None)
        desired = desire(self._parts.instance, pod)
        before, record, container = pod.status, pod.record, None
        for is_last in (*[False] * (ROUNDS - 1), True):
            try:
                # What shows nothing may take its time for each answer, and all others have to be heard meanwhile.
                async with self._turns.lent() if self.sight.is_slow(pod_id) else nullcontext():
                    observed = await self.sight.pod(desired, pod, record)
            except AgentPodError as error:
                self._boots.forgo(pod_id)
                await self._unseen(stored, error)
                raise
            container = own_container(desired, observed)
            if container and container.state is ContainerState.RUNNING and container.address is None:
                # Its network may be gone as well.
                self.changes.networks.discard(desired.network)
            found = self._plan(desired, observed, record, before)
            if found.is_gone:
                return await self._gone(pod)
            self.images.follow(pod, lacks=found.lacks_image)
            if not found.actions:
                if found.waits_for == "WaitingToStart":
                    self._boots.wait(pod_id, pod.workload.boot_cost)
                elif not _is_booting(container, found):
                    self._boots.release(pod_id)
                await self._save(stored, found, found.record)
                return Pass(pod=pod, status=found.status, container=container, wake_at=found.wake_at)
            if _boots(pod, found) and not self._boots.take(pod_id, pod.workload.boot_cost):
                # Another pod took the last slot since this plan was made; the next look says so.
                continue
            try:
                stored, found, trouble = await self._try(pod, stored, found, before)
            except OtherwiseWanted:
                return Pass(pod=pod, status=found.status, container=container, wake_at=self._parts.clock.now())
            if isinstance(trouble, NotFoundError) and not is_last:
                # Somebody removed it in the midst of this; what is there now is another matter.
                before, record = found.status, found.assessed
                continue
            if trouble is not None:
                failed = await self._failed(pod, stored, found, trouble, container)
                self.changes.networks.discard(desired.network)
                return Pass(pod=pod, status=failed.status, container=container, wake_at=failed.wake_at)
            before, record = found.status, found.record
            if is_last:
                await self._save(stored, msgspec.structs.replace(found, happenings=(), alerts=()), record)
        # What was done has no end, or no effect: it goes on later, so that it takes nobody's time.
        later = self._parts.clock.now() + timedelta(seconds=self._parts.timings.first_backoff)
        return Pass(pod=pod, status=before, container=container, wake_at=later)

    async def _try(
        self, pod: PodInput, stored: PodInput, found: Plan, before: PodStatus
    ) -> tuple[PodInput, Plan, AgentPodError | None]:
        """Write down what is about to be done, and do it; gives what is stored then, and what went wrong with what."""
        error: AgentPodError | None = None
        try:
            await self.changes.rehearse(pod, found.actions)
        except AgentPodError as missing:
            # Nothing was done, so the agent is as well as it was, and its next end is its own.
            error, assessed = missing, msgspec.structs.replace(found.assessed, expects_exit=False)
            status = found.unchanged or found.status
            found = _without_pod_news(msgspec.structs.replace(found, status=status, assessed=assessed))
        stored = await self._announce(pod, stored, found, before)
        if error is None:
            try:
                await self.changes.all(pod, found.actions)
            except AgentPodError as failed:
                error = failed
        return stored, found, error

    async def _announce(self, pod: PodInput, stored: PodInput, found: Plan, before: PodStatus) -> PodInput:
        """Write down what is about to be done, if that is news; another try of what was refused is none."""
        is_new = found.status.phase is not before.phase
        if is_refused(pod):
            found = _without_pod_news(found)
            is_new = False
        # That the next end is our own doing has to be known to whoever takes over in the midst of it.
        is_new = is_new or (found.assessed.expects_exit and not stored.record.expects_exit)
        if is_new or found.happenings or found.alerts:
            return await self._save(stored, found, found.assessed)
        return stored

    async def _unseen(self, stored: PodInput, error: AgentPodError) -> None:
        """Write down that nobody sees the pod, where the engine is away or has not shown it for as long."""
        is_alone = self.sight.misses(stored.id) and not self.sight.is_engine_away
        if is_alone:
            # Of an engine that comes and goes one answer says little; it is away where it gives no second one.
            await self.sight.engine.observe()
        before, probed, now = stored.status, self._probed(stored.id), self._parts.clock.now()
        if self.sight.is_engine_away:
            status = unseen(before, probed, error, now)
            if status != before:
                await self._parts.store.save(self._fence.epoch, stored.id, status=status, record=stored.record)
        elif is_alone:
            found = hidden(effective_wanted(stored), before, stored.record, probed, error, now)
            await self._save(stored, found, found.record)

    async def _gone(self, pod: PodInput) -> Pass:
        gone = Happening(kind="pod", reason="Deleted", params={"pod": pod.name})
        await self._parts.store.forget_pod(self._fence.epoch, pod.id, (gone,))
        self._forget(pod.id)
        return Pass(pod=None, tenant_id=pod.tenant_id)

    async def _failed(
        self, pod: PodInput, stored: PodInput, found: Plan, error: AgentPodError, container: Container | None
    ) -> Plan:
        if isinstance(error, ConflictError) and error.reason == "NotLeader":
            raise error
        # It goes on booting where its change was merely rehearsed.
        if not _is_booting(container, found) or found.assessed.expects_exit:
            self._boots.release(pod.id)
        # What led to this was announced before it was tried.
        found = msgspec.structs.replace(found, happenings=(), alerts=())
        now, timings, back_at = self._parts.clock.now(), self._parts.timings, self.sight.back_at
        failed = applied_badly(found, error, now, timings, before=pod.status, back_at=back_at)
        if (pod.status.reason, pod.status.phase) == (failed.status.reason, failed.status.phase):
            failed = _without_pod_news(failed)
        await self._save(stored, failed, failed.record)
        return failed

    async def dry_run(self, pod_id: str) -> Plan | None:
        """Give the plan that a pass would follow now; None for a pod that is gone."""
        pod = await self._parts.store.pod(pod_id)
        if pod is None:
            return None
        desired = desire(self._parts.instance, pod)
        observed = await self.sight.pod(desired, pod, pod.record)
        return self._plan(desired, observed, pod.record, pod.status)

    def looked(self, world: World) -> None:
        """Take note of what a look at everything showed."""
        # One that was made since that look is merely asked for again.
        self.changes.networks &= {network.name for network in world.networks}
        self.sight.looked(world)

    def needs(self, tenant: TenantInput) -> bool:
        """Say whether there is anything to do for a tenant, by the last look at everything."""
        if tenant.wanted is Wanted.DELETED:
            return not tenant.pods
        return names.network_name(self._parts.instance, tenant.lease.number) not in self.changes.networks

    async def tenant(self, tenant_id: str) -> None:
        """Make or remove a tenant's network, and forget a deleted tenant once it has no pods."""
        tenant = await self._parts.store.tenant(tenant_id)
        if tenant is None:
            return
        if tenant.wanted is Wanted.DELETED:
            if not tenant.pods:
                await self.changes.without_network(tenant_id, tenant.lease)
                gone = Happening(kind="tenant", reason="TenantDeleted", params={"tenant": tenant.slug})
                await self._parts.store.forget_tenant(self._fence.epoch, tenant_id, (gone,))
            return
        await self.changes.network(tenant_id, tenant.slug, tenant.lease)

    async def routes(self) -> frozenset[str]:
        """Publish the routes of all pods that are to run; gives the pods that have one."""
        if self._parts.router is None:
            return frozenset()
        ways_in = await self._parts.store.ways_in()
        routes = [route for way_in in ways_in if (route := self._route(way_in))]
        async with self._fence.held():
            await self._parts.router.apply([*self._parts.fixed_routes, *routes])
        self.sight.routed = frozenset(route.key for route in routes)
        return self.sight.routed

    def _route(self, pod: RouteInput) -> Route | None:
        spec = pod.route
        port = main_port(pod.ports, spec)
        is_wanted = lesser_life(pod.wanted, pod.tenant_wanted) is Wanted.RUNNING
        if spec is None or port is None or not pod.hosts or not is_wanted:
            return None
        return Route(
            key=pod.id,
            hosts=pod.hosts,
            target=Endpoint(host=self.sight.addresses.get(pod.id, pod.address), port=port),
            refuse=spec.refuse,
            attribute_loopback=spec.attribute_loopback,
        )

    def _plan(self, desired: Desired, observed: Observed, record: Record, before: PodStatus) -> Plan:
        now, timings = self._parts.clock.now(), self._parts.timings
        return plan(desired, observed, record, now, before=before, timings=timings)

    async def _save(self, stored: PodInput, found: Plan, record: Record) -> PodInput:
        """Write what differs from what is stored; gives the pod as it is stored then."""
        if found.status != stored.status or record != stored.record or found.happenings or found.alerts:
            await self._parts.store.save(
                self._fence.epoch,
                stored.id,
                status=found.status,
                record=record,
                happenings=found.happenings,
                alerts=found.alerts,
            )
        return msgspec.structs.replace(stored, status=found.status, record=record)

    def _forget(self, pod_id: str) -> None:
        self.images.leave(pod_id)
        self.sight.forget(pod_id)
        self._boots.release(pod_id)


def is_refused(pod: PodInput) -> bool:
    """Say whether the last try to apply this very spec failed, so that the next one is no news."""
    return standing(pod.status, pod.generation) is not None


def _without_pod_news(found: Plan) -> Plan:
    return msgspec.structs.replace(found, happenings=tuple(one for one in found.happenings if one.kind != "pod"))


def _is_booting(container: Container | None, found: Plan) -> bool:
    """Say whether a container is on its way up: it runs, and has not been ready since its start."""
    return container is not None and container.state is ContainerState.RUNNING and not found.record.was_ready


def _boots(pod: PodInput, found: Plan) -> bool:
    """Say whether what is planned burns what a start does: an agent's own repair is taken for one."""
    return pod.workload.boot_cost > 0 and any(
        (isinstance(action, StartContainer) and action.reason != UNPAUSE) or isinstance(action, RunOnce)
        for action in found.actions
    )
