"""Gets the images that pods wait for, beside the passes: one try for each at a time, and again with a growing pause.

Nobody's turn, boot slot or agent waits for a registry. What is made of an image, and what is said of a pod that has
none, is not decided here.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

from agentpod_core.errors import AgentPodError, TemporaryError
from agentpod_core.observed import Refusal
from agentpod_core.plan import Timings
from agentpod_core.plan.refusals import pause, refusal_of
from agentpod_core.ports import Clock, PodInput

logger = logging.getLogger(__name__)

AT_ONCE = 32
OF_A_TENANT = 4
"""So many are tried for one tenant at once: one with a slow registry leaves the rest to others."""


class Sought:
    """One image. ``wishes`` are the generations for which pods want it, ``heard`` those that the last try served.

    ``vain`` are those that it served again: it was got for them before, and was not there.
    """

    def __init__(self, image: str, tenant_id: str) -> None:
        self.image = image
        self.tenant_id = tenant_id
        self.wishes: dict[str, int] = {}
        self.heard: dict[str, int] = {}
        self.vain: set[str] = set()
        self.error: AgentPodError | None = None
        self.since: float | None = None
        self.next_at = 0.0
        self.task: asyncio.Task[None] | None = None


class Images:
    """Those that the pods of one leader lack; ``got`` is called with each pod that waits whenever a try has ended.

    ``obtain`` is given a tenant and an image. ``under_way`` are the tries that have begun; who leads no more ends them.
    """

    def __init__(
        self, obtain: Callable[[str, str], Awaitable[None]], clock: Clock, timings: Timings, got: Callable[[str], None]
    ) -> None:
        self._obtain = obtain
        self._clock = clock
        self._timings = timings
        self._got = got
        self._sought: dict[str, Sought] = {}
        self._of_pod: dict[str, Sought] = {}
        self._line: dict[str, Sought] = {}
        self._tenants: Counter[str] = Counter()
        self._is_closed = False
        self.under_way: set[asyncio.Task[None]] = set()

    def follow(self, pod: PodInput, *, lacks: bool) -> None:
        """Get the image of a pod for as long as it lacks it.

        A new wish is served at once, one that was answered when its pause is over.
        """
        if lacks:
            self._ask(pod)
        else:
            self.leave(pod.id)

    def leave(self, pod_id: str) -> None:
        """Take note that a pod waits for none; what nobody waits for is let go of."""
        sought = self._of_pod.pop(pod_id, None)
        if sought is None:
            return
        del sought.wishes[pod_id]
        if not sought.wishes:
            del self._sought[sought.image]
            self._line.pop(sought.image, None)
            if sought.task:
                sought.task.cancel()

    def again(self) -> None:
        """Have all pauses be over: what stood in the way may be gone."""
        for sought in self._sought.values():
            sought.next_at = 0.0

    def refusal(self, pod: PodInput) -> Refusal | None:
        """Say how the last try to get the image of that pod, for what it is to be now, failed."""
        sought = self._heard(pod)
        if sought is None or (sought.error is None and pod.id not in sought.vain):
            return None
        left = max(sought.next_at - self._clock.monotonic(), 0.0)
        error = sought.error or TemporaryError("ImageNotFound", image=sought.image)
        return refusal_of(error, self._clock.now() + timedelta(seconds=left))

    def was_got(self, pod: PodInput) -> bool:
        """Say whether the last try has got the image of that pod; for an engine that does not say it itself."""
        sought = self._heard(pod)
        return sought is not None and sought.error is None

    def close(self) -> None:
        """Begin nothing more."""
        self._is_closed = True

    def _ask(self, pod: PodInput) -> None:
        image = pod.workload.image
        if (old := self._of_pod.get(pod.id)) and old.image != image:
            self.leave(pod.id)
        sought = self._of_pod[pod.id] = self._sought.setdefault(image, Sought(image, pod.tenant_id))
        if sought.task is None and self._tenants[sought.tenant_id] >= OF_A_TENANT:
            # What one tenant has in line is not held back from another.
            sought.tenant_id = pod.tenant_id
        if sought.wishes.get(pod.id) != pod.generation:
            sought.wishes[pod.id], sought.next_at = pod.generation, 0.0
        if self._is_closed or sought.task or self._clock.monotonic() < sought.next_at:
            return
        self._line[image] = sought
        if self._has_room(sought):
            self._begin(sought)

    def _heard(self, pod: PodInput) -> Sought | None:
        sought = self._of_pod.get(pod.id)
        is_answered = sought is not None and sought.heard.get(pod.id) == pod.generation
        return sought if sought and is_answered and sought.image == pod.workload.image else None

    def _has_room(self, sought: Sought) -> bool:
        return len(self.under_way) < AT_ONCE and self._tenants[sought.tenant_id] < OF_A_TENANT

    def _begin(self, sought: Sought) -> None:
        del self._line[sought.image]
        self._tenants[sought.tenant_id] += 1
        # For one that a plugin cancels from within.
        sought.next_at = self._clock.monotonic() + self._timings.longest_backoff
        sought.task = asyncio.create_task(self._try(sought), name=f"image {sought.image}")
        self.under_way.add(sought.task)
        sought.task.add_done_callback(functools.partial(self._over, sought))

    async def _try(self, sought: Sought) -> None:
        error: AgentPodError | None = None
        try:
            await self._obtain(sought.tenant_id, sought.image)
        except AgentPodError as refused:
            error = refused
            if refused.reason == "NotLeader":
                # Of a lease that was renewed late after all nothing may be lost: the next look asks again.
                sought.next_at = self._clock.monotonic() + self._timings.settle
                return
        except Exception:
            logger.exception("image %s", sought.image)
            error = TemporaryError("InternalError")
        served = sought.heard if sought.error is None and error is None else {}
        sought.vain = {pod_id for pod_id, wish in sought.wishes.items() if served.get(pod_id) == wish}
        sought.error, sought.heard = error, dict(sought.wishes)
        now = self._clock.monotonic()
        sought.since = now if sought.since is None else sought.since
        # Also what was got has its pause: an engine that loses it again at once would be asked without end.
        wait = pause(error or TemporaryError("ImageNotFound"), timedelta(seconds=now - sought.since), self._timings)
        sought.next_at = now + wait.total_seconds()

    def _over(self, sought: Sought, task: asyncio.Task[None]) -> None:
        self.under_way.discard(task)
        self._tenants[sought.tenant_id] -= 1
        sought.task = None
        if self._is_closed:
            return
        for pod_id in sought.wishes:
            self._got(pod_id)
        for waiting in list(self._line.values()):
            if self._has_room(waiting):
                self._begin(waiting)
