"""Looks at pods for one leader, and keeps what it saw of all of them: where they are, and what is not shown.

What is concluded from that is not decided here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from agentpod_core.desired import Desired
from agentpod_core.errors import AgentPodError
from agentpod_core.observed import Observed, Probed, Trend
from agentpod_core.plan import needs_image
from agentpod_core.plan.steps import LIVING
from agentpod_core.ports import PodInput
from agentpod_core.reconcile.asking import Engine, in_our_words
from agentpod_core.reconcile.boots import Boots
from agentpod_core.reconcile.images import Images
from agentpod_core.reconcile.noticing import Notes
from agentpod_core.reconcile.parts import Parts
from agentpod_core.values.pods import Wanted
from agentpod_core.values.reports import Repair
from agentpod_core.values.status import Record
from agentpod_core.values.world import Container, ContainerState, Protection, World

logger = logging.getLogger(__name__)


class Sight:
    """What one leader sees. ``addresses`` are those at which pods were last seen to run.

    ``routed`` are the pods with a route, None before the first were set. ``is_engine_away`` is None before the first
    look at everything.
    """

    def __init__(  # noqa: PLR0913 - all that is looked at
        self,
        parts: Parts,
        engine: Engine,
        boots: Boots,
        images: Images,
        probed: Callable[[str], Probed | None],
        trend: Callable[[str, datetime | None], Trend | None],
        notes: Notes,
    ) -> None:
        self.engine = engine
        self.notes = notes
        self.protection = Protection(active=None)
        self.routed: frozenset[str] | None = None
        self.is_engine_away: bool | None = None
        self.addresses: dict[str, str] = {}
        self._parts = parts
        self._boots = boots
        self._images = images
        self._probed = probed
        self._trend = trend
        self._looked_at = 0.0
        self._found_at: datetime | None = None
        self._missed: dict[str, float] = {}
        self._unsure: set[str] = set()

    def looked(self, world: World) -> None:
        """Take note of what a look at everything showed."""
        if self.is_engine_away:
            self._found_at = self._parts.clock.now()
            # While nothing was shown, not to see one pod said nothing of that one.
            self._missed.clear()
        self.is_engine_away = False
        self._looked_at = self._parts.clock.monotonic()
        self.notes.looked(world)

    def misses(self, pod_id: str) -> bool:
        """Take note that a pod was not shown; say whether it alone is not, for longer than an engine may be away."""
        now = self._parts.clock.monotonic()
        since = self._missed.setdefault(pod_id, now)
        return now - since >= self._parts.timings.absence and self._looked_at > since

    def is_slow(self, pod_id: str) -> bool:
        """Say whether to look at that pod may take long."""
        return bool(self.is_engine_away) or pod_id in self._missed or pod_id in self._unsure

    def forget(self, pod_id: str) -> None:
        """Drop what is known of a pod that is gone."""
        self.addresses.pop(pod_id, None)
        self._missed.pop(pod_id, None)
        self._unsure.discard(pod_id)
        self.notes.forget(pod_id)

    @property
    def back_at(self) -> datetime | None:
        """Since when the engine is known to answer; None where nobody heard of it."""
        if self.is_engine_away:
            return self._parts.clock.now()
        known = self.notes.since, self._found_at, self.notes.away[1] if self.notes.away else None
        return max((moment for moment in known if moment is not None), default=None)

    async def pod(self, desired: Desired, pod: PodInput, record: Record) -> Observed:
        """Look at one pod.

        Raises:
            AgentPodError: the engine does not show it.
        """
        container = await self.engine.inspect(desired.container)
        containers: tuple[Container, ...] = (container,) if container else ()
        volumes: tuple[str, ...] | None = None
        is_remade = container is None and bool(record.volumes)
        if desired.wanted is Wanted.DELETED or self.notes.is_doubled(desired.pod_id) or is_remade:
            world = await self.engine.observe_pod(desired.pod_id)
            volumes = tuple(one.name for one in world.volumes)
            containers += tuple(one for one in world.containers if one.name != desired.container)
        self._missed.pop(pod.id, None)
        needs = needs_image(desired, container)
        if not needs:
            self._unsure.discard(pod.id)
        if container and container.state is ContainerState.RUNNING and container.address:
            self.addresses[pod.id] = container.address
        return Observed(
            containers=containers,
            volumes=() if desired.wanted is Wanted.DELETED and desired.keep_data else volumes,
            probed=self._probed(desired.pod_id),
            routed=None if self.routed is None else desired.pod_id in self.routed,
            protection=self.protection,
            has_boot_slot=self._boots.has_slot(desired.pod_id, desired.workload.boot_cost),
            adapter_lack=self._parts.adapter_lack(pod.spec.adapter),
            oom_at=self.notes.oom_at(desired.pod_id),
            away=self.notes.away,
            watched_since=self.notes.since,
            back_at=self.back_at,
            has_image=not needs or await self._has_image(pod, container),
            refused_image=self._images.refusal(pod),
            trend=self._trend(desired.pod_id, container.started_at) if container else None,
            repair=await self._repair(desired, pod.spec.adapter, container, record),
        )

    async def _has_image(self, pod: PodInput, container: Container | None) -> bool:
        try:
            there = await self.engine.has_image(pod.workload.image)
        except AgentPodError:
            # Whether it is there is not known. To get it says so, and what is there can be looked after meanwhile.
            self._unsure.add(pod.id)
            # That it was got is enough to try, but not to end an agent for it.
            is_up = container is not None and container.state in LIVING
            return not is_up and self._images.was_got(pod)
        self._unsure.discard(pod.id)
        return there

    async def _repair(
        self, desired: Desired, adapter: str, container: Container | None, record: Record
    ) -> Repair | None:
        code = record.blocked
        if code is None and container and container.spec_hash == desired.spec_hash:
            code = container.exit_code if container.exit_code in desired.workload.permanent_exits else None
        if code is None:
            return None
        try:
            with in_our_words(adapter, "repair"):
                return await self._parts.mend(adapter, code)
        except AgentPodError as error:
            # Who has no advice is no reason to look at nothing else.
            logger.warning("%s knows no repair: %s", adapter, error)
            return None
