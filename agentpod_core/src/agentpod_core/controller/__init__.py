"""Decides which key is looked at next, and who looks: one leader, its workers, and the sources of keys.

Keys come from changes in the store, events of the engine, changed probe answers, due wake-ups and
a resync; they say where to look, never what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from typing import Any

from agentpod_core.controller.asked import Asked, answer
from agentpod_core.controller.leading import Leading
from agentpod_core.controller.looking import Look
from agentpod_core.controller.pace import Pace
from agentpod_core.controller.probing import Prober
from agentpod_core.controller.queue import KeyQueue
from agentpod_core.controller.sampling import Sampler
from agentpod_core.errors import AgentPodError, ConflictError, TemporaryError
from agentpod_core.observed import Probed, Trend, concluded
from agentpod_core.plan import Plan
from agentpod_core.plugpoints.probes import HealthProbe
from agentpod_core.ports import RESYNC, ROUTES, Links, pod_key, tenant_key
from agentpod_core.reconcile import Parts, Pass, Reconciler
from agentpod_core.reconcile.boots import Boots
from agentpod_core.reconcile.fence import Fence
from agentpod_core.reconcile.noticing import Notes
from agentpod_core.reconcile.turns import Turns
from agentpod_core.values.world import ContainerState, Protection

logger = logging.getLogger(__name__)

__all__ = ["Controller", "Pace", "Parts"]


DEFAULT_PACE = Pace()

GOODBYE = 2.0


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
        self._queue = KeyQueue(parts.clock)
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
        )
        self._look = Look(parts, self._queue, self._prober, self._sampler)
        self._notes = Notes(parts.instance)
        self._turns = Turns(pace.workers)
        self._tries: dict[str, int] = {}
        self._passes = 0
        self._asked = Asked()
        self._reconciler: Reconciler | None = None
        self._epoch: int | None = None

    @property
    def epoch(self) -> int | None:
        """The epoch in which this controller leads; None while it stands by."""
        return self._epoch

    @property
    def depth(self) -> int:
        """Count the keys that wait for a worker."""
        return len(self._queue)

    @property
    def oldest(self) -> float:
        """The seconds for which the first of them has waited; 0 when none does."""
        return self._queue.oldest

    def nudge(self, key: str) -> None:
        """Look at a key as soon as possible; ``RESYNC`` looks at everything."""
        self._queue.add(key)

    async def look(self, key: str) -> None:
        """Look at a key as soon as possible, and return once a pass that began after this has ended.

        Raises:
            AgentPodError: what the pass ended with; it is tried again by itself. ``NotLeader`` while another leads.
        """
        if self._reconciler is None:
            raise ConflictError("NotLeader")
        ended = self._asked.ask(key)
        self._queue.add(key)
        if error := await ended:
            raise error

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
        return await self._new_reconciler(Fence(self._parts.clock, 0, 0), lambda _: said).dry_run(pod_id)

    async def run(self) -> None:
        """Lead or stand by, until cancelled; then give the lease up so that another can take over at once."""
        try:
            while True:
                if fence := await self._leading.begin():
                    await self._serve(fence)
                await self._parts.clock.sleep(self._pace.ask)
        finally:
            await self._leading.end()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run while the block does, and end in order with it."""
        task = asyncio.create_task(self.run(), name="controller")
        try:
            yield
        finally:
            await _ended([task])

    def _nudge_pod(self, pod_id: str) -> None:
        self.nudge(pod_key(pod_id))

    def _new_reconciler(self, fence: Fence, probed: Callable[[str], Probed | None]) -> Reconciler:
        boots = Boots(self._pace.slots, self._nudge_pod)
        unseen = Protection(active=None)
        return Reconciler(self._parts, fence, boots, self._turns, probed, unseen, self._notes, self._sampler.trend)

    async def _serve(self, fence: Fence) -> None:
        logger.info("leading with epoch %d", fence.epoch)
        self._turns = Turns(self._pace.workers)
        reconciler = self._reconciler = self._new_reconciler(fence, self._prober.last)
        self._epoch = fence.epoch
        self._queue.add(RESYNC)
        jobs: list[Coroutine[Any, Any, None]] = [
            self._again_and_again("changes", self._follow_changes),
            self._again_and_again("engine events", self._follow_engine),
            self._again_and_again("samples", self._sampler.run),
            self._resync_regularly(),
            *(self._work(reconciler) for _ in range(self._pace.workers + self._pace.patient)),
        ]
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            await self._leading.keep(fence)
        finally:
            self._reconciler = self._epoch = None
            self._prober.close()
            self._sampler.close()
            await _ended(tasks)
            self._asked.refuse()
            logger.info("no longer leading with epoch %d", fence.epoch)

    async def _again_and_again(self, what: str, follow: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await follow()
            except AgentPodError as error:
                logger.warning("%s: %s", what, error)
            except Exception:
                logger.exception("%s", what)
            await self._parts.clock.sleep(self._parts.timings.settle)

    async def _follow_changes(self) -> None:
        async for key in self._parts.store.changes():
            if key.startswith("pod:"):
                # First in turn: a router takes its time to read them, and meanwhile the pod gets its pass.
                self._queue.add(ROUTES)
            self._queue.add(key)

    async def _follow_engine(self) -> None:
        async for event in self._parts.runtime.watch():
            self._notes.heard(event, self._parts.clock.now())
            if event.kind == RESYNC:
                self._queue.add(RESYNC)
            elif event.pod_id:
                self._queue.add(pod_key(event.pod_id))

    async def _resync_regularly(self) -> None:
        while True:
            await self._parts.clock.sleep(self._pace.resync)
            self._queue.add(RESYNC)

    async def _work(self, reconciler: Reconciler) -> None:
        while True:
            key = await self._queue.get()
            self._passes += 1
            with self._parts.telemetry.span("reconcile", reconcile=f"{key}#{self._epoch}.{self._passes}"):
                await self._pass(reconciler, key)

    async def _pass(self, reconciler: Reconciler, key: str) -> None:
        begun = self._parts.clock.monotonic()
        asked, outcome = self._asked.taken(key), "failed"
        # What is cut off ended with the lead.
        trouble: AgentPodError = ConflictError("NotLeader")
        try:
            async with self._turns:
                await self._handle(reconciler, key)
            self._tries.pop(key, None)
            outcome = "ok"
        except AgentPodError as error:
            trouble = error
            if error.reason != "NotLeader":
                logger.warning("%s: %s", key, error)
            # Of a lease that was renewed late after all, nothing may be lost.
            self._queue.add_in(key, self._backoff(key, error))
        except Exception:
            trouble = AgentPodError("InternalError")
            logger.exception("%s", key)
            self._queue.add_in(key, self._backoff(key, None))
        finally:
            self._queue.done(key)
            answer(asked, None if outcome == "ok" else trouble)
            self._parts.telemetry.reconciled(key, self._parts.clock.monotonic() - begun, outcome)

    def _backoff(self, key: str, error: AgentPodError | None) -> float:
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        asked = error.retry_after if isinstance(error, TemporaryError) else None
        timings = self._parts.timings
        wait = asked if asked is not None else min(timings.settle * 2.0 ** (tries - 1), timings.longest_backoff)
        # Jitter keeps what failed together from coming back together.
        return wait * random.uniform(0.8, 1.2)  # noqa: S311 - no secret

    async def _handle(self, reconciler: Reconciler, key: str) -> None:
        kind, _, name = key.partition(":")
        if key == RESYNC:
            await self._look.everywhere(reconciler, tries=self._tries.get(RESYNC, 0))
        elif key == ROUTES:
            before = reconciler.routed
            for pod_id in await reconciler.routes() ^ (before or frozenset()):
                self._queue.add(pod_key(pod_id))
        elif kind == "tenant":
            await reconciler.tenant(name)
        elif kind == "pod":
            self._follow_up(name, await reconciler.pod(name))

    def _follow_up(self, pod_id: str, done: Pass) -> None:
        if done.pod is None or done.status is None:
            self._prober.leave(pod_id)
            self._sampler.forget(pod_id)
            self._queue.add(ROUTES)
            if done.tenant_id:
                self._queue.add(tenant_key(done.tenant_id))
            return
        if done.container and done.container.state is ContainerState.RUNNING:
            self._prober.follow(done.pod, done.container)
            self._sampler.follow(pod_id, done.container)
        else:
            self._prober.leave(pod_id)
            self._sampler.leave(pod_id)
        if done.wake_at is not None:
            self._queue.add_in(pod_key(pod_id), (done.wake_at - self._parts.clock.now()).total_seconds())


async def _ended(tasks: Collection[asyncio.Task[None]]) -> None:
    """End tasks; one that swallows its end, as a plugin that fails while it cleans up may make it do, is told again."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=GOODBYE)
    await asyncio.gather(*tasks, return_exceptions=True)
