"""The machine's own time, for everything that is handed a clock."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """Implements ``agentpod_core.Clock``. Its seconds go on while the machine is suspended, where it can tell."""

    def now(self) -> datetime:
        """Give the present moment, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give seconds of a clock that never goes back."""
        # A lease runs out while a laptop or a virtual machine sleeps; the usual monotonic clock stands still then.
        return time.clock_gettime(_STEADY)

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(seconds)
