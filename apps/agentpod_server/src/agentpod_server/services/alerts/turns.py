"""Whose turn it is to be told, tried out or looked at: so many targets at the same time, and few of them of one tenant.

A target that never answers holds its turn for as long as one try may take. All of one tenant's together leave most
turns to the others, and the platform's own targets wait for no tenant's. Notifiers have no limits of their own: there
is no other queue in which one could wait for another.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

from agentpod_core import TemporaryError

# A mail that is sent is a process of some 60 MB, and all of them load their libraries at the same time.
AT_ONCE: Final = 12
OF_A_TENANT: Final = 3
OF_THE_PLATFORM: Final = 4

PATIENCE: Final = 5.0
"""Seconds that somebody who asks for something waits for a turn; what is to be told waits for as long as it takes."""


class Turns:
    """Hands out turns in the order in which they are asked for."""

    def __init__(self) -> None:
        self._of_tenants = asyncio.Semaphore(AT_ONCE)
        self._of_the_platform = asyncio.Semaphore(OF_THE_PLATFORM)
        self._of_one: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(OF_A_TENANT))

    @asynccontextmanager
    async def taken(self, tenant_id: str | None, within: float | None = None) -> AsyncIterator[None]:
        """Wait for a turn of a tenant or, without one, of the platform, and have it.

        Raises:
            TemporaryError: ``NotifierBusy``: there was none ``within`` so many seconds.
        """
        # Its own first: who has too many under way keeps none of the others' turns while it waits.
        needed = [self._of_one[tenant_id], self._of_tenants] if tenant_id else [self._of_the_platform]
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(within):
                    for one in needed:
                        await stack.enter_async_context(one)
            except TimeoutError:
                raise TemporaryError("NotifierBusy", retry_after=within) from None
            yield

    def asked(self, tenant_id: str | None) -> AbstractAsyncContextManager[None]:
        """Have a turn for somebody who waits for the answer; errors as ``taken``."""
        return self.taken(tenant_id, PATIENCE)
