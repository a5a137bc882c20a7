"""Teaches the JSON Schema validator what it does not do by itself.

Patterns run with a time limit, variants are told apart by their tag, numbers are told apart as
msgspec does, and every missing or unknown field is a finding of its own. Which words a finding gets
is decided in ``checking``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import jsonschema
import msgspec
import regex
from jsonschema.exceptions import ValidationError

from agentpod_core.schema.nodes import Node

PATTERN_SECONDS: Final = 0.1
PATTERN_TIMEOUTS: Final = 3
"""After so many patterns that took too long, the rest of a value's patterns are not tried any more."""

Findings = Iterator[ValidationError]


class FindingError(ValidationError):  # type: ignore[misc]
    """A finding that names its reason by itself; ``below`` is the field that it speaks of, if it is one below."""

    def __init__(self, reason: str, *, below: str | None = None, **params: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.below = below
        self.params = params


def validator(schema: dict[str, Any]) -> Any:
    """Make a validator for one check of one value."""
    keywords = _Keywords(schema)
    extended = jsonschema.validators.extend(
        jsonschema.Draft202012Validator,
        {
            "type": _type,
            "enum": _enum,
            "required": _required,
            "additionalProperties": keywords.additional,
            "oneOf": keywords.one_of,
            "anyOf": keywords.any_of,
            "pattern": keywords.pattern,
            "contentEncoding": _content,
        },
        type_checker=_TYPES,
    )
    return extended(schema, format_checker=_FORMATS)


def word(value: Any) -> str:
    """Name the JSON type of a value."""
    return next((name for name in _NAMES if _TYPES.is_type(value, name)), type(value).__name__)


def words(allowed: str | list[str]) -> list[str]:
    """Give the types that a schema allows as a list."""
    return [allowed] if isinstance(allowed, str) else list(allowed)


class _Keywords:
    """The keywords that need the whole schema or remember something during one check."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._timeouts = 0

    def pattern(self, _: Any, wanted: str, instance: Any, __: Any) -> Findings:
        """Check a text against a pattern, for a limited time."""
        if not isinstance(instance, str):
            return
        matches = self._matches(wanted, instance)
        if matches is None:
            yield FindingError("CannotBeChecked", pattern=wanted)
        elif not matches:
            yield ValidationError("does not match")

    def _matches(self, wanted: str, text: str) -> bool | None:
        if self._timeouts >= PATTERN_TIMEOUTS:
            return None
        try:
            return regex.search(wanted, text, timeout=PATTERN_SECONDS) is not None
        except TimeoutError:
            self._timeouts += 1
        except regex.error:
            pass
        return None

    def additional(self, checker: Any, allowed: Any, instance: Any, schema: Any) -> Findings:
        """Check the fields that are not named."""
        if not isinstance(instance, dict):
            return
        known = schema.get("properties", {})
        for name, item in instance.items():
            if name in known:
                continue
            if allowed is False:
                yield FindingError("UnknownField", below=name, field=name, known=list(known))
            elif isinstance(allowed, dict):
                yield from checker.descend(item, allowed, path=name)

    def one_of(self, checker: Any, _: Any, instance: Any, schema: Any) -> Findings:
        """Check an object against the variant that its tag names, and no other."""
        node = Node(self._root, schema)
        if instance is None and node.is_nullable:
            return
        if not isinstance(instance, dict):
            yield FindingError("InvalidType", expected=["object"], given=word(instance))
            return
        chosen = node.variant(instance)
        if chosen is not None:
            yield from checker.descend(instance, chosen.schema)
        elif node.tag in instance:
            yield FindingError("WrongVariant", below=node.tag, field=node.tag, choices=list(node.variants))
        else:
            yield FindingError("MissingField", below=node.tag, field=node.tag)

    def any_of(self, checker: Any, options: list[Any], instance: Any, schema: Any) -> Findings:
        """Check that one of several types fits."""
        failures = [list(checker.descend(instance, option)) for option in options]
        if not all(failures):
            return
        # What has the right type and is wrong inside says more than that it is none of all.
        fitting = [found for found in failures if not any(one.validator == "type" and not one.path for one in found)]
        if len(fitting) == 1:
            yield from fitting[0]
            return
        yield FindingError("InvalidType", expected=sorted(Node(self._root, schema).types), given=word(instance))


def _type(_: Any, allowed: Any, instance: Any, schema: Any) -> Findings:
    # A choice says by itself what may stand there; its type would only say the same with less.
    if "enum" not in schema and not any(_TYPES.is_type(instance, kind) for kind in words(allowed)):
        yield ValidationError("has the wrong type")


def _enum(_: Any, choices: list[Any], instance: Any, __: Any) -> Findings:
    if not any(type(instance) is type(choice) and instance == choice for choice in choices):
        yield ValidationError("is no choice")


def _required(_: Any, names: list[str], instance: Any, __: Any) -> Findings:
    if isinstance(instance, dict):
        for name in names:
            if name not in instance:
                yield FindingError("MissingField", below=name, field=name)


def _content(_: Any, __: str, instance: Any, ___: Any) -> Findings:
    if isinstance(instance, str) and not _reads_as(instance, bytes):
        yield ValidationError("is not base64")


def _reads_as(value: str, wanted: Any) -> bool:
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        return False
    return True


_NAMES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")

# JSON knows one kind of number, a config type knows two: 1.0 is no integer, as msgspec sees it.
_TYPES: Final = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
).redefine("array", lambda _, value: isinstance(value, (list, tuple)))

_FORMATS: Final = jsonschema.FormatChecker(formats=())

for _name, _wanted in {
    "date-time": datetime,
    "date": date,
    "time": time,
    "duration": timedelta,
    "uuid": UUID,
    "decimal": Decimal,
}.items():
    _FORMATS.checkers[_name] = (
        lambda value, wanted=_wanted: not isinstance(value, str) or _reads_as(value, wanted),
        (),
    )
