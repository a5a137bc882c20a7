"""Reads queries strictly: a parameter that a handler does not take is refused, and so is one that comes twice.

What is checked is the schema that the API's description publishes, so the two never differ, and all
that is wrong is told at once. Litestar's own decoding is lax (``yes`` passes for true), ignores what
it does not know, and comes after this.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.params import QueryParameter

from agentpod_core import ConfigError, NotFoundError, Problem, catalogue, schema
from agentpod_core.schema import paths

_INTEGER = re.compile(r"-?[0-9]{1,30}")
_TRUTHS = {"true": True, "false": False}
_STORABLE = r"^[^\x00]*$"
_WITH_ZONE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
_NAME_LIMIT = 80
_MOST = 200


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse a request whose address cannot be meant; a guard of the API's router.

    Raises:
        ConfigError: ``BadQuery``, with everything that is wrong with the query.
        NotFoundError: the path holds a character that no name has.
    """
    if any("\0" in str(value) for value in connection.path_params.values()):
        raise NotFoundError("NotFound", path=connection.scope["path"])
    problems = wrong(parameters(handler), list(connection.query_params.multi_items()))
    if problems:
        names = dict.fromkeys(one.path[1:] for one in problems)
        raise ConfigError(problems, reason="BadQuery", names=list(names))


@cache
def parameters(handler: BaseRouteHandler) -> dict[str, dict[str, Any]]:
    """Give the schema of each query parameter that a handler takes, in the order of its signature.

    A default stands in the schema; a parameter that may be absent without one says nothing of null,
    which no query can carry.
    """
    annotations = handler.signature_model.__annotations__
    fields = handler.parsed_fn_signature.parameters
    names = [name for name, field in fields.items() if isinstance(field.kwarg_definition, QueryParameter)]
    published = {}
    for name in names:
        default = fields[name].default
        said = {} if default is None else {"default": default}
        if fields[name].is_subclass_of(datetime) or datetime in (one.annotation for one in fields[name].inner_types):
            # msgspec publishes a time that may lack its zone as any text.
            said = {"format": "date-time", "pattern": _WITH_ZONE}
        published[name] = _plain(annotations[name]) | said
    return published


def wrong(published: dict[str, dict[str, Any]], query: list[tuple[str, str]]) -> list[Problem]:
    """List everything that is wrong with a query, each with its place: ``?limit``."""
    if not query:
        # No parameter is demanded, and making a validator takes longer than most answers.
        return []
    times = Counter(name for name, _ in query)
    repeated = islice((name for name, often in times.items() if often > 1), _MOST)
    values = {name: _read(text, published.get(name, {})) for name, text in query}
    form = {"type": "object", "properties": published, "additionalProperties": False}
    found = [*map(_repeated, repeated), *schema.problems(form, values)]
    names = {paths.jsonpath((name,)): name for name in times}
    return [msgspec.structs.replace(one, path=f"?{names[one.path]}"[:_NAME_LIMIT]) for one in found]


def _repeated(name: str) -> Problem:
    params = {"parameter": name[:_NAME_LIMIT]}
    message = catalogue.text("RepeatedParameter", params)
    return Problem(path=paths.jsonpath((name,)), reason="RepeatedParameter", params=params, message=message)


def _plain(annotation: Any) -> dict[str, Any]:
    """Give a type's schema without references and without null."""
    (found,), components = msgspec.json.schema_components((annotation,), ref_template="{name}")
    found = next((one for one in found.get("anyOf", ()) if one != {"type": "null"}), found)
    if "$ref" in found:
        found = found | components[found["$ref"]]
        found.pop("$ref")
        found.setdefault("type", "string")
    if found.get("type") == "string" and not found.keys() & {"enum", "format", "pattern"}:
        found["pattern"] = _STORABLE
    return msgspec.json.decode(msgspec.json.encode(found))  # type: ignore[no-any-return]


def _read(text: str, published: dict[str, Any]) -> Any:
    """Read a text as what its schema wants; what it cannot be stays a text, which the schema then refuses."""
    match published.get("type"):
        case "integer" if _INTEGER.fullmatch(text):
            return int(text)
        case "boolean":
            return _TRUTHS.get(text, text)
        case _:
            return text
