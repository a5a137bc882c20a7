"""Measures every running pod once a round, one after the other, for its history and for where it is heading.

What a trend means is decided elsewhere (``plan.memory``). An engine may take a second for each look, so looks are
spread over the round and few are under way at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime

from msgspec import Struct, field

from agentpod_core.errors import AgentPodError
from agentpod_core.observed import Trend
from agentpod_core.plan import Timings, memory
from agentpod_core.plan.memory import Point
from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.ports import Clock, Sample, Store
from agentpod_core.values.world import Container

logger = logging.getLogger(__name__)

WIDE = 16
"""So many looks are under way at once at most."""
STORAGE_ROUNDS = 60
"""Volumes are measured once in so many rounds only: it costs the engine a walk through all files."""
STALE_ROUNDS = 3
SPREAD = 0.9
"""The part of a round over which looks begin, so that the last of them ends before the next round."""


class _Series(Struct, eq=False):
    """What is known of one pod; ``container`` None while it does not run."""

    container: str | None
    started_at: datetime | None
    points: deque[Point] = field(default_factory=lambda: deque(maxlen=memory.KEPT))
    latest: Point | None = None
    trend: Trend | None = None
    restarts: int = 0
    storage: int | None = None
    asking: asyncio.Task[Point | None] | None = None


class Sampler:
    """Measures for one leader. ``changed`` is called with a pod's id when a pass is worthwhile."""

    def __init__(  # noqa: PLR0913 - what measuring takes
        self,
        *,
        runtime: Runtime,
        store: Store,
        clock: Clock,
        timings: Timings,
        changed: Callable[[str], None],
        seconds: float = 60.0,
    ) -> None:
        self._runtime = runtime
        self._store = store
        self._clock = clock
        self._timings = timings
        self._changed = changed
        self._seconds = seconds
        self._series: dict[str, _Series] = {}
        self._turns = asyncio.Semaphore(WIDE)

    def follow(self, pod_id: str, container: Container) -> None:
        """Measure that start of that container from now on; to do so already is fine."""
        series = self._series.get(pod_id)
        if series is None:
            self._series[pod_id] = _Series(container=container.id, started_at=container.started_at)
        elif series.started_at != container.started_at:
            restarts = series.restarts + 1
            self._drop(series)
            self._series[pod_id] = _Series(
                container=container.id, started_at=container.started_at, restarts=restarts, storage=series.storage
            )
        else:
            series.container = container.id

    def follows(self, pod_id: str) -> bool:
        """Say whether that pod is measured."""
        series = self._series.get(pod_id)
        return series is not None and series.container is not None

    def leave(self, pod_id: str) -> None:
        """Measure that pod no more until it runs again."""
        series = self._series.get(pod_id)
        if series is not None:
            self._drop(series)
            series.container = series.trend = None

    def forget(self, pod_id: str) -> None:
        """Drop what is known of a pod that is gone."""
        series = self._series.pop(pod_id, None)
        if series is not None:
            self._drop(series)

    def close(self) -> None:
        """Forget everything: another one may measure from now on."""
        for pod_id in list(self._series):
            self.forget(pod_id)

    def trend(self, pod_id: str, started_at: datetime | None) -> Trend | None:
        """Say where that start of a pod is heading; None while too little or nothing recent is known of it."""
        series = self._series.get(pod_id)
        if series is None or series.started_at != started_at or series.latest is None:
            return None
        is_stale = self._clock.monotonic() - series.latest.at > STALE_ROUNDS * self._seconds
        return None if is_stale else series.trend

    def last(self, pod_id: str) -> Trend | None:
        """Say where the present start of a pod is heading, whichever that is."""
        series = self._series.get(pod_id)
        return None if series is None else self.trend(pod_id, series.started_at)

    def ask(self, pod_id: str) -> None:
        """Look at a pod now, besides its usual turn: it is about to be judged by what it does."""
        series = self._series.get(pod_id)
        if series is None or series.container is None or series.asking is not None:
            return
        series.asking = asyncio.create_task(self._look(series), name=f"look at {pod_id}")
        series.asking.add_done_callback(lambda _: setattr(series, "asking", None))

    async def run(self) -> None:
        """Measure round after round, for ever."""
        while True:
            begun = self._clock.monotonic()
            await self._round(begun)
            await self._clock.sleep(max(begun + self._seconds - self._clock.monotonic(), 0))

    async def measure_volumes(self) -> None:
        """Measure volumes from time to time, for ever. It may take long, and no round waits for it."""
        await self._clock.sleep(self._seconds)
        while True:
            begun = self._clock.monotonic()
            await self._measure_volumes()
            logger.debug("measured volumes in %.0f s", self._clock.monotonic() - begun)
            await self._clock.sleep(STORAGE_ROUNDS * self._seconds)

    async def _round(self, begun: float) -> None:
        """Look at everything once, spread over the round, and hand it to the store."""
        # A round's samples have one moment, so that every pod has one for every minute, wherever its turn was.
        at = self._clock.now().replace(second=0, microsecond=0)
        running = {pod_id: series for pod_id, series in self._series.items() if series.container is not None}
        samples: list[tuple[_Series, Sample]] = []
        async with asyncio.TaskGroup() as group:
            for number, (pod_id, series) in enumerate(running.items()):
                due = begun + number * SPREAD * self._seconds / len(running)
                await self._clock.sleep(max(due - self._clock.monotonic(), 0))
                group.create_task(self._take(pod_id, series, at, samples))
        if not samples:
            return
        await self._store.sampled([sample for _, sample in samples])
        for series, sample in samples:
            series.restarts -= sample.restarts

    async def _take(self, pod_id: str, series: _Series, at: datetime, samples: list[tuple[_Series, Sample]]) -> None:
        point = await self._look(series, is_regular=True)
        if point is None:
            return
        samples.append(
            (
                series,
                Sample(
                    pod_id=pod_id,
                    at=at,
                    cpu=point.cpu,
                    memory=point.memory,
                    limit=point.limit,
                    storage=series.storage,
                    restarts=series.restarts,
                ),
            )
        )
        if memory.fills_up(series.trend, self._timings):
            self._changed(pod_id)

    async def _look(self, series: _Series, *, is_regular: bool = False) -> Point | None:
        """Measure once; None where that start does not run any more, or the engine cannot tell."""
        container = series.container
        if container is None:
            return None
        try:
            async with self._turns:
                usage = await self._runtime.stats(container)
        except AgentPodError as error:
            logger.debug("cannot measure %s: %s", container, error)
            return None
        if usage is None or series.container != container:
            return None
        point = Point(at=self._clock.monotonic(), cpu=usage.cpu, memory=usage.memory, limit=usage.limit)
        if is_regular:
            series.points.append(point)
        series.latest = point
        series.trend = memory.trend(tuple(series.points), point)
        return point

    async def _measure_volumes(self) -> None:
        try:
            found = await self._runtime.storage()
        except AgentPodError as error:
            logger.info("cannot measure volumes: %s", error)
            return
        for pod_id, series in self._series.items():
            series.storage = found.get(pod_id, series.storage)

    def _drop(self, series: _Series) -> None:
        if series.asking is not None:
            series.asking.cancel()
