"""Describes a form as templates draw it: inputs with names, texts, choices and what is wrong with them.

A secret never has a text here: only whether one is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from agentpod_core.schema import Field, Kind, fields, is_mask
from agentpod_server.forms import naming
from agentpod_server.forms.naming import Posted, input_id, last
from agentpod_server.forms.widgets import ABSENT, ADVANCED_MARK, LABELS_MARK, Widget, effective, shown, widget_of


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
    """One field as it is drawn."""

    field: Field
    widget: Widget
    name: str
    text: str = ""
    is_on: bool = False
    is_set: bool = False
    is_cleared: bool = False
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


def draw(
    schema: dict[str, Any],
    current: dict[str, Any] | None = None,
    *,
    prefix: str = "config",
    posted: Posted | None = None,
    problems: Mapping[str, Sequence[str]] | None = None,
) -> Parts:
    """Describe the form of a schema that shows ``current`` (secrets masked), or what was ``posted`` of it.

    ``problems`` are texts by the name of the input that they belong to.
    """
    return _Drawer(posted, problems or {}).level(fields(schema), prefix, current or {})


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


class _Drawer:
    """One walk over the fields."""

    def __init__(self, posted: Posted | None, problems: Mapping[str, Sequence[str]]) -> None:
        self._posted = posted
        self._problems = problems

    def level(self, some: Sequence[Field], name: str, current: dict[str, Any]) -> Parts:
        """Describe the fields of one level."""
        drawn = [(one, self.one(one, naming.below(name, one.name), current.get(one.name, ABSENT))) for one in some]
        return Parts(
            children=tuple(one for field, one in drawn if not field.extra.get(ADVANCED_MARK)),
            advanced=tuple(one for field, one in drawn if field.extra.get(ADVANCED_MARK)),
        )

    def one(self, field: Field, name: str, current: Any, *, is_item: bool = False) -> Drawn:
        """Describe one field."""
        value = effective(field, current)
        widget = widget_of(field, value)
        parts = self._parts(field, widget, name, value)
        return Drawn(
            field=field,
            widget=widget,
            name=name,
            is_item=is_item,
            problems=tuple(self._problems.get(name, ())),
            **parts,
        )

    def _parts(self, field: Field, widget: Widget, name: str, value: Any) -> dict[str, Any]:
        match widget:
            case Widget.SECRET | Widget.SECRET_AREA:
                is_cleared = self._sent(naming.control(name, naming.CLEAR), "false") == "true"
                return {"is_set": is_mask(value), "is_cleared": is_cleared}
            case Widget.GROUP | Widget.OPTIONAL:
                is_there = isinstance(value, dict)
                inner = self.level(field.fields, name, value if is_there else {})
                is_on = self._sent(naming.control(name, naming.ON), "true" if is_there else "false") == "true"
                return {"is_on": is_on, "children": inner.children, "advanced": inner.advanced}
            case Widget.ROWS:
                items = value if isinstance(value, list) else []
                return self._rows(field, name, [("", item) for item in items])
            case Widget.MAP:
                return self._rows(field, name, list(value.items()) if isinstance(value, dict) else [])
            case Widget.VARIANTS:
                return {"options": self._variants(field, name, value)}
            case Widget.CHECKS:
                return {"options": self._checks(field, name, value)}
            case Widget.RADIOS | Widget.SELECT:
                text = self._text(field, name, value)
                return {"text": text, "options": _options(field, text)}
            case Widget.SWITCH:
                return {"is_on": self._text(field, name, value) == "true"}
            case _:
                return {"text": self._text(field, name, value)}

    def _text(self, field: Field, name: str, value: Any) -> str:
        return self._sent(name, shown(field, value))

    def _sent(self, name: str, otherwise: str) -> str:
        """Give what was sent; without a form that was sent, ``otherwise``."""
        if self._posted is None:
            return otherwise
        return last(self._posted, name) or ""

    def _checks(self, field: Field, name: str, value: Any) -> tuple[Option, ...]:
        chosen = set(map(str, value)) if isinstance(value, list) else set()
        if self._posted is not None:
            chosen = set(self._posted.get(name, ()))
        labels = _labels(field.item or field)
        return tuple(
            Option(value=str(choice), label=labels.get(str(choice), str(choice)), is_chosen=str(choice) in chosen)
            for choice in (field.item.choices if field.item else ())
        )

    def _variants(self, field: Field, name: str, value: Any) -> tuple[Option, ...]:
        was = str(value.get(field.tag, "")) if isinstance(value, dict) else ""
        chosen = self._sent(naming.control(name, naming.TAG), was)
        options = [Option(value="", label="", is_chosen=not chosen)] if field.is_nullable else []
        for position, variant in enumerate(field.variants):
            base = value if isinstance(value, dict) and variant.tag == was else {}
            inner = self.level(variant.fields, naming.variant(name, position), base)
            options.append(
                Option(
                    value=variant.tag,
                    label=_labels(field).get(variant.tag, variant.title),
                    description=variant.description,
                    is_chosen=variant.tag == chosen,
                    children=inner.children,
                    advanced=inner.advanced,
                )
            )
        return tuple(options)

    def _rows(self, field: Field, name: str, items: list[tuple[str, Any]]) -> dict[str, Any]:
        if field.item is None:
            return {}
        numbers = list(range(len(items)))
        if self._posted is not None:
            sent = self._posted.get(naming.control(name, naming.ROWS), ())
            numbers = [int(mark) for mark in dict.fromkeys(sent) if mark.isascii() and mark.isdigit()]
        rows = [self._row(field, name, number, items) for number in numbers]
        is_full = field.max_items is not None and len(rows) >= field.max_items
        if not is_full and not (rows and rows[-1].is_new and not rows[-1].is_wrong and self._is_blank(rows[-1])):
            # Always one more than there are, so that a row can be added without scripts.
            rows.append(self._row(field, name, max(numbers, default=-1) + 1, items))
        return {"rows": tuple(rows), "blank": _Drawer(None, {}).template(field, name)}

    def _row(self, field: Field, name: str, number: int, items: list[tuple[str, Any]]) -> Row:
        item: Any = field.item
        row = naming.below(name, number)
        is_there = number < len(items)
        key, value = items[number] if is_there else ("", ABSENT)
        was_sent = self._posted is not None and str(number) in self._posted.get(naming.control(name, naming.ROWS), ())
        drawer = self if was_sent or self._posted is None else _Drawer(None, {})
        key_name = naming.control(row, naming.KEY)
        return Row(
            number=number,
            name=row,
            item=drawer.one(item, row, value, is_item=True),
            key=self._sent(key_name, key) if was_sent else key,
            key_problems=tuple(self._problems.get(key_name, ())),
            is_new=not is_there,
            is_removed=was_sent and self._sent(naming.control(row, naming.REMOVE), "") == "true",
        )

    def template(self, field: Field, name: str) -> Row:
        """Describe the row that scripts copy."""
        row = naming.below(name, naming.BLANK_ROW)
        item: Any = field.item
        return Row(number=naming.BLANK_ROW, name=row, item=self.one(item, row, ABSENT, is_item=True), is_new=True)

    def _is_blank(self, row: Row) -> bool:
        """Say whether a new row was sent as it was drawn; secrets count as blank, for they are not shown again."""
        fresh = _Drawer(None, {}).one(row.item.field, row.name, ABSENT, is_item=True)
        return not row.key and _looks(fresh) == _looks(row.item)


def _looks(one: Drawn) -> list[Any]:
    below = [_looks(inner) for inner in one.below]
    return [one.text, one.is_on, [option.is_chosen for option in one.options], below]


def _options(field: Field, chosen: str) -> tuple[Option, ...]:
    choices = ("true", "false") if field.kind is Kind.BOOLEAN else tuple(map(str, field.choices))
    labels = _labels(field)
    options = [Option(value=one, label=labels.get(one, one), is_chosen=one == chosen) for one in choices]
    has_blank = field.is_nullable or (chosen == "" and not field.is_required)
    if has_blank or (field.is_required and len(choices) > FEW and chosen == ""):
        options.insert(0, Option(value="", label="", is_chosen=chosen == ""))
    return tuple(options)


FEW = 4


def _labels(field: Field) -> dict[str, str]:
    labels = field.extra.get(LABELS_MARK)
    return {str(key): str(label) for key, label in labels.items()} if isinstance(labels, dict) else {}
