"""Chooses how a field is shown, and writes its value as the text of an input.

The choice depends on the field and the value that is there, never on what was sent, so that drawing and
reading a form agree.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import msgspec

from agentpod_core.schema import Field, Kind

FEW_CHOICES: Final = 4
LONG_TEXT: Final = 1000
MULTILINE_MARK: Final = "x-agentpod-multiline"
ADVANCED_MARK: Final = "x-agentpod-advanced"
WIDGET_MARK: Final = "x-agentpod-widget"
"""On a field with choices: ``select`` or ``radios``, whatever their number."""
LABELS_MARK: Final = "x-agentpod-labels"
"""On a field with choices: a title for each of them."""

ABSENT: Final = object()
"""No value, which is not null."""


class Widget(StrEnum):
    """The ways to show a field."""

    TEXT = "text"
    AREA = "area"
    NUMBER = "number"
    SWITCH = "switch"
    RADIOS = "radios"
    SELECT = "select"
    SECRET = "secret"  # noqa: S105 - a word, no password
    SECRET_AREA = "secret-area"  # noqa: S105 - a word, no password
    LINES = "lines"
    CHECKS = "checks"
    GROUP = "group"
    OPTIONAL = "optional"
    ROWS = "rows"
    MAP = "map"
    VARIANTS = "variants"
    JSON = "json"


_BY_KIND: Final = {
    Kind.INTEGER: Widget.NUMBER,
    Kind.NUMBER: Widget.NUMBER,
    Kind.MAP: Widget.MAP,
    Kind.VARIANTS: Widget.VARIANTS,
    Kind.JSON: Widget.JSON,
}
_PLAIN: Final = frozenset({Kind.TEXT, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN})


def widget_of(field: Field, value: Any) -> Widget:
    """Choose the way to show a field that holds ``value``."""
    match field.kind:
        case Kind.SECRET:
            return Widget.SECRET_AREA if field.extra.get(MULTILINE_MARK) else Widget.SECRET
        case Kind.BOOLEAN:
            return Widget.RADIOS if field.is_nullable else Widget.SWITCH
        case Kind.CHOICE:
            usual = Widget.RADIOS if len(field.choices) <= FEW_CHOICES else Widget.SELECT
            return next((one for one in (Widget.RADIOS, Widget.SELECT) if field.extra.get(WIDGET_MARK) == one), usual)
        case Kind.OBJECT:
            return Widget.OPTIONAL if field.is_nullable else Widget.GROUP
        case Kind.LIST:
            return _list(field, value)
        case Kind.TEXT:
            is_long = bool(field.extra.get(MULTILINE_MARK)) or (field.max_length or 0) >= LONG_TEXT
            return Widget.AREA if is_long or (isinstance(value, str) and not value.isprintable()) else Widget.TEXT
        case _:
            return _BY_KIND[field.kind]


def effective(field: Field, current: Any) -> Any:
    """Give the value that counts: the one that is there, else the default."""
    if current is ABSENT and field.has_default:
        return field.default
    return current


def shown(field: Field, value: Any) -> str:
    """Write a value as the text of its input; nothing and null are blank."""
    if value is ABSENT or value is None:
        return ""
    widget = widget_of(field, value)
    if widget is Widget.LINES:
        return "\n".join(one_line(item) for item in value)
    if widget is Widget.JSON:
        return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return one_line(value)


def one_line(value: Any) -> str:
    """Write a plain value; a float that is whole reads like the integer."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode(value).decode()


def _list(field: Field, value: Any) -> Widget:
    item = field.item
    items = value if isinstance(value, list) else []
    if item is None or item.kind is Kind.JSON:
        return Widget.JSON
    if item.kind is Kind.CHOICE:
        is_set = all(one in item.choices for one in items) and len(set(map(str, items))) == len(items)
        return Widget.CHECKS if is_set else Widget.JSON
    if item.kind in _PLAIN:
        return Widget.LINES if all(_fits_line(one) for one in items) else Widget.JSON
    return Widget.ROWS


def _fits_line(item: Any) -> bool:
    return item is not None and (not isinstance(item, str) or (item == item.strip() != "" and "\n" not in item))
