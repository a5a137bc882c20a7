"""Makes a pass for each key that is asked for: a task each, so many at work at once, and again with a growing pause.

A pass that waits for something slow lends its turn, so however many wait, others work. The look at everything has
a lane of its own and needs no turn, for it says what is wrong with the rest. What a pass does is not decided here.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
from collections.abc import Awaitable, Callable, Collection

from agentpod_core.controller.asked import Asked, answer
from agentpod_core.controller.queue import KeyQueue
from agentpod_core.errors import AgentPodError, ConflictError, TemporaryError
from agentpod_core.plan import Timings
from agentpod_core.plan.timings import DOUBLINGS
from agentpod_core.ports import RESYNC, Clock, Telemetry
from agentpod_core.reconcile.turns import Turns

logger = logging.getLogger(__name__)

Handle = Callable[[str], Awaitable[None]]

GOODBYE = 2.0


class Passes:
    """Makes passes for one controller, while it leads; ``handle`` is what a pass does for a key.

    ``under_way`` are the passes that have begun; who no longer leads ends them.
    """

    def __init__(self, clock: Clock, telemetry: Telemetry, timings: Timings) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._timings = timings
        self._queue = KeyQueue(clock)
        self._looks = KeyQueue(clock)
        self._asked = Asked()
        self._tries: dict[str, int] = {}
        self._begun = 0
        self.under_way: set[asyncio.Task[None]] = set()

    @property
    def depth(self) -> int:
        """Count the keys that wait for their pass."""
        return len(self._queue) + len(self._looks)

    @property
    def oldest(self) -> float:
        """The seconds for which the first of them has waited; 0 when none does."""
        return max(self._queue.oldest, self._looks.oldest)

    def add(self, key: str) -> None:
        """Make a pass for a key as soon as possible."""
        self._lane(key).add(key)

    def add_in(self, key: str, seconds: float) -> None:
        """Make a pass for a key in a while; an earlier date wins."""
        self._lane(key).add_in(key, seconds)

    def is_due(self, key: str) -> bool:
        """Say whether there will be a pass for a key anyway, now or later."""
        return self._lane(key).is_due(key)

    async def ask(self, key: str) -> None:
        """Make a pass for a key as soon as possible, and return once one that began after this has ended.

        Raises:
            AgentPodError: what the pass ended with; it is tried again by itself.
        """
        ended = self._asked.ask(key)
        self.add(key)
        if error := await ended:
            raise error

    async def hand_out(self, handle: Handle, turns: Turns, epoch: int) -> None:
        """Begin the passes of all keys but the look at everything, for ever."""
        while True:
            await self._queue.wait()
            await turns.take()
            key = self._queue.take()
            task = asyncio.create_task(self._pass(handle, key, epoch), name=f"pass {key}")
            self.under_way.add(task)
            # Not in the pass itself: one that is cancelled before its first step does nothing at all.
            task.add_done_callback(functools.partial(self._over, key, turns))

    async def look(self, handle: Handle, epoch: int) -> None:
        """Look at everything whenever that is asked for, for ever."""
        while True:
            await self._looks.wait()
            key = self._looks.take()
            try:
                await self._pass(handle, key, epoch)
            finally:
                self._looks.done(key)

    def refuse(self) -> None:
        """Answer everybody who waits for a pass that this leads no more."""
        self._asked.refuse()

    def _lane(self, key: str) -> KeyQueue:
        return self._looks if key == RESYNC else self._queue

    def _over(self, key: str, turns: Turns, task: asyncio.Task[None]) -> None:
        self.under_way.discard(task)
        turns.give()
        self._queue.done(key)
        if not task.cancelled() and (error := task.exception()):
            logger.error("the pass for %s ended by a mistake", key, exc_info=error)
            self.add_in(key, self._timings.longest_backoff)

    async def _pass(self, handle: Handle, key: str, epoch: int) -> None:
        self._begun += 1
        begun = self._clock.monotonic()
        asked, outcome = self._asked.taken(key), "failed"
        # What is cut off ended with the lead.
        trouble: AgentPodError = ConflictError("NotLeader")
        try:
            with self._telemetry.span("reconcile", reconcile=f"{key}#{epoch}.{self._begun}"):
                try:
                    await handle(key)
                    outcome = "ok"
                except AgentPodError as error:
                    trouble = error
                    if error.reason != "NotLeader":
                        logger.warning("%s: %s", key, error)
                except Exception:
                    trouble = AgentPodError("InternalError")
                    logger.exception("%s", key)
        except asyncio.CancelledError:
            if not _is_asked_to_end():
                logger.error("%s: it was cancelled from within", key)  # noqa: TRY400 - where is not known
                self.add_in(key, self._timings.longest_backoff)
            raise
        finally:
            answer(asked, None if outcome == "ok" else trouble)
            self._telemetry.reconciled(key, self._clock.monotonic() - begun, outcome)
        if outcome == "ok":
            self._tries.pop(key, None)
        else:
            # Of a lease that was renewed late after all, nothing may be lost.
            self.add_in(key, self._pause(key, trouble))

    def _pause(self, key: str, error: AgentPodError) -> float:
        tries = self._tries.get(key, 0)
        self._tries[key] = tries + 1
        wait = error.retry_after if isinstance(error, TemporaryError) else None
        if wait is None:
            wait = min(self._timings.settle * 2.0 ** min(tries, DOUBLINGS), self._timings.longest_backoff)
        # Jitter keeps what failed together from coming back together.
        return wait * random.uniform(0.8, 1.2)  # noqa: S311 - no secret


async def ended(tasks: Collection[asyncio.Task[None]]) -> None:
    """End tasks; one that swallows its end, as a plugin that fails while it cleans up may make it do, is told again."""
    tasks = left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=GOODBYE)
    await asyncio.gather(*tasks, return_exceptions=True)


def _is_asked_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
