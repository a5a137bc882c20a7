"""Leads or stands by, and while it leads joins what says where to look with what looks there.

Keys come from changes in the store, events of the engine, changed probe answers, due wake-ups and
a resync; they say where to look, never what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from agentpod_core.controller.leading import Leading
from agentpod_core.controller.looking import Look
from agentpod_core.controller.pace import Pace
from agentpod_core.controller.passes import Passes, ended
from agentpod_core.controller.probing import Prober
from agentpod_core.controller.sampling import Sampler
from agentpod_core.desired import desire
from agentpod_core.errors import AgentPodError, ConflictError
from agentpod_core.observed import Probed, Trend, concluded
from agentpod_core.plan import Plan
from agentpod_core.plugpoints.probes import HealthProbe
from agentpod_core.ports import RESYNC, ROUTES, Links, pod_key, tenant_key
from agentpod_core.reconcile import Parts, Pass, Reconciler
from agentpod_core.reconcile.boots import Boots
from agentpod_core.reconcile.fence import Fence
from agentpod_core.reconcile.noticing import Notes
from agentpod_core.reconcile.turns import Turns
from agentpod_core.values.world import ContainerState

logger = logging.getLogger(__name__)

__all__ = ["Controller", "Pace", "Parts"]


DEFAULT_PACE = Pace()


class Controller:
    """Drives every pod to what is wanted, while it leads; stands by while another does."""

    def __init__(
        self, parts: Parts, *, holder: str, probe: Callable[[str], HealthProbe], links: Links, pace: Pace = DEFAULT_PACE
    ) -> None:
        self._parts = parts
        self._leading = Leading(
            parts.store, parts.clock, holder, lease=pace.lease, margin=pace.margin, renew=pace.renew
        )
        self._pace = pace
        self._passes = Passes(parts.clock, parts.telemetry, parts.timings)
        self._sampler = Sampler(
            runtime=parts.runtime,
            store=parts.store,
            clock=parts.clock,
            timings=parts.timings,
            changed=self._nudge_pod,
            seconds=pace.sample * pace.scale,
        )
        self._prober = Prober(
            probe=probe,
            links=links,
            clock=parts.clock,
            telemetry=parts.telemetry,
            changed=self._nudge_pod,
            late=self._sampler.ask,
            slots=pace.slots,
            scale=pace.scale,
            spec_hash=lambda pod: desire(parts.instance, pod).spec_hash,
        )
        self._notes = Notes(parts.instance, parts.clock.now())
        self._reconciler: Reconciler | None = None
        self._look: Look | None = None
        self._epoch: int | None = None

    @property
    def epoch(self) -> int | None:
        """The epoch in which this controller leads; None while it stands by."""
        return self._epoch

    @property
    def depth(self) -> int:
        """Count the keys that wait for their pass."""
        return self._passes.depth

    @property
    def oldest(self) -> float:
        """The seconds for which the first of them has waited; 0 when none does."""
        return self._passes.oldest

    def nudge(self, key: str) -> None:
        """Look at a key as soon as possible; ``RESYNC`` looks at everything, also at what waits out a refusal."""
        if key == RESYNC and self._look:
            self._look.closely()
        self._passes.add(key)

    async def look(self, key: str) -> None:
        """Look at a key as soon as possible, and return once a pass that began after this has ended.

        Raises:
            AgentPodError: what the pass ended with; it is tried again by itself. ``NotLeader`` while another leads.
        """
        if self._reconciler is None:
            raise ConflictError("NotLeader")
        if key == RESYNC and self._look:
            self._look.closely()
        await self._passes.ask(key)

    def probed(self, pod_id: str) -> Probed | None:
        """Give what the agent last answered."""
        return self._prober.last(pod_id)

    def trend(self, pod_id: str) -> Trend | None:
        """Give where the pod is heading by what was measured; None where it was not measured here, or not lately."""
        return self._sampler.last(pod_id)

    async def plan(self, pod_id: str) -> Plan | None:
        """Give the plan that a pass would follow now, without following it; None for a pod that is gone.

        Who does not lead asks no agent: what the leader concluded last stands for the agent's answer.
        """
        if self._reconciler:
            return await self._reconciler.dry_run(pod_id)
        pod = await self._parts.store.pod(pod_id)
        if pod is None:
            return None
        failures = pod.workload.probe.failures if pod.workload.probe else 1
        said = concluded(pod.status, pod.record, failures)
        fence, turns = Fence(self._parts.clock, 0, 0), Turns(1)
        notes = Notes(self._parts.instance, self._notes.since)
        notes.doubt(pod_id)
        return await self._new_reconciler(fence, turns, lambda _: said, notes).dry_run(pod_id)

    async def run(self) -> None:
        """Lead or stand by, until cancelled; then give the lease up so that another can take over at once."""
        try:
            await self._again_and_again("leading", self._lead, self._pace.ask)
        finally:
            await self._leading.end()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run while the block does, and end in order with it."""
        task = asyncio.create_task(self.run(), name="controller")
        try:
            yield
        finally:
            await ended([task])

    def _nudge_pod(self, pod_id: str) -> None:
        self.nudge(pod_key(pod_id))

    def _new_reconciler(
        self, fence: Fence, turns: Turns, probed: Callable[[str], Probed | None], notes: Notes
    ) -> Reconciler:
        boots = Boots(self._pace.slots, self._nudge_pod)
        return Reconciler(self._parts, fence, boots, turns, probed, notes, self._sampler.trend, self._nudge_pod)

    async def _lead(self) -> None:
        if fence := await self._leading.begin():
            await self._serve(fence)

    async def _serve(self, fence: Fence) -> None:
        logger.info("leading with epoch %d", fence.epoch)
        turns = Turns(self._pace.workers)
        reconciler = self._reconciler = self._new_reconciler(fence, turns, self._prober.last, self._notes)
        look = self._look = Look(self._parts, reconciler, self._passes, self._prober, self._sampler)
        self._epoch = fence.epoch
        self._passes.add(RESYNC)
        settle = self._parts.timings.settle
        handle = functools.partial(self._handle, reconciler, look)
        jobs: dict[str, Callable[[], Awaitable[None]]] = {
            "changes": self._follow_changes,
            "engine events": self._follow_engine,
            "samples": self._sampler.run,
            "volumes": self._sampler.measure_volumes,
            "resync": self._resync_regularly,
            "passes": functools.partial(self._passes.hand_out, handle, turns, fence.epoch),
            "looks": functools.partial(self._passes.look, handle, fence.epoch),
        }
        keeping = asyncio.create_task(self._leading.keep(fence), name="lease")
        tasks = [keeping]
        tasks += [asyncio.create_task(self._again_and_again(what, do, settle), name=what) for what, do in jobs.items()]
        try:
            over, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in over:
                _tell_end(task, is_expected=task is keeping)
        finally:
            self._reconciler = self._look = self._epoch = None
            reconciler.images.close()
            try:
                await ended([*tasks, *self._passes.under_way, *reconciler.images.under_way])
            finally:
                # Only now, for a pass may follow an agent until its very end.
                self._prober.close()
                self._sampler.close()
                self._passes.refuse()
                logger.info("no longer leading with epoch %d", fence.epoch)

    async def _again_and_again(self, what: str, do: Callable[[], Awaitable[None]], pause: float) -> None:
        while True:
            try:
                await do()
            except AgentPodError as error:
                logger.warning("%s: %s", what, error)
            except Exception:
                logger.exception("%s", what)
            await self._parts.clock.sleep(pause)

    async def _follow_changes(self) -> None:
        async for key in self._parts.store.changes():
            kind, _, name = key.partition(":")
            if kind == "pod":
                # First in turn: a router takes its time to read them, and meanwhile the pod gets its pass.
                self._passes.add(ROUTES)
            self.nudge(key)
            if kind == "pod" and self._reconciler:
                self._reconciler.changed(name)

    async def _follow_engine(self) -> None:
        async for event in self._parts.runtime.watch():
            self._notes.heard(event, self._parts.clock.now())
            if event.kind == RESYNC:
                self.nudge(RESYNC)
            elif event.pod_id:
                self._nudge_pod(event.pod_id)

    async def _resync_regularly(self) -> None:
        while True:
            await self._parts.clock.sleep(self._pace.resync)
            self._passes.add(RESYNC)

    async def _handle(self, reconciler: Reconciler, look: Look, key: str) -> None:
        kind, _, name = key.partition(":")
        if key == RESYNC:
            await look.everywhere()
        elif key == ROUTES:
            before = reconciler.sight.routed
            for pod_id in await reconciler.routes() ^ (before or frozenset()):
                self._passes.add(pod_key(pod_id))
        elif kind == "tenant":
            await reconciler.tenant(name)
        elif kind == "pod":
            self._follow_up(name, await reconciler.pod(name))

    def _follow_up(self, pod_id: str, done: Pass) -> None:
        if done.pod is None or done.status is None:
            self._prober.forget(pod_id)
            self._sampler.forget(pod_id)
            self._passes.add(ROUTES)
            if done.tenant_id:
                self._passes.add(tenant_key(done.tenant_id))
            return
        if done.container and done.container.state is ContainerState.RUNNING:
            self._prober.follow(done.pod, done.container)
            self._sampler.follow(pod_id, done.container)
        else:
            self._prober.leave(pod_id)
            self._sampler.leave(pod_id)
        if done.wake_at is not None:
            self._passes.add_in(pod_key(pod_id), (done.wake_at - self._parts.clock.now()).total_seconds())


def _tell_end(task: asyncio.Task[None], *, is_expected: bool) -> None:
    """Log how a task ended that should go on for as long as it leads."""
    if task.cancelled():
        logger.error("%s: it was cancelled from within", task.get_name())
    elif error := task.exception():
        logger.error("%s: it ended by a mistake", task.get_name(), exc_info=error)
    elif not is_expected:
        logger.error("%s: it ended", task.get_name())
