"""A form as templates see it: inputs with names, texts, choices, and what is wrong with them. Only data."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from agentpod_core.schema import Field
from agentpod_server.forms import naming
from agentpod_server.forms.naming import input_id
from agentpod_server.forms.widgets import Widget


class Option(Struct, frozen=True, kw_only=True):
    """One of several values to choose; a blank ``value`` means none."""

    value: str
    label: str
    is_chosen: bool
    description: str = ""
    children: tuple[Drawn, ...] = ()
    advanced: tuple[Drawn, ...] = ()


class Row(Struct, frozen=True, kw_only=True):
    """One row of a list or map. ``number`` is its mark, which a row to be copied has a placeholder for."""

    number: int | str
    name: str
    item: Drawn
    key: str = ""
    key_problems: tuple[str, ...] = ()
    is_new: bool = False
    is_touched: bool = False
    is_removed: bool = False

    @property
    def key_name(self) -> str:
        """The name of the input for its key in a map."""
        return naming.control(self.name, naming.KEY)

    @property
    def remove_name(self) -> str:
        """The name of the box that takes it away."""
        return naming.control(self.name, naming.REMOVE)

    @property
    def is_wrong(self) -> bool:
        """Whether anything is wrong in it."""
        return bool(self.key_problems) or self.item.is_wrong


class Drawn(Struct, frozen=True, kw_only=True):
    """One field as it is drawn. ``is_lost``: a secret was sent, and has to be typed again."""

    field: Field
    widget: Widget
    name: str
    text: str = ""
    is_on: bool = False
    is_set: bool = False
    is_cleared: bool = False
    is_lost: bool = False
    is_item: bool = False
    options: tuple[Option, ...] = ()
    children: tuple[Drawn, ...] = ()
    advanced: tuple[Drawn, ...] = ()
    rows: tuple[Row, ...] = ()
    blank: Row | None = None
    problems: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The id of its element."""
        return input_id(self.name)

    @property
    def title(self) -> str:
        """What it is called."""
        return self.field.title

    @property
    def on_name(self) -> str:
        """The name of the box that switches an optional part on."""
        return naming.control(self.name, naming.ON)

    @property
    def rows_name(self) -> str:
        """The name under which the rows tell that they are there."""
        return naming.control(self.name, naming.ROWS)

    @property
    def tag_name(self) -> str:
        """The name of the choice between variants."""
        return naming.control(self.name, naming.TAG)

    @property
    def clear_name(self) -> str:
        """The name of the box that takes a secret away."""
        return naming.control(self.name, naming.CLEAR)

    @property
    def is_wrong(self) -> bool:
        """Whether anything is wrong with it or below it."""
        return bool(self.problems) or any(one.is_wrong for one in self.below)

    @property
    def below(self) -> Iterator[Drawn]:
        """What is drawn inside it, in order."""
        yield from self.children
        yield from self.advanced
        for option in self.options:
            yield from option.children
            yield from option.advanced
        for row in self.rows:
            yield row.item


class Parts(Struct, frozen=True, kw_only=True):
    """The fields of one level: those that everybody sees, and those that few need."""

    children: tuple[Drawn, ...]
    advanced: tuple[Drawn, ...]


def wrong(parts: Parts) -> list[tuple[str, str, str]]:
    """List what is wrong, in the order of the form: the element's id, its title, the text."""
    return [found for one in (*parts.children, *parts.advanced) for found in _wrong(one)]


def first_wrong(parts: Parts) -> str:
    """Give the id of the first element with something wrong; empty without any."""
    return next((element for element, _, _ in wrong(parts)), "")


def _wrong(one: Drawn) -> Iterator[tuple[str, str, str]]:
    yield from ((one.id, one.title, text) for text in one.problems)
    keys = {id(row.item): row for row in one.rows}
    for below in one.below:
        if row := keys.get(id(below)):
            yield from ((input_id(row.key_name), one.title, text) for text in row.key_problems)
        yield from _wrong(below)
