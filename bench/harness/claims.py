"""What a claim is: a row of figures, and a goal that they keep to or miss. Pure; measures and prints nothing."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A limit in words, and whether ours (beside the reference, where there is one) keeps to it."""

    text: str
    holds: Callable[[float, float], bool]


def times_at_most(factor: float, *, more: float = 0.0) -> Goal:
    """Ours takes at most so many times what the reference takes, and so many seconds ``more``."""
    text = f"≤ {factor:g}× + {more:g} s" if more else f"≤ {factor:g}×"
    return Goal(text=text, holds=lambda ours, reference: ours <= factor * reference + more)


def more_by_at_most(seconds: float) -> Goal:
    """Ours takes at most so many seconds more than the reference."""
    return Goal(text=f"≤ 1.0× + {seconds:g} s", holds=lambda ours, reference: ours <= reference + seconds)


def within(share: float) -> Goal:
    """Ours differs from the reference by at most that share of it."""
    text = f"1.0× ± {share:.0%}"
    return Goal(text=text, holds=lambda ours, reference: abs(ours - reference) <= share * reference)


def at_most(limit: float, unit: str) -> Goal:
    """Ours is at most so much, whatever others take."""
    return Goal(text=f"≤ {limit:g} {unit}", holds=lambda ours, _: ours <= limit)


def at_least(limit: float, unit: str) -> Goal:
    """Ours is at least so much, whatever others do."""
    return Goal(text=f"≥ {limit:g} {unit}", holds=lambda ours, _: ours >= limit)


@dataclass(frozen=True, kw_only=True)
class Turns:
    """What was measured, turn by turn: one figure of each side for each pair."""

    ours: Sequence[float]
    reference: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the outcome.

    ``ours`` and ``reference`` are medians; ``reference`` is None for an absolute figure, ``ours``
    where the case failed (``note`` says how). ``spread`` holds the quartiles of each side. ``goal``
    None: the figure is for reading only, and ``ok``.
    """

    case: str
    ours: float | None
    reference: float | None
    unit: str
    ratio: float | None
    goal: str | None
    ok: bool
    count: int
    spread: dict[str, list[float]]
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give the row as it is written."""
        return asdict(self)


def ratio(case: str, turns: Turns, goal: Goal | None = None, *, unit: str = "s", note: str = "") -> Row:
    """Compare the medians of two sides."""
    ours, reference = statistics.median(turns.ours), statistics.median(turns.reference)
    return Row(
        case=case,
        ours=_short(ours),
        reference=_short(reference),
        unit=unit,
        ratio=_short(ours / reference),
        goal=goal.text if goal else None,
        ok=goal is None or goal.holds(ours, reference),
        count=len(turns.ours),
        spread={"ours": _quartiles(turns.ours), "reference": _quartiles(turns.reference)},
        note=note,
    )


def figure(case: str, values: Sequence[float], unit: str, *, goal: Goal | None = None, note: str = "") -> Row:
    """State the median of absolute figures."""
    ours = statistics.median(values)
    return Row(
        case=case,
        ours=_short(ours),
        reference=None,
        unit=unit,
        ratio=None,
        goal=goal.text if goal else None,
        ok=goal is None or goal.holds(ours, 0.0),
        count=len(values),
        spread={"ours": _quartiles(values)},
        note=note,
    )


def failed(case: str, problem: str) -> Row:
    """Say that a case came to no figure, and why: a miss, whatever its goal is."""
    return Row(
        case=case, ours=None, reference=None, unit="", ratio=None, goal=None, ok=False, count=0, spread={}, note=problem
    )


def absent(case: str, why: str) -> Row:
    """Say that what a reader might look for was not to be had here: nobody's miss."""
    return Row(
        case=case, ours=None, reference=None, unit="", ratio=None, goal=None, ok=True, count=0, spread={}, note=why
    )


def _quartiles(values: Sequence[float]) -> list[float]:
    if len(values) == 1:
        return [_short(values[0])] * 2
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return [_short(first), _short(third)]


def _short(value: float) -> float:
    """Leave out digits that mean nothing; goals are judged on the whole figure."""
    return float(f"{value:.4g}")
