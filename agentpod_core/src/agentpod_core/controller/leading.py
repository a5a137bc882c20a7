"""Asks for the lease, keeps it while it can, and gives it up. What a leader does is not decided here."""

from __future__ import annotations

import asyncio
import logging

from agentpod_core.errors import AgentPodError
from agentpod_core.ports import Clock, Store
from agentpod_core.reconcile.fence import Fence

logger = logging.getLogger(__name__)


class Leading:
    """One controller's turn to act; times in seconds, as ``Pace`` says them."""

    def __init__(self, store: Store, clock: Clock, holder: str, *, lease: float, margin: float, renew: float) -> None:  # noqa: PLR0913 - what leading takes
        self._store = store
        self._clock = clock
        self._holder = holder
        self._lease = lease
        self._margin = margin
        self._renew = renew
        self._misses = 0

    async def begin(self) -> Fence | None:
        """Ask for the lease; gives what to act behind, None while somebody else leads or nobody can say who."""
        asked_at = self._clock.monotonic()
        epoch = await self._ask(self._lease)
        if epoch is None:
            return None
        fence = Fence(self._clock, epoch, self._lease - self._margin)
        fence.renewed(asked_at)
        return fence

    async def keep(self, fence: Fence) -> None:
        """Renew the lease again and again; return when it is lost."""
        while True:
            await self._clock.sleep(self._renew)
            # Who stood still for longer than the lease stops first and asks then: another may lead by now.
            if not fence.left:
                return
            asked_at = self._clock.monotonic()
            epoch = await self._ask(fence.left)
            if epoch == fence.epoch:
                fence.renewed(asked_at)
            elif epoch is not None or not fence.left:
                return

    async def end(self) -> None:
        """Give the lease up, if it is held, so that another can take over at once."""
        try:
            await self._store.step_down(self._holder)
        except AgentPodError as error:
            logger.warning("the lease runs out by itself: %s", error)

    async def _ask(self, seconds: float) -> int | None:
        """Ask; an answer that takes longer than that is worth nothing."""
        try:
            async with asyncio.timeout(seconds):
                epoch = await self._store.lead(self._holder, self._lease)
        except TimeoutError:
            self._missed(f"no answer within {seconds:.1f} s")
        except AgentPodError as error:
            self._missed(str(error))
        except Exception:
            logger.exception("cannot ask for the lease")
        else:
            self._misses = 0
            return epoch
        return None

    def _missed(self, why: str) -> None:
        """Say once that the store is away: it is asked twice a second."""
        logger.log(logging.DEBUG if self._misses else logging.WARNING, "cannot ask for the lease: %s", why)
        self._misses += 1
