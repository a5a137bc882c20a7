"""Makes the published JSON Schema (2020-12) of a config type: what forms, the API and users get to see.

Takes msgspec's schema and mends what forms stumble over: references are put in place, every field
has a title, optional values keep their type, tagged unions say ``oneOf``, choices keep the order in
which they were declared, and a SecretRef reads as the secret text that people type. It does not
look at values.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator
from enum import Enum
from types import GenericAlias, NoneType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from agentpod_core.errors import PluginError
from agentpod_core.values.workload import SecretRef

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SECRET_MARK: Final = "x-agentpod-secret"  # noqa: S105 - a mark, no password

_PREFIX: Final = "#/$defs/"
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ACRONYMS: Final = "API CPU CPUs DNS HTTP HTTPS ID IDs IP JSON LLM MCP OS PID SQL SSH SSL TCP TLS UI URI URL URLs YAML"
_SPELLING: Final = {word.lower(): word for word in _ACRONYMS.split()}


def json_schema(config_type: type[Struct]) -> dict[str, Any]:
    """Give the published schema of a config type, as a new object with each call.

    Raises:
        PluginError: the type holds something that JSON Schema cannot say, a name that is not there when
            it runs, or a secret that could also be something else (``UnusableConfigType``).
    """
    try:
        return _published(config_type)
    except (TypeError, NameError) as error:
        message = " ".join(str(error).split())
        raise PluginError("UnusableConfigType", type=config_type.__name__, message=message) from error


def _published(config_type: type[Struct]) -> dict[str, Any]:
    (secret, root), components = msgspec.json.schema_components(
        (SecretRef, config_type), ref_template=f"{_PREFIX}{{name}}"
    )
    # Defaults are shared with the types they come from, and tuples are no JSON: take a copy through JSON.
    components = msgspec.json.decode(msgspec.json.encode(components))
    publisher = _Publisher(components, secret["$ref"].removeprefix(_PREFIX), dict(_orders(config_type, set())))
    published = publisher.publish(root, ())
    published.setdefault("title", humanise(config_type.__name__))
    definitions = publisher.recursive_definitions()
    return {"$schema": DIALECT, **published} | ({"$defs": definitions} if definitions else {})


def humanise(name: str) -> str:
    """Make a title of a field's or a class's name: ``api_key`` reads ``API key``."""
    words = [_SPELLING.get(word.lower(), word.lower()) for word in _WORD.findall(name)]
    text = " ".join(words)
    return text[:1].upper() + text[1:] if text else name


class _Publisher:
    """Rewrites one schema; remembers which definitions refer to themselves and must stay."""

    def __init__(self, components: dict[str, Any], secret: str, orders: dict[frozenset[Any], tuple[Any, ...]]) -> None:
        self._components = components
        self._secret = secret
        self._orders = orders
        self._recursive: set[str] = set()

    def recursive_definitions(self) -> dict[str, Any]:
        """Give the definitions that had to stay references."""
        done: dict[str, Any] = {}
        while missing := sorted(self._recursive - done.keys()):
            for name in missing:
                done[name] = self.publish(dict(self._components[name]), (name,))
        return done

    def publish(self, node: dict[str, Any], inside: tuple[str, ...]) -> dict[str, Any]:
        """Rewrite one node. ``inside`` names the definitions that are being put in place."""
        if "$ref" in node:
            return self._inline(node, inside)
        node = dict(node)
        if "description" in node:
            node["description"] = inspect.cleandoc(node["description"])
        if "anyOf" in node:
            return self._union(node, inside)
        if "enum" in node:
            return self._choice(node)
        if "properties" in node:
            node["properties"] = {
                name: self._property(name, child, inside) for name, child in node["properties"].items()
            }
        for keyword in ("items", "additionalProperties"):
            if isinstance(node.get(keyword), dict):
                node[keyword] = self.publish(node[keyword], inside)
        if "prefixItems" in node:
            node["prefixItems"] = [self.publish(child, inside) for child in node["prefixItems"]]
            if any(child.get(SECRET_MARK) for child in node["prefixItems"]):
                msg = "a SecretRef in a tuple of fixed length has no name to be asked for by; make it a field"
                raise TypeError(msg)
        return node

    def _inline(self, node: dict[str, Any], inside: tuple[str, ...]) -> dict[str, Any]:
        name = node["$ref"].removeprefix(_PREFIX)
        beside = {key: value for key, value in node.items() if key != "$ref"}
        if name == self._secret:
            if not isinstance(beside.get("default"), str):
                beside.pop("default", None)
            return {**beside, "type": "string", "writeOnly": True, "format": "password", SECRET_MARK: True}
        if name in inside:
            self._recursive.add(name)
            return node
        definition = dict(self._components[name])
        if definition.get("title") == name:
            definition["title"] = humanise(name)
        return self.publish({**definition, **beside}, (*inside, name))

    def _property(self, name: str, node: dict[str, Any], inside: tuple[str, ...]) -> dict[str, Any]:
        # A referenced class brings its own title; the field's name says more about the field.
        title = node.get("title", humanise(name))
        published = {key: value for key, value in self.publish(node, inside).items() if key != "title"}
        return {"title": title, **published}

    def _union(self, node: dict[str, Any], inside: tuple[str, ...]) -> dict[str, Any]:
        beside = {key: value for key, value in node.items() if key not in {"anyOf", "discriminator"}}
        options = [option for option in node["anyOf"] if option != {"type": "null"}]
        is_nullable = len(options) < len(node["anyOf"])
        published = [self.publish(option, inside) for option in options]
        if any(option.get(SECRET_MARK) for option in published) and len(published) > 1:
            msg = "a SecretRef can be joined with None only: a text that may be a secret or not cannot be kept safely"
            raise TypeError(msg)
        if "discriminator" in node:
            tag = node["discriminator"]["propertyName"]
            nothing = [{"type": "null"}] if is_nullable else []
            return {**beside, "oneOf": [*published, *nothing], "discriminator": {"propertyName": tag}}
        if len(published) == 1 and is_nullable and "$ref" not in published[0]:
            return {**published[0], **beside} | _nullable(published[0])
        return {**beside, "anyOf": [*published, {"type": "null"}] if is_nullable else published}

    def _choice(self, node: dict[str, Any]) -> dict[str, Any]:
        values = node["enum"]
        # Literals and enums hold texts and integers; anything else is an author's own schema and stays.
        if all(isinstance(value, (str, int, NoneType)) for value in values):
            node["enum"] = list(self._orders.get(frozenset(values), values))
            kinds = list(dict.fromkeys(_type_of(value) for value in node["enum"]))
            node.setdefault("type", kinds[0] if len(kinds) == 1 else kinds)
        return node


def _nullable(node: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if "type" in node:
        kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
        changed["type"] = kinds if "null" in kinds else [*kinds, "null"]
    if "enum" in node and None not in node["enum"]:
        changed["enum"] = [*node["enum"], None]
    return changed


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    return "integer" if isinstance(value, int) else "string"


def _orders(hint: Any, seen: set[Any]) -> Iterator[tuple[frozenset[Any], tuple[Any, ...]]]:
    """Find the choices below a type in the order of their declaration; msgspec sorts them."""
    if get_origin(hint) is Literal:
        yield frozenset(get_args(hint)), get_args(hint)
        return
    if isinstance(hint, type) and issubclass(hint, Enum):
        values = tuple(member.value for member in hint)
        yield frozenset(values), values
        return
    inner: typing.Iterable[Any] = get_args(hint)
    if isinstance(hint, type) and not isinstance(hint, GenericAlias) and issubclass(hint, Struct):
        if hint in seen:
            return
        seen.add(hint)
        inner = get_type_hints(hint).values()
    for one in inner:
        yield from _orders(one, seen)
