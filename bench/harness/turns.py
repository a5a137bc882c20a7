"""Takes turns: ours and the reference one after the other, so that what else the machine does falls on both."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.claims import Turns

Side = Callable[[], float]

REST = 0.5
"""Seconds between two turns, for what one leaves to be cleared away behind it."""


def interleaved(ours: Side, reference: Side, *, count: int, warm: int = 1, rest: float = REST) -> Turns:
    """Measure so many pairs, after ``warm`` pairs that do not count.

    Who goes first changes with every pair: going second (into warm caches, or into what the other
    left behind) is nobody's privilege.
    """
    sides = ((ours, mine := list[float]()), (reference, theirs := list[float]()))
    for number in range(-warm, count):
        for side, taken in sides if number % 2 == 0 else reversed(sides):
            time.sleep(rest)
            figure = side()
            if number >= 0:
                taken.append(figure)
    return Turns(ours=mine, reference=theirs)
