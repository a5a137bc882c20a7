"""Whose turn it is to be told: so many targets at the same time, and few of them of one tenant.

A target that never answers holds its turn for as long as one try may take. All of one tenant's together leave most
turns to the others, and the platform's own targets wait for no tenant's.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

AT_ONCE: Final = 32
OF_A_TENANT: Final = 4
OF_THE_PLATFORM: Final = 8


class Turns:
    """Hands out turns in the order in which they are asked for."""

    def __init__(self) -> None:
        self._of_tenants = asyncio.Semaphore(AT_ONCE)
        self._of_the_platform = asyncio.Semaphore(OF_THE_PLATFORM)
        self._of_one: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(OF_A_TENANT))

    @asynccontextmanager
    async def taken(self, tenant_id: str | None) -> AsyncIterator[None]:
        """Wait for a turn of a tenant or, without one, of the platform, and have it."""
        if tenant_id is None:
            async with self._of_the_platform:
                yield
        else:
            # Its own first: who has too many under way keeps none of the others' turns while it waits.
            async with self._of_one[tenant_id], self._of_tenants:
                yield
