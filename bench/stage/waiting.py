"""Waits for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

ValueT = TypeVar("ValueT")


def until(condition: Callable[[], ValueT], what: str, *, seconds: float = 60.0, every: float = 0.05) -> ValueT:
    """Give what the condition gives once that is true.

    Raises:
        TimeoutError: it was not in time; says ``what`` was waited for.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(every)
    return value
