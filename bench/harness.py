"""Runs measured claims as interleaved pairs and prints them as one table.

A claim is a ratio of medians: ours and the reference take turns within one run on one machine, so
that what else the machine does falls on both. Absolute figures have no reference.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "latest.json"


@dataclass(frozen=True)
class Row:
    """One claim: ``ok`` is whether ``ratio`` (or ``ours``, without a reference) keeps to ``goal``."""

    case: str
    ours: float
    reference: float | None
    unit: str
    ratio: float | None
    goal: float
    ok: bool


def pairs(case: str, ours: Callable[[], float], reference: Callable[[], float], *, count: int, goal: float) -> Row:
    """Measure seconds of both, turn by turn, after one turn each that does not count."""
    ours(), reference()
    taken = [(ours(), reference()) for _ in range(count)]
    mine, theirs = (statistics.median(side) for side in zip(*taken, strict=True))
    ratio = mine / theirs
    return Row(case, round(mine, 4), round(theirs, 4), "s", round(ratio, 3), goal, ratio <= goal)


def figure(case: str, value: float, unit: str, *, goal: float) -> Row:
    """State an absolute figure with its goal."""
    return Row(case, round(value, 1), None, unit, None, goal, value <= goal)


def report(rows: list[Row]) -> int:
    """Print the table, write the rows, and give the exit code: 1 where a goal was missed."""
    print(f"\n{platform.platform()} · {os.cpu_count()} cores · {_docker()} · Python {platform.python_version()}\n")
    width = max(len(row.case) for row in rows)
    print(f"{'case':{width}}  {'ours':>10} {'reference':>10} {'ratio':>7} {'goal':>7}")
    for row in rows:
        reference = f"{row.reference:g}" if row.reference is not None else "–"
        ratio = f"{row.ratio:g}" if row.ratio is not None else "–"
        verdict = "ok" if row.ok else "MISSED"
        ours = f"{row.ours:g} {row.unit}"
        print(f"{row.case:{width}}  {ours:>10} {reference:>10} {ratio:>7} {row.goal:>7g}  {verdict}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0 if all(row.ok for row in rows) else 1


def _docker() -> str:
    argv = ["docker", "version", "-f", "Docker {{.Server.Version}}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "no Docker"
