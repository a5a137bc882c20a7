"""Lets go of a repair that takes long when something else is wanted meanwhile: the next pass sees to that.

Only the store's word counts, not an event of the engine: what is waited for would begin anew each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class OtherwiseWanted(Exception):  # noqa: N818 - no failure: whoever waited has to look again
    """What was waited for may not be wanted any more."""


class Waits:
    """The waits of all passes of one leader, at most one for each pod."""

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._bounds: dict[str, asyncio.Timeout] = {}

    def begin(self, pod_id: str) -> None:
        """Take note that a pass reads what is wanted of the pod after this."""
        self._changed.discard(pod_id)

    def changed(self, pod_id: str) -> None:
        """Take note that something else may be wanted of the pod from now on."""
        self._changed.add(pod_id)
        bound = self._bounds.get(pod_id)
        if bound is not None and not bound.expired():
            bound.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def of(self, pod_id: str) -> AsyncIterator[None]:
        """Do in the block what takes long; it is cancelled there.

        Raises:
            OtherwiseWanted: instead of what the block does, or in the midst of it.
        """
        if pod_id in self._changed:
            raise OtherwiseWanted
        bound = asyncio.timeout(None)
        try:
            async with bound:
                self._bounds[pod_id] = bound
                try:
                    yield
                finally:
                    del self._bounds[pod_id]
        except TimeoutError:
            if bound.expired():
                raise OtherwiseWanted from None
            raise
