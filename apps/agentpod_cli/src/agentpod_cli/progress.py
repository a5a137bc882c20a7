"""Shows how long work goes on: a moving line on a terminal, one line for each step elsewhere.

Everything goes to stderr, so that the answer on stdout stays alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

import click

from agentpod_cli.app import App

_PLAIN_STEP = 25.0


class Steps(Protocol):
    """Is told how a long work goes on."""

    def step(self, text: str) -> None:
        """Tell the step that is being done now."""
        ...

    def percent(self, amount: float | None) -> None:
        """Tell how far the step is; None where nobody can say."""
        ...


class PlainSteps:
    """One line for each step, and for each quarter of one that counts."""

    def __init__(self) -> None:
        self._text = ""
        self._shown = 0.0

    def step(self, text: str) -> None:
        """Write the step."""
        self._text, self._shown = text, 0.0
        click.echo(text, err=True)

    def percent(self, amount: float | None) -> None:
        """Write a quarter that was reached."""
        if amount is not None and amount >= self._shown + _PLAIN_STEP:
            self._shown = amount - amount % _PLAIN_STEP
            click.echo(f"{self._text} {self._shown:.0f} %", err=True)


@contextlib.contextmanager
def steps(app: App) -> Iterator[Steps]:
    """Give what shows the steps of one command."""
    if not app.terminal:
        yield PlainSteps()
        return
    from agentpod_cli.spinner import Spinner  # noqa: PLC0415 - only a terminal needs rich

    with Spinner(coloured=app.coloured) as spinner:
        yield spinner
