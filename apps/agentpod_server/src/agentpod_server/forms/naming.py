"""How the inputs of a form are called: dotted names that two walks over the same fields make alike.

What steers a form beside its values (is an optional part on, which rows are there) is named with ``@``,
which no field's name can hold: it is quoted there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

Posted = Mapping[str, Sequence[str]]
"""What a browser sent: every value of every input, in order."""

ON: Final = "@on"
"""Whether an optional part is there."""
ROWS: Final = "@rows"
"""The numbers of the rows that the form had."""
REMOVE: Final = "@remove"
KEY: Final = "@key"
TAG: Final = "@tag"
CLEAR: Final = "@clear"
BLANK_ROW: Final = "__row__"
"""Stands for the number in the row that scripts copy."""

_NUMBER: Final = re.compile(r"[0-9]{1,18}")


def below(name: str, part: str | int) -> str:
    """Name the input of a field below."""
    return f"{name}.{quote(str(part), safe='').replace('.', '%2E')}"


def control(name: str, what: str) -> str:
    """Name an input that steers the form."""
    return f"{name}.{what}"


def variant(name: str, position: int) -> str:
    """Name the place of a variant, whose fields may be called like another's."""
    return f"{name}.@v{position}"


def input_id(name: str) -> str:
    """Give the id of an input's element."""
    return f"f-{name}"


def last(posted: Posted, name: str) -> str | None:
    """Give what was sent under a name, line ends as in stored texts; of several the last; None for nothing."""
    values = posted.get(name)
    return one_kind_of_line_end(values[-1]) if values else None


def number(text: str) -> int | None:
    """Read a number that a page carried for itself; None for what is none, and for one that no page had."""
    return int(text) if _NUMBER.fullmatch(text) else None


def one_kind_of_line_end(text: str) -> str:
    """Write a text as inputs of several lines send it, whatever system it came from."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def posted_of(pairs: Iterable[tuple[str, object]]) -> dict[str, list[str]]:
    """Collect a form's pairs; what is no text (an uploaded file) is left out."""
    collected: dict[str, list[str]] = {}
    for name, value in pairs:
        if isinstance(value, str):
            collected.setdefault(name, []).append(value)
    return collected
