"""Reads what a browser sent of a form, against the value that the form showed.

Gives a config that keeps whatever the form left alone, raw texts for what was changed, and secrets: the
three ways in that the API has, and in its words. Nothing is judged here but the keys of maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from agentpod_core import Problem, catalogue
from agentpod_core.schema import Field, Kind, fields, is_mask, paths
from agentpod_server.forms import naming
from agentpod_server.forms.naming import Posted, last
from agentpod_server.forms.widgets import ABSENT, Widget, effective, shown, widget_of

_Keys = tuple[paths.Key, ...]
_MASK = {"$secret": True}
_MOST_ROWS = 1000


class Reading(Struct, frozen=True, kw_only=True):
    """What was read. ``places`` tells the input's name for each path in a request (``$.config.greeting``)."""

    config: dict[str, Any]
    texts: dict[str, str]
    secrets: dict[str, str]
    places: dict[str, str]
    problems: list[Problem]

    def __repr__(self) -> str:
        """Leave values out: some are secret."""
        return f"Reading(texts={sorted(self.texts)}, secrets={sorted(self.secrets)}, problems={self.problems!r})"


def read(
    schema: dict[str, Any], posted: Posted, current: dict[str, Any] | None = None, *, prefix: str = "config"
) -> Reading:
    """Read a form of that schema; ``current`` is the value that it showed, secrets masked.

    An input that was not sent leaves its field as it is. A blank optional number or choice goes back to
    the default, a blank secret stays what it was, and a new row that nobody touched is no row.
    """
    reader = _Reader(posted, prefix)
    config = reader.lay_all(fields(schema), prefix, (), current or {})
    return Reading(
        config=config, texts=reader.texts, secrets=reader.secrets, places=reader.places, problems=reader.problems
    )


