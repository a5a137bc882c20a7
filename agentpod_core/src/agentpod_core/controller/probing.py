"""Asks every running agent how it is, each at its own pace, and tells when an answer changes.

Decides nothing about a pod: it keeps the last answer and how many bad ones came in a row.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from agentpod_core.errors import AgentPodError
from agentpod_core.observed import Probed
from agentpod_core.plugpoints.probes import HealthProbe
from agentpod_core.ports import Clock, Links, PodInput, Telemetry
from agentpod_core.values.reports import ProbeResult
from agentpod_core.values.workload import Probe
from agentpod_core.values.world import Container, Endpoint

logger = logging.getLogger(__name__)


class _Follower(Struct):
    started_at: datetime | None
    generation: int
    task: asyncio.Task[None] | None = None
    probed: Probed | None = None


class Prober:
    """Follows running containers. ``changed`` is called with a pod's id when a pass is worthwhile."""

    def __init__(  # noqa: PLR0913 - what asking needs
        self,
        *,
        probe: Callable[[str], HealthProbe],
        links: Links,
        clock: Clock,
        telemetry: Telemetry,
        changed: Callable[[str], None],
        scale: float = 1.0,
    ) -> None:
        self._probe = probe
        self._links = links
        self._clock = clock
        self._telemetry = telemetry
        self._changed = changed
        self._scale = scale
        self._followers: dict[str, _Follower] = {}

    def last(self, pod_id: str) -> Probed | None:
        """Give the last word on a pod; None when nobody asked since its start."""
        follower = self._followers.get(pod_id)
        return follower.probed if follower else None

    def follow(self, pod: PodInput, container: Container) -> None:
        """Ask that start of that container from now on; to do so already is fine."""
        probe = pod.workload.probe
        if probe is None or container.address is None:
            return
        follower = self._followers.get(pod.id)
        if follower and (follower.started_at, follower.generation) == (container.started_at, pod.generation):
            return
        kept = follower.probed if follower and follower.started_at == container.started_at else None
        self.leave(pod.id)
        follower = _Follower(started_at=container.started_at, generation=pod.generation, probed=kept)
        self._followers[pod.id] = follower
        follower.task = asyncio.create_task(self._ask(pod, container, probe, follower), name=f"probe {pod.id}")

    def leave(self, pod_id: str) -> None:
        """Ask that pod no more."""
        follower = self._followers.pop(pod_id, None)
        if follower and follower.task:
            follower.task.cancel()

    def close(self) -> None:
        """Ask nobody any more."""
        for pod_id in list(self._followers):
            self.leave(pod_id)

    async def _ask(self, pod: PodInput, container: Container, probe: Probe, follower: _Follower) -> None:
        endpoint = Endpoint(host=container.address or "", port=pod.workload.main_port() or 0)
        link = self._links.link(pod, endpoint, container.id)
        was_ready = follower.probed is not None and follower.probed.result.ready
        while True:
            result = await self._check(link, probe)
            self._telemetry.probed(pod.id, result.seconds, result.reason)
            before = follower.probed
            failures = 0 if result.ready else (before.failures if before else 0) + 1
            follower.probed = Probed(
                result=result, failures=failures, at=self._clock.now(), started_at=container.started_at
            )
            was_ready = was_ready or result.ready
            is_news = before is None or before.result.ready != result.ready or before.result.reason != result.reason
            if is_news or failures == probe.failures:
                self._changed(pod.id)
            pace = probe.interval if was_ready else probe.start_interval
            await self._clock.sleep(pace * self._scale)

    async def _check(self, link: object, probe: Probe) -> ProbeResult:
        begun = self._clock.monotonic()
        try:
            async with asyncio.timeout(probe.timeout + 1):
                return await self._probe(probe.probe).check(link, probe.settings, timeout=probe.timeout)  # type: ignore[arg-type]
        except TimeoutError:
            result = ProbeResult(alive=False, ready=False, reason="Timeout")
        except AgentPodError as error:
            result = ProbeResult(alive=False, ready=False, reason=error.reason, params=error.params)
        except Exception:
            logger.exception("probe %s failed", probe.probe)
            result = ProbeResult(alive=False, ready=False, reason="ProbeFailed", params={"probe": probe.probe})
        return ProbeResult(
            alive=result.alive,
            ready=result.ready,
            reason=result.reason,
            params=result.params,
            seconds=self._clock.monotonic() - begun,
        )
