"""Reads the raw texts of forms and ``--set`` as values, by their published schema.

Texts come at dotted paths. What cannot be read is a problem with its place; whether what was read
is allowed is ``problems``' to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from agentpod_core.errors import Problem
from agentpod_core.schema import paths, secrets
from agentpod_core.schema.checking import problem, unknown_field
from agentpod_core.schema.depth import DEEPEST, is_too_deep
from agentpod_core.schema.nodes import Kind, Node

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_POSITION: Final = re.compile(r"0|[1-9][0-9]{0,5}")
_TRUTHS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
SCALARS: Final = frozenset({Kind.TEXT, Kind.SECRET, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.CHOICE})

GONE: Final = object()
_SHOWN: Final = 4
_Keys = tuple[paths.Key, ...]
_Tree = dict[str, Any]


def coerce(schema: dict[str, Any], flat: Mapping[str, str], onto: Any = None) -> tuple[Any, list[Problem]]:
    """Lay raw texts at dotted paths onto a value, by default onto nothing, and give the new value.

    Numbers, booleans (true/false, yes/no, on/off, 1/0) and choices are read as such; a list is
    ``a, b`` or lines, or single positions (``tags.0``); objects and anything else may be JSON. A
    blank text takes an optional field away (null where that is a value); of a secret it means "as
    it was" and gives the mask that ``unmask`` understands.
    """
    reader = Reader()
    tree = reader.grow(flat)
    value = reader.lay(Node(schema), tree, {} if onto is None else onto, ())
    return value, reader.problems


class UnreadableError(Exception):
    """A text that cannot be read as what it should be."""

    def __init__(self, expected: str) -> None:
        self.expected = expected


class Reader:
    """Reads one set of texts and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def grow(self, flat: Mapping[str, str]) -> _Tree:
        """Order the texts as a tree by the parts of their paths."""
        root: _Tree = {}
        for dotted, text in flat.items():
            *parents, last = paths.split(dotted) or ("",)
            if len(parents) >= DEEPEST:
                self.problems.append(problem((*parents[:_SHOWN],), "TooDeep", levels=DEEPEST))
                continue
            place: Any = root
            for key in parents:
                place = place.setdefault(key, {})
                if isinstance(place, str):
                    break
            if isinstance(place, str) or last in place:
                self.problems.append(problem(paths.keys(dotted), "PathTakenTwice", field=dotted))
            else:
                place[last] = text
        return root

    def lay(self, node: Node, tree: _Tree | str, current: Any, keys: _Keys) -> Any:
        """Give what ``current`` becomes under these texts; ``GONE`` to take it away."""
        node = node.real
        if isinstance(tree, str):
            try:
                return read(node, tree)
            except UnreadableError as unreadable:
                self.problems.append(problem(keys, "NotReadable", expected=unreadable.expected))
                return current if current is not None else GONE
        match node.kind:
            case Kind.OBJECT:
                return self._object(node, tree, current, keys)
            case Kind.VARIANTS:
                return self._variant(node, tree, current, keys)
            case Kind.MAP:
                return self._map(node, tree, current, keys)
            case Kind.LIST:
                return self._list(node, tree, current, keys)
            case Kind.JSON if "object" in node.types:
                return self._each(dict.fromkeys(tree, Node({}, {})), tree, current, keys)
            case _:
                field = next(iter(tree))
                self.problems.append(problem((*keys, field), "NoFieldsBelow", field=paths.join(keys)))
                return current if current is not None else GONE

    def _object(self, node: Node, tree: _Tree, current: Any, keys: _Keys) -> Any:
        known = node.properties
        for name in [name for name in tree if name not in known]:
            self.problems.append(unknown_field((*keys, name), name, list(known)))
        return self._each(known, {name: sub for name, sub in tree.items() if name in known}, current, keys)

    def _variant(self, node: Node, tree: _Tree, current: Any, keys: _Keys) -> Any:
        old = current if isinstance(current, dict) else {}
        named = tree.get(node.tag, str(old.get(node.tag, "")))
        chosen = node.variants.get(named) if isinstance(named, str) else None
        if chosen is None:
            reason, params = ("WrongVariant", {"choices": list(node.variants)}) if named else ("MissingField", {})
            self.problems.append(problem((*keys, node.tag), reason, field=node.tag, **params))
            return current if current is not None else GONE
        # Another variant has other fields: nothing of the old one stays.
        base = old if str(old.get(node.tag)) == named else {}
        base = {node.tag: chosen.schema["properties"][node.tag]["enum"][0]} | base
        return self._object(chosen, {name: sub for name, sub in tree.items() if name != node.tag}, base, keys)

    def _map(self, node: Node, tree: _Tree, current: Any, keys: _Keys) -> Any:
        inner = node.values or Node({}, {})
        if inner.real.kind in SCALARS:
            # A dot in the key of a plain value needs no escape: nothing lies below that it could lead to.
            tree = {".".join(path): text for path, text in _leaves(tree, ())}
        return self._each(dict.fromkeys(tree, inner), tree, current, keys)

    def _each(self, children: Mapping[str, Node], tree: _Tree, current: Any, keys: _Keys) -> dict[str, Any]:
        value = dict(current) if isinstance(current, dict) else {}
        for name, sub in tree.items():
            laid = self.lay(children[name], sub, value.get(name), (*keys, name))
            if laid is GONE:
                value.pop(name, None)
            else:
                value[name] = laid
        return value

    def _list(self, node: Node, tree: _Tree, current: Any, keys: _Keys) -> Any:
        value = list(current) if isinstance(current, (list, tuple)) else []
        wrong = [key for key in tree if not _POSITION.fullmatch(key)]
        positions = sorted(int(key) for key in tree if key not in wrong)
        has_gap = any(position > len(value) + count for count, position in enumerate(positions))
        if wrong or has_gap:
            self.problems.append(problem(keys, "InvalidIndex", field=paths.join(keys)))
            return current if current is not None else GONE
        for position in positions:
            was = value[position] if position < len(value) else None
            laid = self.lay(node.item(position), tree[str(position)], was, (*keys, position))
            value[position : position + 1] = [laid]
        return [item for item in value if item is not GONE]


