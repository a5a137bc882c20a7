"""Describes a published schema as fields: what a form renders and the command line lists.

The description is data for whoever draws it; it holds no HTML, no values and no texts of problems.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from agentpod_core.schema import paths
from agentpod_core.schema.nodes import Kind, Node
from agentpod_core.schema.publish import humanise


class Variant(Struct, frozen=True, kw_only=True):
    """One of several shapes that a field can have; ``tag`` is the value that chooses it."""

    tag: str
    title: str
    description: str = ""
    fields: tuple[Field, ...] = ()


class Field(Struct, frozen=True, kw_only=True):
    """One field of a config.

    ``path`` is dotted, with ``*`` for the position in a list or the key in a map. ``default`` is
    None also where there is none; ``has_default`` tells. An ``object`` has ``fields``, a ``list``
    or ``map`` its ``item``, ``variants`` a ``tag`` (the name of the field that chooses) and
    ``variants``. ``extra`` holds the schema's ``x-agentpod-…`` marks.
    """

    path: str
    kind: Kind
    title: str
    description: str = ""
    is_required: bool = False
    is_nullable: bool = False
    has_default: bool = False
    default: Any = None
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    exclusive_maximum: float | None = None
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    pattern: str | None = None
    format: str | None = None
    examples: tuple[Any, ...] = ()
    extra: dict[str, Any] = {}
    fields: tuple[Field, ...] = ()
    item: Field | None = None
    tag: str = ""
    variants: tuple[Variant, ...] = ()

    @property
    def is_secret(self) -> bool:
        """Whether its value must never be shown."""
        return self.kind is Kind.SECRET

    @property
    def name(self) -> str:
        """The last part of its path."""
        return paths.split(self.path)[-1]


def fields(schema: dict[str, Any]) -> tuple[Field, ...]:
    """Describe the fields of a published schema, in their order.

    A type that contains itself is described once; deeper down it is a field of kind ``json``, as is
    a tuple of fixed length.
    """
    return _fields(Node(schema), (), ())


def walk(described: Iterable[Field]) -> Iterator[Field]:
    """Yield fields and everything below them, parents first."""
    for field in described:
        yield field
        yield from walk(field.fields)
        if field.item is not None:
            yield from walk((field.item,))
        for variant in field.variants:
            yield from walk(variant.fields)


def _fields(node: Node, path: tuple[str, ...], inside: tuple[int, ...]) -> tuple[Field, ...]:
    return tuple(
        _field(child, (*path, name), inside, is_required=name in node.required)
        for name, child in node.properties.items()
    )


def _field(node: Node, path: tuple[str, ...], inside: tuple[int, ...], *, is_required: bool) -> Field:
    real, schema = node.real, node.real.schema | node.schema
    kind = node.kind
    # A property dict is the same object wherever its class is referred to, which is how recursion shows.
    mark = id(real.schema.get("properties") or real.schema.get("oneOf") or real.schema)
    if mark in inside or "prefixItems" in real.schema:
        kind = Kind.JSON
    below = (*inside, mark)
    return Field(
        path=paths.join(path),
        kind=kind,
        title=schema.get("title") or humanise(next((name for name in reversed(path) if name != paths.ANY), "")),
        description=schema.get("description", ""),
        is_required=is_required,
        is_nullable=node.is_nullable,
        has_default="default" in schema,
        default=schema.get("default"),
        choices=real.choices,
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
        exclusive_minimum=schema.get("exclusiveMinimum"),
        exclusive_maximum=schema.get("exclusiveMaximum"),
        multiple_of=schema.get("multipleOf"),
        min_length=schema.get("minLength"),
        max_length=schema.get("maxLength"),
        min_items=schema.get("minItems"),
        max_items=schema.get("maxItems"),
        pattern=schema.get("pattern"),
        format=schema.get("format"),
        examples=tuple(schema.get("examples", ())),
        extra={key: value for key, value in schema.items() if key.startswith("x-agentpod-")},
        fields=_fields(real, path, below) if kind is Kind.OBJECT else (),
        item=_item(real, path, below) if kind in {Kind.LIST, Kind.MAP} else None,
        tag=real.tag,
        variants=tuple(
            Variant(
                tag=tag,
                title=variant.schema.get("title", humanise(tag)),
                description=variant.schema.get("description", ""),
                fields=tuple(one for one in _fields(variant, path, below) if one.name != real.tag),
            )
            for tag, variant in (real.variants.items() if kind is Kind.VARIANTS else ())
        ),
    )


def _item(node: Node, path: tuple[str, ...], inside: tuple[int, ...]) -> Field:
    inner = node.values or node.item(0)
    return _field(inner, (*path, paths.ANY), inside, is_required=True)
