"""Reads JSON bodies strictly: nothing is coerced, and everything wrong with a body is told at once.

Litestar's own decoding is lax (``"3"`` passes for 3) and stops at the first problem.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from typing import Any, Generic, TypeVar, cast

import msgspec
from litestar.dto import AbstractDTO, DTOConfig
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.typing import FieldDefinition

from agentpod_core import AgentPodError, ConfigError, Problem, schema

BodyT = TypeVar("BodyT")


class StrictBody(AbstractDTO[BodyT], Generic[BodyT]):
    """Turns a request's bytes into the Struct that the handler's ``data`` is annotated with."""

    config = DTOConfig()

    def decode_bytes(self, value: bytes) -> Any:
        """Decode a body, or say everything that is wrong with it."""
        return read(value, self.model_type)

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Do nothing: no transfer model is wanted."""

    @classmethod
    def create_openapi_schema(cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any) -> Any:
        """Describe the body as the Struct that it is."""
        del handler_id
        return schema_creator.for_field_definition(field_definition)

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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AgentPodError("BadJson", problem=_place(error)) from None
    try:
        return msgspec.convert(raw, kind, strict=True)
    except msgspec.ValidationError as error:
        problems = schema.problems(_published(cast("Any", kind)), raw)
        raise ConfigError(problems or [_single(error)], reason="InvalidRequest") from None


@cache
def _published(kind: Any) -> dict[str, Any]:
    return schema.json_schema(kind)


def _place(error: Exception) -> str:
    """Give the decoder's words, which name a position and never quote the body."""
    return str(error) if isinstance(error, msgspec.DecodeError) else "it is not UTF-8 or nested too deeply"


def _single(error: msgspec.ValidationError) -> Problem:
    text, _, path = str(error).partition(" - at `")
    return Problem(path=path.rstrip("`") or "$", message=text)
