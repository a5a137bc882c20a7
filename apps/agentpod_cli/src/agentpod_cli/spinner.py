"""The moving line that a terminal shows while something takes long. The one module that imports rich."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

_ROOM = 14


class Spinner:
    """Keeps the present step moving, and leaves the steps that are done above it."""

    def __init__(self, *, coloured: bool) -> None:
        self._console = Console(stderr=True, no_color=not coloured, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[percent]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("", percent="")
        self._text = ""
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        self._progress.stop()

    def step(self, text: str) -> None:
        """Leave the step before in place and begin the next."""
        self._leave()
        self._text, self._began = text, time.monotonic()
        shown = Text(text)
        shown.truncate(max(10, self._console.width - _ROOM), overflow="ellipsis")
        self._progress.update(self._task, description=shown.plain, percent="")

    def percent(self, amount: float | None) -> None:
        """Show how far the step is."""
        self._progress.update(self._task, percent="" if amount is None else f"{amount:.0f} %")

    def _leave(self) -> None:
        if self._text:
            took = f" ({time.monotonic() - self._began:.1f} s)"
            self._progress.console.print(Text(f"  {self._text}{took}", style="dim"), soft_wrap=True)
            self._text = ""
