"""Reads JSON bodies strictly: nothing is coerced, and everything wrong with a body is told at once.

Litestar's own decoding is lax (``"3"`` passes for 3), takes any media type for JSON, and stops at
the first problem.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from functools import cache
from itertools import islice
from typing import Any, Generic, TypeVar, cast

import msgspec
from litestar.connection import ASGIConnection
from litestar.dto import AbstractDTO, DTOConfig
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.typing import FieldDefinition

from agentpod_core import AgentPodError, ConfigError, Problem, catalogue, schema

BodyT = TypeVar("BodyT")
_MEDIA_TYPES = frozenset({"", "application/json", "application/merge-patch+json"})
_NAME_LIMIT = 80
_MOST = 200


class StrictBody(AbstractDTO[BodyT], Generic[BodyT]):
    """Turns a request's bytes into the Struct that the handler's ``data`` is annotated with."""

    config = DTOConfig()

    def decode_bytes(self, value: bytes) -> Any:
        """Decode a body, or say everything that is wrong with it."""
        _refuse_other_media(self.asgi_connection)
        return read(value, self.model_type)

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Do nothing: no transfer model is wanted."""

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:
        """Give none: a Struct knows its fields."""
        del model_type
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Say no: nesting is msgspec's."""
        del field_definition
        return False


def read(body: bytes, kind: type[BodyT]) -> BodyT:
    """Decode a JSON body as that type.

    Raises:
        AgentPodError: the bytes are no JSON (``BadJson``).
        ConfigError: ``InvalidRequest``, with every problem and its path.
    """
    try:
        raw = msgspec.json.decode(body)
        if schema.is_too_deep(raw):
            raise RecursionError  # noqa: TRY301 - as the decoder itself says it
        json.loads(body, object_pairs_hook=_once, parse_int=str, parse_float=str)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AgentPodError("BadJson", problem=_place(error)) from None
    unstorable = [_unstorable(path) for path in islice(_places_of_nul(raw, "$"), _MOST)]
    if unstorable:
        raise ConfigError(unstorable, reason="InvalidRequest")
    try:
        return msgspec.convert(raw, kind, strict=True)
    except msgspec.ValidationError as error:
        problems = schema.problems(_published(cast("Any", kind)), raw)
        raise ConfigError(problems or [_single(error)], reason="InvalidRequest") from None


def _refuse_other_media(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Refuse what says that it is no JSON, or that it is compressed; what says nothing is taken for JSON."""
    media_type = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    coding = connection.headers.get("content-encoding", "identity").strip().lower()
    if media_type not in _MEDIA_TYPES or coding != "identity":
        raise AgentPodError("UnsupportedMediaType")


def _once(members: list[tuple[str, Any]]) -> None:
    """Refuse an object that says one thing twice: which of the two counts is anybody's guess."""
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            raise AgentPodError("BadJson", problem=f"the member {name[:_NAME_LIMIT]} comes twice in one object")
        seen.add(name)


def _places_of_nul(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if "\0" in value:
            yield path
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places_of_nul(item, f"{path}[{number}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            if "\0" in name:
                yield path
            else:
                yield from _places_of_nul(item, f"{path}.{name[:_NAME_LIMIT]}")


def _unstorable(path: str) -> Problem:
    return Problem(path=path, reason="UnstorableText", params={"path": path}, message=catalogue.text("UnstorableText"))


@cache
def _published(kind: Any) -> dict[str, Any]:
    return schema.json_schema(kind)


def _place(error: Exception) -> str:
    """Give the decoder's words, which name a position and never quote the body."""
    return str(error) if isinstance(error, msgspec.DecodeError) else "it is not UTF-8 or nested too deeply"


def _single(error: msgspec.ValidationError) -> Problem:
    text, _, path = str(error).partition(" - at `")
    return Problem(path=path.rstrip("`") or "$", message=text)
