"""The bench's own machinery: what a claim is, how turns are taken, how rows are shown. Knows no case."""

from __future__ import annotations

from harness.claims import (
    Goal,
    Row,
    Turns,
    absent,
    at_least,
    at_most,
    failed,
    figure,
    more_by_at_most,
    ratio,
    times_at_most,
    within,
)
from harness.report import exit_code, table, write
from harness.running import Case, run
from harness.turns import interleaved

__all__ = [
    "Case",
    "Goal",
    "Row",
    "Turns",
    "absent",
    "at_least",
    "at_most",
    "exit_code",
    "failed",
    "figure",
    "interleaved",
    "more_by_at_most",
    "ratio",
    "run",
    "table",
    "times_at_most",
    "within",
    "write",
]
