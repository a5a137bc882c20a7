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

from msgspec import Struct

from agentpod_core.controller.looking import Look
from agentpod_core.controller.probing import Prober
from agentpod_core.controller.queue import KeyQueue
from agentpod_core.errors import AgentPodError, ConflictError, TemporaryError
from agentpod_core.observed import Probed
from agentpod_core.plan import Plan
from agentpod_core.plugpoints.probes import HealthProbe
from agentpod_core.ports import RESYNC, ROUTES, Links, pod_key, tenant_key
from agentpod_core.reconcile import Parts, Pass, Reconciler
from agentpod_core.reconcile.boots import Boots
from agentpod_core.reconcile.fence import Fence
from agentpod_core.reconcile.turns import Turns
from agentpod_core.values.world import ContainerState, Protection

logger = logging.getLogger(__name__)

__all__ = ["Controller", "Pace", "Parts"]


class Pace(Struct, frozen=True, kw_only=True):
    """How often and how wide; times in seconds.

    A lease lasts ``lease`` by the database's clock; the leader itself stops acting ``margin``
    earlier. ``workers`` is how many passes work at once, ``patient`` how many more may wait for a
    registry or for an agent's end meanwhile. ``slots`` is how many agents may boot at once, about
    one for each core.
    """

    resync: float = 30.0
    renew: float = 2.0
    lease: float = 10.0
    margin: float = 1.0
    workers: int = 8
    patient: int = 32
    slots: int = 2
    scale: float = 1.0


DEFAULT_PACE = Pace()

GOODBYE = 2.0


class Controller:
    """Drives every pod to what is wanted, while it leads; stands by while another does."""

    def __init__(
        self, parts: Parts, *, holder: str, probe: Callable[[str], HealthProbe], links: Links, pace: Pace = DEFAULT_PACE
    ) -> None:
        self._parts = parts
        self._holder = holder
        self._pace = pace
        self._queue = KeyQueue(parts.clock)
        self._prober = Prober(
            probe=probe,
            links=links,
            clock=parts.clock,
            telemetry=parts.telemetry,
            changed=self._nudge_pod,
            slots=pace.slots,
            scale=pace.scale,
        )
        self._look = Look(parts, self._queue, self._prober)
        self._turns = Turns(pace.workers)
        self._tries: dict[str, int] = {}
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

    def nudge(self, key: str) -> None:
        """Look at a key as soon as possible; ``RESYNC`` looks at everything."""
        self._queue.add(key)

    def probed(self, pod_id: str) -> Probed | None:
        """Give what the agent last answered."""
        return self._prober.last(pod_id)

    async def plan(self, pod_id: str) -> Plan | None:
        """Give the plan that a pass would follow now, without following it; None for a pod that is gone."""
        reconciler = self._reconciler or self._new_reconciler(Fence(self._parts.clock, 0, 0))
        return await reconciler.dry_run(pod_id)

    async def run(self) -> None:
        """Lead or stand by, until cancelled; then give the lease up so that another can take over at once."""
        try:
            while True:
                asked_at = self._parts.clock.monotonic()
                epoch = await self._lead()
                if epoch is not None:
                    fence = Fence(self._parts.clock, epoch, self._pace.lease - self._pace.margin)
                    fence.renewed(asked_at)
                    await self._serve(fence)
                await self._parts.clock.sleep(self._pace.renew)
        finally:
            await self._step_down()

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

    async def _lead(self) -> int | None:
        try:
            # An answer that takes longer than the lease is worth nothing.
            async with asyncio.timeout(self._pace.lease):
                return await self._parts.store.lead(self._holder, self._pace.lease)
        except TimeoutError:
            logger.warning("cannot ask for the lease: no answer within %.0f s", self._pace.lease)
        except AgentPodError as error:
            logger.warning("cannot ask for the lease: %s", error)
        except Exception:
            logger.exception("cannot ask for the lease")
        return None

    async def _step_down(self) -> None:
        try:
            await self._parts.store.step_down(self._holder)
        except AgentPodError as error:
            logger.warning("the lease runs out by itself: %s", error)

    def _new_reconciler(self, fence: Fence) -> Reconciler:
        boots = Boots(self._pace.slots, self._nudge_pod)
        return Reconciler(self._parts, fence, boots, self._turns, self._prober.last, Protection(active=None))

    async def _serve(self, fence: Fence) -> None:
        logger.info("leading with epoch %d", fence.epoch)
        self._turns = Turns(self._pace.workers)
        reconciler = self._reconciler = self._new_reconciler(fence)
        self._epoch = fence.epoch
        self._queue.add(RESYNC)
        jobs: list[Coroutine[Any, Any, None]] = [
            self._again_and_again("changes", self._follow_changes),
            self._again_and_again("engine events", self._follow_engine),
            self._resync_regularly(),
            *(self._work(reconciler) for _ in range(self._pace.workers + self._pace.patient)),
        ]
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            await self._renew(fence)
        finally:
            self._reconciler = self._epoch = None
            self._prober.close()
            await _ended(tasks)
            logger.info("no longer leading with epoch %d", fence.epoch)

    async def _renew(self, fence: Fence) -> None:
        """Keep the lease; return when it is lost."""
        while True:
            await self._parts.clock.sleep(self._pace.renew)
            asked_at = self._parts.clock.monotonic()
            epoch = await self._lead()
            if epoch == fence.epoch:
                fence.renewed(asked_at)
                continue
            try:
                fence.check()
            except ConflictError:
                return
            if epoch is not None:
                return

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
            begun = self._parts.clock.monotonic()
            outcome = "failed"
            try:
                async with self._turns:
                    await self._handle(reconciler, key)
                self._tries.pop(key, None)
                outcome = "ok"
            except AgentPodError as error:
                if error.reason != "NotLeader":
                    logger.warning("%s: %s", key, error)
                # Of a lease that was renewed late after all, nothing may be lost.
                self._queue.add_in(key, self._backoff(key, error))
            except Exception:
                logger.exception("%s", key)
                self._queue.add_in(key, self._backoff(key, None))
            finally:
                self._queue.done(key)
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
            self._queue.add(ROUTES)
            if done.tenant_id:
                self._queue.add(tenant_key(done.tenant_id))
            return
        if done.container and done.container.state is ContainerState.RUNNING:
            self._prober.follow(done.pod, done.container)
        else:
            self._prober.leave(pod_id)
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
