"""Writes values as the raw texts that ``coerce`` reads: what a form shows in its fields.

A secret that is stored or masked is blank, which reads as "as it was".
"""

from __future__ import annotations

from typing import Any

import msgspec

from agentpod_core.schema import paths, secrets
from agentpod_core.schema.coercion import SCALARS, Reader, UnreadableError, read
from agentpod_core.schema.nodes import Kind, Node

_Keys = tuple[paths.Key, ...]


def render(schema: dict[str, Any], value: Any) -> dict[str, str]:
    """Write a value as texts at dotted paths; ``coerce`` makes the same value of them again."""
    flat: dict[str, str] = {}
    _write(Node(schema), value, (), flat, is_root=True)
    return flat


def _write(node: Node, value: Any, keys: _Keys, flat: dict[str, str], *, is_root: bool = False) -> None:
    node = node.real
    path = paths.join(keys)
    if node.kind is Kind.SECRET:
        if value is not None:
            flat[path] = value if isinstance(value, str) else ""
    elif isinstance(value, dict) and (value or is_root) and node.kind in {Kind.OBJECT, Kind.VARIANTS, Kind.MAP}:
        for key, item in value.items():
            child = node.below(key, value)
            if child is not None:
                _write(child, item, (*keys, key), flat)
    elif isinstance(value, (list, tuple)):
        flat |= _written_list(node, list(value), keys)
    elif value is None:
        flat[path] = "" if node.is_nullable else "null"
    else:
        flat[path] = _written(node, value)


def _written(node: Node, value: Any) -> str:
    if isinstance(value, str) and (node.kind is not Kind.JSON or _reads_back(node, value, value)):
        return value
    return msgspec.json.encode(value).decode()


def _written_list(node: Node, value: list[Any], keys: _Keys) -> dict[str, str]:
    path = paths.join(keys)
    if not value or node.kind is not Kind.LIST:
        return {path: msgspec.json.encode(value).decode()}
    if node.item(0).real.kind in SCALARS - {Kind.SECRET} and None not in value:
        text = ", ".join(_written(node.item(0).real, item) for item in value)
        return {path: text if _reads_back(node, text, value) else msgspec.json.encode(value).decode()}
    single: dict[str, str] = {}
    for position, item in enumerate(value):
        _write(node.item(position), item, (position,), single)
    reader = Reader()
    again = reader.lay(node, reader.grow(single), None, ())
    if reader.problems or _hidden(node, again) != _hidden(node, value):
        return {path: msgspec.json.encode(value).decode()}
    return {paths.join((*keys, *paths.split(below))): text for below, text in single.items()}


def _reads_back(node: Node, text: str, value: Any) -> bool:
    try:
        again = read(node, text)
    except UnreadableError:
        return False
    return type(again) is type(value) and bool(again == value)


def _hidden(node: Node, value: Any) -> Any:
    return secrets.mask(node.schema, value)
