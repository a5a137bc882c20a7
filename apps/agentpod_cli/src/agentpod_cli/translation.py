"""Puts the help of the whole command tree, and click's own words, into the user's language.

The English texts in the code are the keys, as with gettext; commands in examples stay.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
import click.core
import click.decorators
import click.exceptions
import click.formatting
import click.parser
import click.shell_completion
import click.termui
import click.types

from agentpod_cli.options import KEPT
from agentpod_cli.texts import Texts

CLICK = (
    click.core,
    click.decorators,
    click.exceptions,
    click.formatting,
    click.parser,
    click.shell_completion,
    click.termui,
    click.types,
)
"""Where click speaks to users."""


def translate(command: click.Command, texts: Texts) -> None:
    """Translate a command, its options, everything below it, and click; what has no translation stays English."""
    _teach_click(texts)
    if texts.language == "en":
        return
    for one in tree(command):
        summary, body = parts(one.help or "")
        translated = texts.find_help(summary)
        if translated is not None:
            body = body.replace("Examples:", texts("note.examples"), 1)
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


def _teach_click(texts: Texts) -> None:
    # Click asks gettext, which reads compiled catalogues from folders alone; ours is at hand already.
    def say(message: str) -> str:
        return texts.find_click(message) or message

    def count(singular: str, plural: str, number: int) -> str:
        return say(singular if number == 1 else plural)

    for module in CLICK:
        for name, words in (("_", say), ("ngettext", count)):
            if name in vars(module):
                setattr(module, name, words)
