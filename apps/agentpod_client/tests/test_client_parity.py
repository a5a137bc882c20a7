"""The client and the API's own description agree, in both directions: operations, parameters, bodies and answers."""

from __future__ import annotations

import inspect
import json
import types
import typing
from pathlib import Path
from typing import Any, Literal, NotRequired, Union, Unpack, get_args, get_origin, get_type_hints

import pytest

from agentpod_client import Client, Listing, bodies, shapes

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "openapi.json").read_text(encoding="utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = {
    operation["operationId"]: (verb, operation)
    for path in DOCUMENT["paths"].values()
    for verb, operation in path.items()
    if isinstance(operation, dict) and "operationId" in operation
}
MORE = {"close", "follow_events", "follow_pod_logs", "get_readiness"}
"""What the client has beside the operations, and ``wait_…``."""

KEYWORDS = {"If-Match": "generation", "X-CSRF-Token": "csrf"}
"""Keywords that stand for headers."""

SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow references."""
    while "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    choices = schema.get("oneOf") or schema.get("anyOf") or []
    return resolved(choices[0]) if len(choices) == 1 else schema


def differences(annotation: Any, schema: dict[str, Any], where: str) -> list[str]:
    """Say where a type and a schema differ."""
    schema = resolved(schema)
    choices = schema.get("oneOf") or schema.get("anyOf")
    if isinstance(schema.get("type"), list):
        choices = [schema | {"type": one} for one in schema["type"]]
    if choices is not None:
        return of_choices(annotation, choices, where)
    if isinstance(annotation, typing.TypeVar):
        return []
    if annotation is Any:
        return [] if "type" not in schema else [f"{where}: Any"]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return [f"{where}: one of several, {schema}"]
    if origin is Literal:
        return [] if sorted(inner) == sorted(schema.get("enum", [])) else [f"{where}: {inner}, {schema.get('enum')}"]
    if origin is list and schema.get("type") == "array":
        return differences(inner[0], schema["items"], f"{where}[]")
    if origin is dict and schema.get("type") == "object" and "properties" not in schema:
        return differences(inner[1], schema.get("additionalProperties", {}), f"{where}.*")
    if typing.is_typeddict(origin or annotation) and schema.get("type") == "object":
        return of_members(annotation, schema, where)
    wanted = SCALARS.get(annotation)
    return [] if wanted == schema.get("type") and "enum" not in schema else [f"{where}: {annotation}, {schema}"]


def of_choices(annotation: Any, choices: list[dict[str, Any]], where: str) -> list[str]:
    """Compare the members of a union with those of a schema, whatever their order."""
    kinds = list(get_args(annotation)) if get_origin(annotation) in (Union, types.UnionType) else [annotation]
    left = list(choices)
    for kind in kinds:
        match = next((one for one in left if not differences(kind, one, where)), None)
        if match is None:
            return [f"{where}: {kind}, {choices}", *(d for one in left for d in differences(kind, one, where))]
        left.remove(match)
    return [f"{where}: lacks {one}" for one in left]


def of_members(shape: Any, schema: dict[str, Any], where: str) -> list[str]:
    """Compare a TypedDict's members with a schema's properties, and which of them may be missing."""
    shape = get_origin(shape) or shape
    properties, required = schema.get("properties", {}), set(schema.get("required", []))
    hints = get_type_hints(shape, include_extras=True)
    found = [f"{where}: {name} is on one side only" for name in hints.keys() ^ properties.keys()]
    for name in hints.keys() & properties.keys():
        may_miss = get_origin(hints[name]) is NotRequired
        kind = get_args(hints[name])[0] if may_miss else hints[name]
        if (shape.__total__ and not may_miss) != (name in required):
            found.append(f"{where}.{name}: required on one side only")
        found += differences(kind, properties[name], f"{where}.{name}")
    return found


def parameters(operation: dict[str, Any], place: str) -> list[str]:
    """Name an operation's parameters of one place."""
    told = [
        DOCUMENT["components"]["parameters"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        for one in operation.get("parameters", [])
    ]
    return [one["name"] for one in told if one["in"] == place]


def answers(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the schemas of an operation's successful answers; an event stream is followed, not answered."""
    return [
        content["schema"]
        for status, response in operation["responses"].items()
        if status.startswith("2") and status != "204"
        for media, content in response.get("content", {}).items()
        if media != "text/event-stream"
    ]


def test_every_operation_is_a_method_and_every_method_an_operation():
    """Nothing of the API is out of a program's reach, and nothing is left over."""
    methods = {name for name in dir(Client) if not name.startswith(("_", "wait_"))}
    assert methods == set(OPERATIONS) | MORE


@pytest.mark.parametrize("name", OPERATIONS)
def test_parameters_agree(name):
    """What stands in the path comes by position, what stands in the query by keyword, under the same names."""
    _, operation = OPERATIONS[name]
    given = inspect.signature(getattr(Client, name)).parameters.values()
    by_position = [one.name for one in given if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)][1:]
    by_keyword = {one.name for one in given if one.kind is one.KEYWORD_ONLY}
    in_headers = {KEYWORDS[one] for one in parameters(operation, "header") if one in KEYWORDS}
    assert by_position == parameters(operation, "path")
    assert by_keyword == {*parameters(operation, "query")} | in_headers


@pytest.mark.parametrize("name", OPERATIONS)
def test_bodies_agree(name):
    """What is sent is typed as the server reads it."""
    _, operation = OPERATIONS[name]
    hints = get_type_hints(getattr(Client, name), include_extras=True)
    typed = [get_args(one)[0] for one in hints.values() if get_origin(one) is Unpack]
    told = [one["schema"] for one in operation.get("requestBody", {}).get("content", {}).values()]
    assert len(typed) == min(1, len(told))
    found = [differences(shape, schema, shape.__name__) for shape in typed for schema in told]
    assert [one for some in found for one in some] == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_agree(name):
    """What comes is typed as the server writes it, member by member."""
    _, operation = OPERATIONS[name]
    kind = get_type_hints(getattr(Client, name))["return"]
    told = answers(operation)
    if get_origin(kind) is Listing:
        found = [
            *(one for schema in told for one in differences(shapes.Page, schema, "Page")),
            *(
                one
                for schema in told
                for one in differences(get_args(kind)[0], resolved(schema)["properties"]["items"]["items"], name)
            ),
        ]
    elif get_origin(kind) is tuple:
        found = [one for schema in told for one in differences(get_args(kind)[0], schema, name)]
    elif name == "get_pod_logs":
        found = [] if [one["type"] for one in told] == ["string"] else [f"{name}: {told}"]
    elif kind is types.NoneType:
        found = [str(one) for one in told if one.get("type") != "null"]
    else:
        found = [one for schema in told for one in differences(kind, schema, name)]
    assert (found, bool(told) or kind is types.NoneType) == ([], True)


def test_problems_agree():
    """A refusal is typed too."""
    assert differences(shapes.Problem, SCHEMAS["ProblemView"], "Problem") == []


def test_nothing_is_typed_that_the_api_does_not_know():
    """Every shape stands for a part of the description."""
    used = set()

    def walk(kind):
        for one in (get_origin(kind), kind, *get_args(kind)):
            if typing.is_typeddict(one) and one not in used:
                used.add(one)
                for hint in get_type_hints(one, include_extras=True).values():
                    walk(hint)
            elif one is not kind and get_args(one):
                walk(one)

    for name in OPERATIONS:
        for hint in get_type_hints(getattr(Client, name), include_extras=True).values():
            walk(hint)
    walk(shapes.Problem)
    typed = {one for one in (*vars(shapes).values(), *vars(bodies).values()) if typing.is_typeddict(one)}
    assert {one.__name__ for one in typed - used} == {"Page", "Ready"}


def test_the_comparison_finds_what_differs():
    """A missing member, a wrong type, a wrong demand: none of them slips through."""

    class Wrong(typing.TypedDict):
        url: int
        expires_at: NotRequired[str | None]

    schema = {
        "type": "object",
        "required": ["url", "expires_at", "more"],
        "properties": {
            "url": {"type": "string"},
            "expires_at": {"oneOf": [{"type": "string"}, {"type": "null"}]},
            "more": {"type": "string"},
        },
    }
    Wrong.__annotations__ |= {"url": int, "expires_at": NotRequired[str | None]}
    assert sorted(one.partition(":")[0] for one in differences(Wrong, schema, "W")) == ["W", "W.expires_at", "W.url"]
