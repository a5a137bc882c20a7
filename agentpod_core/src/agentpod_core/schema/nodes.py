"""Reads a published schema: what kind of value a place takes, and what lies below it.

Knows the shapes that ``publish`` makes and nothing of texts, secrets' values or forms.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from agentpod_core.schema.publish import SECRET_MARK

_PREFIX: Final = "#/$defs/"


class Kind(StrEnum):
    """The kinds of fields that forms and the command line know.

    ``json`` takes any value, written as JSON; ``map`` has keys that the user chooses.
    """

    TEXT = "text"
    SECRET = "secret"  # noqa: S105 - a word, no password
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    OBJECT = "object"
    LIST = "list"
    MAP = "map"
    VARIANTS = "variants"
    JSON = "json"


_SCALARS: Final = {
    "string": Kind.TEXT,
    "integer": Kind.INTEGER,
    "number": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
    "array": Kind.LIST,
}


class Node:
    """One place of a published schema, with references followed."""

    def __init__(self, root: dict[str, Any], schema: dict[str, Any] | None = None) -> None:
        self._root = root
        found = root if schema is None else schema
        while "$ref" in found:
            beside = {key: value for key, value in found.items() if key != "$ref"}
            found = {**root["$defs"][found["$ref"].removeprefix(_PREFIX)], **beside}
        self.schema = found

    @property
    def types(self) -> frozenset[str]:
        """The JSON types that are allowed; all of them where the schema does not say."""
        if "anyOf" in self.schema or "oneOf" in self.schema:
            options = [*self.schema.get("anyOf", ()), *self.schema.get("oneOf", ())]
            return frozenset().union(*(Node(self._root, option).types for option in options))
        kinds = self.schema.get("type", ["string", "integer", "number", "boolean", "array", "object", "null"])
        return frozenset([kinds] if isinstance(kinds, str) else kinds)

    @property
    def is_nullable(self) -> bool:
        """Whether null is a value here."""
        return "null" in self.types

    @property
    def kind(self) -> Kind:
        """The kind of field that this place is."""
        if self.schema.get(SECRET_MARK):
            return Kind.SECRET
        if "discriminator" in self.schema:
            return Kind.VARIANTS
        if "enum" in self.schema:
            return Kind.CHOICE
        real = self.types - {"null"}
        if len(real) != 1 or "anyOf" in self.schema:
            return self._only_option.kind if self._only_option else Kind.JSON
        (only,) = real
        if only != "object":
            return _SCALARS[only]
        if "properties" in self.schema:
            return Kind.OBJECT
        return Kind.MAP if isinstance(self.schema.get("additionalProperties"), dict) else Kind.JSON

    @property
    def real(self) -> Node:
        """The node itself, or for ``anyOf`` of one thing and null that thing."""
        return self._only_option or self

    @property
    def _only_option(self) -> Node | None:
        options = [option for option in self.schema.get("anyOf", ()) if option != {"type": "null"}]
        return Node(self._root, options[0]) if len(options) == 1 else None

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values to choose from, null left out."""
        return tuple(value for value in self.schema.get("enum", ()) if value is not None)

    @property
    def properties(self) -> dict[str, Node]:
        """The named fields below, in their order."""
        return {name: Node(self._root, child) for name, child in self.schema.get("properties", {}).items()}

    @property
    def required(self) -> frozenset[str]:
        """The names of the fields that have to be there."""
        return frozenset(self.schema.get("required", ()))

    @property
    def values(self) -> Node | None:
        """What a map holds; None where there is no map."""
        inner = self.schema.get("additionalProperties")
        return Node(self._root, inner) if isinstance(inner, dict) else None

    @property
    def is_open(self) -> bool:
        """Whether an object takes keys that nobody declared."""
        return self.schema.get("additionalProperties") is not False

    def item(self, position: int) -> Node:
        """Give what a list holds at that position."""
        prefix = self.schema.get("prefixItems", ())
        if position < len(prefix):
            return Node(self._root, prefix[position])
        inner = self.schema.get("items", {})
        return Node(self._root, inner if isinstance(inner, dict) else {})

    @property
    def tag(self) -> str:
        """The name of the field that tells variants apart; empty where there are none."""
        return str(self.schema.get("discriminator", {}).get("propertyName", ""))

    @property
    def variants(self) -> dict[str, Node]:
        """The variants by the text of their tag."""
        if not self.tag:
            return {}
        options = [Node(self._root, option) for option in self.schema.get("oneOf", ()) if option != {"type": "null"}]
        return {str(option.schema["properties"][self.tag]["enum"][0]): option for option in options}

    def variant(self, value: Any) -> Node | None:
        """Give the variant that an object is of; None when it does not say or there is none such."""
        return self.variants.get(str(value.get(self.tag))) if isinstance(value, dict) else None

    def below(self, key: str | int, value: Any = None) -> Node | None:
        """Give what lies below under a key or position; ``value`` (the object here) chooses the variant."""
        node = self.real
        match node.kind:
            case Kind.VARIANTS:
                chosen = node.variant(value)
                return chosen.below(key) if chosen else None
            case Kind.OBJECT:
                child = node.schema["properties"].get(str(key))
                return None if child is None else Node(self._root, child)
            case Kind.MAP:
                return node.values
            case Kind.LIST:
                return node.item(int(key))
            case _:
                return None