def _leaves(tree: _Tree, keys: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    return [
        leaf
        for key, sub in tree.items()
        for leaf in ([((*keys, key), sub)] if isinstance(sub, str) else _leaves(sub, (*keys, key)))
    ]


def read(node: Node, text: str) -> Any:
    """Read one text as a value of that place; ``GONE`` for a blank one that takes the field away.

    Raises:
        UnreadableError: it is no such value.
    """
    kind = node.kind
    if kind is Kind.SECRET:
        return text or {secrets.MASK_KEY: True}
    if not text.strip() and not (kind is Kind.CHOICE and text in node.choices):
        if node.is_nullable:
            return None
        return text if kind is Kind.TEXT else GONE
    reader = _READERS.get(kind)
    return reader(node, text) if reader else _json(text, dict, "object")


def _integer(_: Node, text: str) -> int:
    text = text.strip()
    if not _INTEGER.fullmatch(text):
        raise UnreadableError("integer")
    return int(text)


def _number(_: Node, text: str) -> int | float:
    text = text.strip()
    if _INTEGER.fullmatch(text):
        return int(text)
    number = float(text) if _NUMBER.fullmatch(text) else float("inf")
    if number in (float("inf"), float("-inf")):
        raise UnreadableError("number")
    return number


def _truth(_: Node, text: str) -> bool:
    truth = _TRUTHS.get(text.strip().lower())
    if truth is None:
        raise UnreadableError("boolean")
    return truth


def _choice(node: Node, text: str) -> Any:
    # What is no choice is kept as it is: the check names the choices.
    return next((choice for choice in node.choices if text in (choice, str(choice))), text)


def _items(node: Node, text: str) -> Any:
    if text.lstrip().startswith("["):
        return _json(text, list, "array")
    if node.item(0).real.kind is Kind.SECRET:
        return [text]
    if node.item(0).real.kind not in SCALARS or "prefixItems" in node.schema:
        raise UnreadableError("array")
    parts = text.splitlines() if "\n" in text else text.split(",")
    return [read(node.item(0).real, part.strip()) for part in parts if part.strip()]


def _anything(node: Node, text: str) -> Any:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        value = GONE
    if value is not GONE and not is_too_deep(value) and _json_type(value) & node.types:
        return value
    if "string" not in node.types:
        raise UnreadableError("JSON")
    return text


def _json_type(value: Any) -> frozenset[str]:
    match value:
        case bool():
            return frozenset({"boolean"})
        case int():
            return frozenset({"integer", "number"})
        case float():
            return frozenset({"number"})
        case str():
            return frozenset({"string"})
        case list():
            return frozenset({"array"})
        case dict():
            return frozenset({"object"})
        case _:
            return frozenset({"null"})


def _json(text: str, wanted: type, expected: str) -> Any:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise UnreadableError(expected) from None
    if not isinstance(value, wanted) or is_too_deep(value):
        raise UnreadableError(expected)
    return value


_READERS: Final[dict[Kind, Callable[[Node, str], Any]]] = {
    Kind.TEXT: lambda _, text: text,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _truth,
    Kind.CHOICE: _choice,
    Kind.LIST: _items,
    Kind.JSON: _anything,
}