class _Reader:
    """One walk. ``changes`` counts what will differ, ``touches`` what somebody typed or chose."""

    def __init__(self, posted: Posted, prefix: str) -> None:
        self.texts: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        self.places: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.changes = 0
        self.touches = 0
        self._posted = posted
        self._prefix = prefix

    def lay_all(self, some: Sequence[Field], name: str, keys: _Keys, current: dict[str, Any]) -> dict[str, Any]:
        """Give an object with each of its fields as the form leaves it; what the form does not know stays."""
        value = dict(current)
        for field in some:
            below = naming.below(name, field.name)
            laid = self.lay(field, below, (*keys, field.name), current.get(field.name, ABSENT))
            if laid is ABSENT:
                value.pop(field.name, None)
            else:
                value[field.name] = laid
        return value

    def lay(self, field: Field, name: str, keys: _Keys, current: Any) -> Any:
        """Give the value of one field before texts and secrets are laid over it; ABSENT for none."""
        self.places[paths.jsonpath((self._prefix, *keys))] = name
        match widget_of(field, effective(field, current)):
            case Widget.GROUP:
                return self._group(field, name, keys, current)
            case Widget.OPTIONAL:
                return self._optional(field, name, keys, current)
            case Widget.ROWS:
                return self._rows(field, name, keys, current)
            case Widget.MAP:
                return self._map(field, name, keys, current)
            case Widget.VARIANTS:
                return self._variants(field, name, keys, current)
            case Widget.LINES:
                return self._lines(field, name, keys, current)
            case Widget.CHECKS:
                return self._checks(field, name, current)
            case Widget.SECRET | Widget.SECRET_AREA:
                return self._secret(name, keys, current)
            case _:
                return self._scalar(field, name, keys, current)

    def _scalar(self, field: Field, name: str, keys: _Keys, current: Any) -> Any:
        text = last(self._posted, name)
        if text is None:
            return current
        is_same = text == naming.one_kind_of_line_end(shown(field, effective(field, current)))
        self.touches += not is_same
        has_to_be_said = current is ABSENT and field.is_required and text != ""
        if is_same and not has_to_be_said:
            return current
        self.changes += 1
        if field.is_required and not field.is_nullable and not text.strip():
            return ABSENT
        self.texts[paths.join(keys)] = text
        return current

    def _secret(self, name: str, keys: _Keys, current: Any) -> Any:
        text = last(self._posted, name)
        if text:
            self._touch()
            self.secrets[paths.join(keys)] = text
            return current
        if is_mask(current) and last(self._posted, naming.control(name, naming.CLEAR)) == "true":
            self.changes += 1
            return ABSENT
        return current

    def _lines(self, field: Field, name: str, keys: _Keys, current: Any) -> Any:
        text = last(self._posted, name)
        if text is None:
            return current
        before = effective(field, current)
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        if lines == [line for line in shown(field, before).split("\n") if line]:
            return self._unchanged_list(field, current)
        self._touch()
        for position, line in enumerate(lines):
            self.texts[paths.join((*keys, position))] = line
            self.places[paths.jsonpath((self._prefix, *keys, position))] = name
        return None if field.is_nullable and not lines else []

    def _checks(self, field: Field, name: str, current: Any) -> Any:
        if name not in self._posted or field.item is None:
            return current
        before = effective(field, current)
        sent = set(self._posted[name])
        chosen = [choice for choice in field.item.choices if str(choice) in sent]
        if set(map(str, chosen)) == set(map(str, before if isinstance(before, list) else ())):
            return self._unchanged_list(field, current)
        self._touch()
        return None if field.is_nullable and not chosen else chosen

    def _group(self, field: Field, name: str, keys: _Keys, current: Any) -> Any:
        start, before = effective(field, current), self.changes
        value = self.lay_all(field.fields, name, keys, start if isinstance(start, dict) else {})
        if current is ABSENT and self.changes == before and not field.is_required:
            return ABSENT
        return value

    def _optional(self, field: Field, name: str, keys: _Keys, current: Any) -> Any:
        is_on = last(self._posted, naming.control(name, naming.ON))
        start, before = effective(field, current), self.changes
        if is_on is None:
            return current
        was_on = isinstance(start, dict)
        if is_on != "true":
            # What was typed into a part that is switched off is not asked for.
            if was_on:
                self._touch()
                return None
            return current
        if not was_on:
            self._touch()
        value = self.lay_all(field.fields, name, keys, start if was_on else {})
        return ABSENT if current is ABSENT and self.changes == before else value

    def _variants(self, field: Field, name: str, keys: _Keys, current: Any) -> Any:
        tag = last(self._posted, naming.control(name, naming.TAG))
        start, before = effective(field, current), self.changes
        was = str(start.get(field.tag, "")) if isinstance(start, dict) else ""
        position = next((at for at, one in enumerate(field.variants) if one.tag == tag), None)
        if tag is None or (position is None and not was):
            return current
        if position is None:
            self._touch()
            return None if field.is_nullable else ABSENT
        base = start if isinstance(start, dict) and tag == was else {}
        if tag != was:
            self._touch()
            self.texts[paths.join((*keys, field.tag))] = tag
        below = naming.variant(name, position)
        value = self.lay_all(field.variants[position].fields, below, keys, base)
        return ABSENT if current is ABSENT and self.changes == before else value

    def _rows(self, field: Field, name: str, keys: _Keys, current: Any) -> Any:
        marks = _marks(self._posted, name)
        if marks is None or field.item is None:
            return current
        start, before = effective(field, current), self.changes
        items = start if isinstance(start, list) else []
        rows: list[Any] = []
        for mark in marks:
            row = naming.below(name, mark)
            if last(self._posted, naming.control(row, naming.REMOVE)) == "true":
                continue
            place = (*keys, len(rows))
            if mark < len(items):
                laid = self.lay(field.item, row, place, items[mark])
                rows.append(items[mark] if laid is ABSENT else laid)
            else:
                laid = self._new_row(field.item, row, place)
                if laid is not ABSENT:
                    rows.append(laid)
        self.changes += len([mark for mark in marks if mark < len(items)]) != len(items) or len(rows) < len(items)
        if self.changes == before:
            return self._unchanged_list(field, current)
        return rows

    def _map(self, field: Field, name: str, keys: _Keys, current: Any) -> Any:
        marks = _marks(self._posted, name)
        if marks is None or field.item is None:
            return current
        start, before = effective(field, current), self.changes
        items = list(start.items()) if isinstance(start, dict) else []
        value: dict[str, Any] = {}
        for mark in marks:
            row = naming.below(name, mark)
            if last(self._posted, naming.control(row, naming.REMOVE)) == "true":
                continue
            key_input = naming.control(row, naming.KEY)
            key = (last(self._posted, key_input) or "").strip()
            old_key, old = items[mark] if mark < len(items) else ("", ABSENT)
            place = (*keys, key)
            laid = self.lay(field.item, row, place, old) if key and old is not ABSENT else ABSENT
            if old is ABSENT:
                laid = self._new_row(field.item, row, place, always=bool(key))
                if laid is ABSENT:
                    continue
            self.changes += key != old_key
            if not key or key in value:
                self._wrong_key(key, place, key_input)
                continue
            value[key] = old if laid is ABSENT else laid
        self.changes += len(value) != len(items)
        if self.changes == before:
            return ({} if field.is_required else ABSENT) if current is ABSENT else current
        return value

    def _new_row(self, item: Field, row: str, place: _Keys, *, always: bool = False) -> Any:
        """Read a row that was not there before; ABSENT when nobody touched it."""
        trial = _Reader(self._posted, self._prefix)
        laid = trial.lay(item, row, place, ABSENT)
        if not trial.touches and not always:
            return ABSENT
        self._touch()
        self.texts |= trial.texts
        self.secrets |= trial.secrets
        self.places |= trial.places
        self.problems += trial.problems
        return _start_of(item) if laid is ABSENT else laid

    def _wrong_key(self, key: str, place: _Keys, name: str) -> None:
        path = paths.jsonpath((self._prefix, *place))
        reason, params = ("Duplicate", {"name": key}) if key else ("KeyMissing", {})
        self.places[path] = name
        self.problems.append(Problem(path=path, reason=reason, params=params, message=catalogue.text(reason, params)))

    def _unchanged_list(self, field: Field, current: Any) -> Any:
        return [] if current is ABSENT and field.is_required and not field.is_nullable else current

    def _touch(self) -> None:
        self.touches += 1
        self.changes += 1


def place_of(places: dict[str, str], path: str) -> str:
    """Give the name of the input that a problem's path belongs to, or of the nearest one around it; empty for none."""
    found = [one for one in places if path == one or (path.startswith(one) and path[len(one)] in ".[")]
    return places[max(found, key=len)] if found else ""


def _marks(posted: Posted, name: str) -> list[int] | None:
    """Give the numbers of the rows that were sent, each once and in order; None when the form had no such list."""
    sent = posted.get(naming.control(name, naming.ROWS))
    if sent is None:
        return None
    marks = dict.fromkeys(int(mark) for mark in sent if mark.isascii() and mark.isdigit() and len(mark) < 7)  # noqa: PLR2004 - a sane number
    return list(marks)[:_MOST_ROWS]


def _start_of(item: Field) -> Any:
    """Give what a new row starts from, so that texts and secrets find a place to be laid on."""
    match item.kind:
        case Kind.SECRET:
            return dict(_MASK)
        case Kind.LIST:
            return []
        case Kind.OBJECT | Kind.VARIANTS | Kind.MAP:
            return {}
        case _:
            return None
