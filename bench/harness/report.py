"""Shows rows: as a table for people, as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.claims import Row

HEAD = ("case", "ours", "reference", "ratio", "goal", "")
NOTHING = "–"
WIDEST_NOTE = 100


def table(rows: Sequence[Row]) -> str:
    """Lay rows out in columns; each figure is a median, with the quartiles beside it."""
    lines = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    # Words stand at the left of their column, figures at the right.
    drawn = [
        "  ".join(
            cell.ljust(width) if column in {0, len(HEAD) - 1} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([drawn[0], "-" * max(map(len, drawn)), *drawn[1:]])


def exit_code(rows: Sequence[Row]) -> int:
    """Give 0 where every goal was kept and no case failed, else 1."""
    return 0 if all(row.ok for row in rows) else 1


def write(folder: Path, rows: Sequence[Row], machine: Mapping[str, str]) -> None:
    """Write ``latest.json``, the rows, and ``machine.json``, where they were measured."""
    folder.mkdir(exist_ok=True)
    for name, content in (("latest", [row.as_json() for row in rows]), ("machine", dict(machine))):
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    verdict = ("ok" if row.goal else "") if row.ok else "MISSED" if row.goal else "FAILED"
    return (
        row.case,
        _amount(row, "ours", row.ours),
        _amount(row, "reference", row.reference),
        NOTHING if row.ratio is None else f"{row.ratio:.2f}×",
        row.goal or NOTHING,
        "  ".join(filter(None, (verdict, row.note.partition("\n")[0][:WIDEST_NOTE]))),
    )


def _amount(row: Row, side: str, value: float | None) -> str:
    if value is None:
        return NOTHING
    median = f"{value:g} {row.unit}"
    low, high = row.spread[side]
    return median if low == high else f"{median} ({low:g}-{high:g})"
