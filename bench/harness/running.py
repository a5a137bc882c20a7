"""Runs cases one after the other. One that fails becomes a row that says so, and the others go on."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.claims import Row, failed


@dataclass(frozen=True, kw_only=True)
class Case:
    """A claim, or a few that are measured together. ``run`` gets the stage and gives the rows."""

    name: str
    title: str
    run: Callable[[Any], Sequence[Row]]


def run(cases: Sequence[Case], stage: Any, *, failing: Callable[[Case], None]) -> Iterator[Row]:
    """Give the rows of each case as soon as it is through; ``failing`` is called after one that failed.

    Ctrl-C and other ends of the program are no failures of a case, and go through.
    """
    for case in cases:
        try:
            yield from case.run(stage)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other cases are to be measured
            traceback.print_exc()
            yield failed(case.title, f"{type(error).__name__}: {error}")
            failing(case)
