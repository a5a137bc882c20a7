"""Makes ids: UUIDv7, so that ids sort by the time they were made, also on databases that cannot make them."""

from __future__ import annotations

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """Make a UUIDv7 with sub-millisecond order (RFC 9562, method 3)."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | random)


def known(text: str) -> UUID | None:
    """Read an id that somebody gave; None when it cannot be one of ours."""
    try:
        return UUID(text)
    except ValueError:
        return None
