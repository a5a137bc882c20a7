"""Keeps secrets apart from the rest of a config: takes them out, puts references in, shows masks.

A secret is in one of three forms: the text that somebody typed, the reference that is stored, and
the mask that is shown. Nothing here stores anything or knows where references lead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from agentpod_core import catalogue
from agentpod_core.errors import Problem
from agentpod_core.schema import paths
from agentpod_core.schema.nodes import Kind, Node
from agentpod_core.values.workload import SecretRef

MASK_KEY: Final = "$secret"

_GONE: Final = object()


def secret_paths(schema: dict[str, Any], value: Any = None) -> list[str]:
    """List the dotted paths of secrets: those of the schema with ``*``, or those set in ``value``."""
    if value is not None:
        return [paths.join(keys) for keys, one in _secrets(Node(schema), value, ()) if one is not None]
    return list(dict.fromkeys(paths.join(keys) for keys in _declared(Node(schema), (), ())))


def is_secret(schema: dict[str, Any], path: str) -> bool:
    """Say whether a dotted path with real positions and keys names a secret, in any variant."""
    return _leads_to_secret(Node(schema), paths.split(path))


def split_secrets(schema: dict[str, Any], value: Any) -> tuple[Any, dict[str, str]]:
    """Take the secret texts out of a value; references stay.

    Gives the value without them and the texts by dotted path. An item of a list leaves null behind,
    so that positions hold. ``put_refs`` is the way back.
    """
    taken: dict[str, str] = {}

    def take(keys: tuple[paths.Key, ...], secret: Any) -> Any:
        if not isinstance(secret, str):
            return secret
        taken[paths.join(keys)] = secret
        return None if isinstance(keys[-1], int) else _GONE

    return _replace(Node(schema), value, (), take), taken


def put_refs(value: Any, refs: Mapping[str, SecretRef]) -> Any:
    """Put references in at dotted paths; the given value is left as it is."""
    changed = _copy(value)
    for path, ref in refs.items():
        *parents, last = paths.split(path)
        place = changed
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place[key]
        place[int(last) if isinstance(place, list) else last] = msgspec.to_builtins(ref)
    return changed


def mask(schema: dict[str, Any], value: Any) -> Any:
    """Show a value: every secret that is set reads ``{"$secret": true}``, whatever form it is in."""
    return _replace(Node(schema), value, (), lambda _, secret: None if secret is None else {MASK_KEY: True})


def unmask(schema: dict[str, Any], value: Any, stored: Any = None) -> tuple[Any, list[Problem]]:
    """Put what is stored in place of masks that came back: a mask means "as it was".

    An item of a list is found again by what is shown of it, so that items may be moved or removed.
    A mask with nothing stored for it is dropped, and is a problem where the secret is required.
    """
    problems: list[Problem] = []
    return _unmask(Node(schema), value, stored, (), problems), problems


def is_mask(value: Any) -> bool:
    """Say whether a value is the mask of a secret."""
    return isinstance(value, dict) and value.get(MASK_KEY) is True


def as_ref(value: Any) -> SecretRef | None:
    """Read a stored reference; None for anything else."""
    if isinstance(value, SecretRef):
        return value
    if not isinstance(value, dict):
        return None
    try:
        return msgspec.convert(value, SecretRef)
    except msgspec.ValidationError:
        return None


Visit = Callable[[tuple[paths.Key, ...], Any], Any]


def replace_secrets(schema: dict[str, Any], value: Any, visit: Visit) -> Any:
    """Copy a value with every secret place replaced by what ``visit(keys, secret)`` gives."""
    return _replace(Node(schema), value, (), visit)


def _replace(node: Node, value: Any, keys: tuple[paths.Key, ...], visit: Visit) -> Any:
    if node.kind is Kind.SECRET:
        return visit(keys, value)
    if isinstance(value, dict):
        fits = node.real.kind is not Kind.LIST
        pairs = ((key, _under(node if fits else None, key, value, item, keys, visit)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not _GONE}
    if isinstance(value, (list, tuple)):
        fits = node.real.kind is Kind.LIST
        return [_under(node if fits else None, at, value, item, keys, visit) for at, item in enumerate(value)]
    return value


def _under(node: Node | None, key: paths.Key, value: Any, item: Any, keys: tuple[paths.Key, ...], visit: Visit) -> Any:  # noqa: PLR0913
    child = node.below(key, value) if node else None
    return _copy(item) if child is None else _replace(child, item, (*keys, key), visit)


def _secrets(node: Node, value: Any, keys: tuple[paths.Key, ...]) -> list[tuple[tuple[paths.Key, ...], Any]]:
    found: list[tuple[tuple[paths.Key, ...], Any]] = []

    def note(place: tuple[paths.Key, ...], secret: Any) -> Any:
        found.append((place, secret))
        return secret

    _replace(node, value, keys, note)
    return found


def _declared(node: Node, keys: tuple[str, ...], inside: tuple[int, ...]) -> Iterator[tuple[str, ...]]:
    node = node.real
    mark = id(node.schema.get("properties") or node.schema.get("oneOf") or node.schema)
    if mark in inside:
        return
    inside = (*inside, mark)
    if node.kind is Kind.SECRET:
        yield keys
        return
    for name, child in node.properties.items():
        yield from _declared(child, (*keys, name), inside)
    for variant in node.variants.values():
        yield from _declared(variant, keys, inside)
    if node.kind in {Kind.MAP, Kind.LIST}:
        yield from _declared(node.values or node.item(0), (*keys, paths.ANY), inside)


def _leads_to_secret(node: Node, keys: tuple[str, ...]) -> bool:
    node = node.real
    match node.kind:
        case Kind.SECRET:
            return not keys
        case Kind.VARIANTS:
            return any(_leads_to_secret(variant, keys) for variant in node.variants.values())
        case Kind.OBJECT if keys and keys[0] in node.properties:
            return _leads_to_secret(node.properties[keys[0]], keys[1:])
        case Kind.MAP if keys and node.values is not None:
            # The key of a plain secret may hold dots that whoever typed it did not escape.
            return node.values.real.kind is Kind.SECRET or _leads_to_secret(node.values, keys[1:])
        case Kind.LIST if keys:
            return _leads_to_secret(node.item(0), keys[1:])
        case _:
            return False


def _unmask(node: Node, value: Any, stored: Any, keys: tuple[paths.Key, ...], problems: list[Problem]) -> Any:
    if node.kind is Kind.SECRET:
        if not is_mask(value):
            return value
        return _GONE if stored is None or is_mask(stored) else stored
    if isinstance(value, dict):
        result: dict[str, Any] = {}
        old = stored if isinstance(stored, dict) else {}
        same_variant = node.real.variant(value) is None or value.get(node.real.tag) == old.get(node.real.tag)
        for key, item in value.items():
            child = node.below(key, value) if node.real.kind is not Kind.LIST else None
            kept = (
                item
                if child is None
                else _unmask(child, item, old.get(key) if same_variant else None, (*keys, key), problems)
            )
            if kept is not _GONE:
                result[key] = kept
            elif _requires(node, value, key):
                problems.append(_missing((*keys, key)))
        return result
    if isinstance(value, list) and node.real.kind is Kind.LIST:
        olds = _matched(node, value, stored if isinstance(stored, list) else [])
        items: list[Any] = []
        for position, (item, was) in enumerate(zip(value, olds, strict=True)):
            kept = _unmask(node.real.item(position), item, was, (*keys, position), problems)
            if kept is _GONE:
                problems.append(_missing((*keys, position)))
                kept = None
            items.append(kept)
        return items
    return value


def _requires(node: Node, value: dict[str, Any], key: str) -> bool:
    owner = node.real.variant(value) or node.real
    return owner.kind is Kind.MAP or key in owner.required


def _missing(keys: tuple[paths.Key, ...]) -> Problem:
    params = {"field": str(keys[-1])}
    return Problem(
        path=paths.jsonpath(keys),
        reason="MissingField",
        params=params,
        message=catalogue.text("MissingField", params),
    )


def _matched(node: Node, items: list[Any], stored: list[Any]) -> list[Any]:
    """Find for each item the stored one it stands for: what looks the same, else what stands at its place."""
    shown = [_replace(node.real.item(at), one, (), _shown) for at, one in enumerate(stored)]
    free = set(range(len(stored)))
    found: list[int | None] = [None] * len(items)
    for is_same_place in (True, False):
        for position, item in enumerate(items):
            if found[position] is not None:
                continue
            at = next(
                (one for one in sorted(free) if shown[one] == item and (one == position or not is_same_place)), None
            )
            if at is not None:
                found[position] = at
                free.discard(at)
    if len(items) == len(stored):
        for position in range(len(items)):
            if found[position] is None and position in free:
                found[position] = position
    return [None if at is None else stored[at] for at in found]


def _shown(_: tuple[paths.Key, ...], secret: Any) -> Any:
    return None if secret is None else {MASK_KEY: True}


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(item) for item in value]
    return value
