"""Puts the help of the whole command tree into the user's language.

The English help texts in the code are the keys, as with gettext; examples are commands and stay.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from agentpod_cli.options import KEPT
from agentpod_cli.texts import Texts


def translate(command: click.Command, texts: Texts) -> None:
    """Translate a command, its options and everything below it; a text without a translation stays English."""
    if texts.language == "en":
        return
    for one in tree(command):
        summary, body = parts(one.help or "")
        translated = texts.find_help(summary)
        if translated is not None:
            one.help = f"{translated}\n\n{body}" if body else translated
        for option in options(one):
            option.help = texts.find_help(option.help or "") or option.help


def tree(command: click.Command) -> Iterator[click.Command]:
    """Give a command and all below it."""
    yield command
    if isinstance(command, click.Group):
        for one in command.commands.values():
            yield from tree(one)


def options(command: click.Command) -> Iterator[click.Option]:
    """Give the options of a command that have a help text."""
    for one in command.params:
        if isinstance(one, click.Option) and one.help:
            yield one


def parts(text: str) -> tuple[str, str]:
    """Part a help text into what it says (on one line for each paragraph) and its examples."""
    said, mark, examples = text.partition(KEPT)
    paragraphs = [" ".join(paragraph.split()) for paragraph in said.split("\n\n") if paragraph.strip()]
    return "\n\n".join(paragraphs), f"{mark}{examples}" if mark else ""
