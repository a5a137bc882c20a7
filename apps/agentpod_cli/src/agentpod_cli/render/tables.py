"""Tables and lists of facts as plain aligned text, with or without colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import click
from msgspec import Struct

from agentpod_cli.render.amounts import ABSENT, clean, width
from agentpod_cli.texts import Texts

ItemT = TypeVar("ItemT")
GAP = "  "


class Column(Struct, Generic[ItemT], frozen=True, kw_only=True):
    """One column: its heading's key in the catalogue, its cell, and the colour of that cell.

    ``wide`` columns are shown by ``-o wide`` alone.
    """

    heading: str
    cell: Callable[[ItemT], str]
    colour: Callable[[ItemT], str | None] = lambda _: None
    wide: bool = False


class View(Struct, Generic[ItemT], frozen=True, kw_only=True):
    """How a kind of thing is listed: its columns, its name, and what parts the list into groups."""

    columns: tuple[Column[ItemT], ...]
    name: Callable[[ItemT], str]
    group: Callable[[ItemT], str] | None = None


def table(  # noqa: PLR0913 - how a table may look
    view: View[ItemT], items: Sequence[ItemT], texts: Texts, *, wide: bool, coloured: bool, parted: bool = False
) -> str:
    """Lay items out in aligned columns; ``parted`` puts an empty line between groups."""
    columns = [column for column in view.columns if wide or not column.wide]
    head = [texts(f"column.{column.heading}") for column in columns]
    rows = [[clean(column.cell(item)) or ABSENT for column in columns] for item in items]
    widths = [max(map(width, cells)) for cells in zip(head, *rows, strict=True)]
    lines = [_line(head, widths, ["bold" if coloured else None] * len(head))]
    before: str | None = None
    for item, row in zip(items, rows, strict=True):
        group = view.group(item) if view.group else None
        if parted and before is not None and group != before:
            lines.append("")
        before = group
        lines.append(_line(row, widths, [column.colour(item) if coloured else None for column in columns]))
    return "\n".join(lines)


def facts(pairs: Sequence[tuple[str, str]], *, coloured: bool) -> str:
    """Lay out named facts one below the other; those without a value are left out."""
    shown = [(name, value) for name, value in pairs if value]
    widest = max((width(name) for name, _ in shown), default=0)
    return "\n".join(
        f"{_paint(name, widest, 'bold' if coloured else None)}{GAP}{clean(value)}" for name, value in shown
    )


def _line(cells: Sequence[str], widths: Sequence[int], colours: Sequence[str | None]) -> str:
    last = len(cells) - 1
    painted = [
        _paint(cell, 0 if at == last else size, colour)
        for at, (cell, size, colour) in enumerate(zip(cells, widths, colours, strict=True))
    ]
    return GAP.join(painted).rstrip()


def _paint(text: str, size: int, colour: str | None) -> str:
    padding = " " * (size - width(text))
    if colour is None:
        return text + padding
    return (click.style(text, bold=True) if colour == "bold" else click.style(text, fg=colour)) + padding
