"""Describes a form as templates draw it: inputs with names, texts, choices and what is wrong with them.

A secret never has a text here: only whether one is set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentpod_core.schema import Field, Kind, fields, is_mask
from agentpod_server.forms import naming
from agentpod_server.forms.drawn import Drawn, Option, Parts, Row
from agentpod_server.forms.naming import Posted, last
from agentpod_server.forms.widgets import ABSENT, ADVANCED_MARK, LABELS_MARK, Widget, effective, shown, widget_of


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
                is_lost = self._sent(name, "") != ""
                return {"is_set": is_mask(value), "is_cleared": is_cleared, "is_lost": is_lost}
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
                return {"text": text, "options": _options(field, widget, text)}
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
        options = (
            [Option(value="", label="", is_chosen=not chosen)] if field.is_nullable or not field.is_required else []
        )
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
            numbers = [number for number in map(naming.number, dict.fromkeys(sent)) if number is not None]
        rows = [self._row(field, name, number, items) for number in numbers]
        is_full = field.max_items is not None and len(rows) >= field.max_items
        if not is_full and not (rows and rows[-1].is_new and not rows[-1].is_touched):
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
        drawn = drawer.one(item, row, value, is_item=True)
        sent_key = self._sent(key_name, key) if was_sent else key
        return Row(
            number=number,
            name=row,
            item=drawn,
            key=sent_key,
            is_touched=not is_there and was_sent and (bool(sent_key) or self._is_touched(drawn, row)),
            key_problems=tuple(self._problems.get(key_name, ())),
            is_new=not is_there,
            is_removed=was_sent and self._sent(naming.control(row, naming.REMOVE), "") == "true",
        )

    def template(self, field: Field, name: str) -> Row:
        """Describe the row that scripts copy."""
        row = naming.below(name, naming.BLANK_ROW)
        item: Any = field.item
        return Row(number=naming.BLANK_ROW, name=row, item=self.one(item, row, ABSENT, is_item=True), is_new=True)

    def _is_touched(self, item: Drawn, row: str) -> bool:
        """Say whether a new row was sent otherwise than it was drawn."""
        return _looks(item) != _looks(_Drawer(None, {}).one(item.field, row, ABSENT, is_item=True))


def _looks(one: Drawn) -> list[Any]:
    chosen = [option.is_chosen for option in one.options]
    rows = [row.is_touched for row in one.rows]
    return [one.text, one.is_on, one.is_lost, chosen, rows, [_looks(inner) for inner in _plain(one)]]


def _plain(one: Drawn) -> list[Drawn]:
    return [] if one.rows else list(one.below)


def _options(field: Field, widget: Widget, chosen: str) -> tuple[Option, ...]:
    choices = ("true", "false") if field.kind is Kind.BOOLEAN else tuple(map(str, field.choices))
    labels = _labels(field)
    options = [Option(value=one, label=labels.get(one, one), is_chosen=one == chosen) for one in choices]
    # Radio buttons may have none chosen; a select shows its first option unless a blank one stands there.
    if field.is_nullable or (chosen == "" and (widget is Widget.SELECT or not field.is_required)):
        options.insert(0, Option(value="", label="", is_chosen=chosen == ""))
    return tuple(options)


def _labels(field: Field) -> dict[str, str]:
    labels = field.extra.get(LABELS_MARK)
    return {str(key): str(label) for key, label in labels.items()} if isinstance(labels, dict) else {}
