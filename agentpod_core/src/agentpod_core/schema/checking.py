"""Finds everything that is wrong with a value, by its published schema.

Every problem has a place and a reason of the catalogue; none of them repeats what was given, since
it may be a secret in the wrong place. It mends nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import jsonschema
import msgspec
import regex
from jsonschema.exceptions import ValidationError

from agentpod_core import catalogue
from agentpod_core.errors import Problem
from agentpod_core.schema import paths, secrets
from agentpod_core.schema.nodes import Node

PATTERN_SECONDS: Final = 0.1
PATTERN_TIMEOUTS: Final = 3
"""After so many patterns that took too long, the rest of a value's patterns are not tried any more."""

_NEAR: Final = 8


def problems(schema: dict[str, Any], value: Any, *, allow_refs: bool = True) -> list[Problem]:
    """List everything that is wrong with a value; empty when it is fine.

    A secret may be its text or a stored reference; ``allow_refs`` False is for what a user sent,
    who has no business to point at secrets. A mask is no value: ``unmask`` comes first.
    """
    validator = _validator(Node(schema))(schema, format_checker=_FORMATS)
    found: dict[tuple[str, str], Problem] = {}
    for error in validator.iter_errors(_with_texts(schema, value, allow_refs=allow_refs)):
        for problem in _problems(error):
            found.setdefault((problem.path, problem.reason + str(problem.params)), problem)
    return list(found.values())


def problem(keys: tuple[paths.Key, ...], reason: str, **params: Any) -> Problem:
    """Make one problem with its English text."""
    return Problem(path=paths.jsonpath(keys), reason=reason, params=params, message=catalogue.text(reason, params))


def unknown_field(keys: tuple[paths.Key, ...], field: str, known: list[str]) -> Problem:
    """Make the problem of a field that does not exist, naming the nearest ones."""
    nearest = difflib.get_close_matches(field, known, n=3, cutoff=0.5) or known[:_NEAR]
    return problem(keys, "UnknownField", field=field[:80], nearest=nearest)


def _with_texts(schema: dict[str, Any], value: Any, *, allow_refs: bool) -> Any:
    def text(_: tuple[paths.Key, ...], secret: Any) -> Any:
        return "" if allow_refs and secrets.as_ref(secret) else secret

    return secrets.replace_secrets(schema, value, text)


def _problems(error: ValidationError) -> Iterator[Problem]:
    keys = tuple(error.absolute_path)
    found = error.validator_value if isinstance(error, _Found) else None
    if isinstance(found, Problem):
        yield msgspec.structs.replace(found, path=paths.jsonpath(keys) + found.path.removeprefix("$"))
        return
    make = _REASONS.get(str(error.validator))
    if make is None:
        yield problem(keys, "InvalidField")
    else:
        reason, params = make(error)
        yield problem(keys, reason, **params)


class _Found(ValidationError):  # type: ignore[misc]
    """A problem that was put into words where it was found; ``validator_value`` holds it."""

    def __init__(self, found: Problem) -> None:
        super().__init__(found.message, validator_value=found)


def _type(error: ValidationError) -> tuple[str, dict[str, Any]]:
    allowed = error.validator_value
    return "InvalidType", {"expected": _words(allowed), "given": _word(error.instance)}


def _words(allowed: Any) -> list[str]:
    return [allowed] if isinstance(allowed, str) else list(allowed)


def _word(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list() | tuple():
            return "array"
        case dict():
            return "object"
        case _:
            return type(value).__name__


def _limit(reason: str, name: str) -> Callable[[ValidationError], tuple[str, dict[str, Any]]]:
    return lambda error: (reason, {name: error.validator_value})


_REASONS: Final[dict[str, Callable[[ValidationError], tuple[str, dict[str, Any]]]]] = {
    "type": _type,
    "enum": lambda error: ("NotAChoice", {"choices": [one for one in error.validator_value if one is not None]}),
    "minimum": _limit("TooSmall", "minimum"),
    "maximum": _limit("TooLarge", "maximum"),
    "exclusiveMinimum": _limit("NotAbove", "minimum"),
    "exclusiveMaximum": _limit("NotBelow", "maximum"),
    "multipleOf": _limit("NotMultiple", "of"),
    "minLength": _limit("TooShort", "minimum"),
    "maxLength": _limit("TooLong", "maximum"),
    "minItems": _limit("TooFew", "minimum"),
    "maxItems": _limit("TooMany", "maximum"),
    "minProperties": _limit("TooFew", "minimum"),
    "maxProperties": _limit("TooMany", "maximum"),
    "pattern": _limit("PatternMismatch", "pattern"),
    "format": _limit("NotReadable", "expected"),
    "contentEncoding": _limit("NotReadable", "expected"),
    "items": lambda error: ("TooMany", {"maximum": len(error.schema.get("prefixItems", ()))}),
    "uniqueItems": lambda _: ("NotUnique", {}),
}


def _validator(root: Node) -> Any:
    timeouts = 0

    def pattern(_: Any, wanted: str, instance: Any, __: Any) -> Iterator[ValidationError]:
        nonlocal timeouts
        if not isinstance(instance, str):
            return
        try:
            if timeouts >= PATTERN_TIMEOUTS:
                raise TimeoutError
            if regex.search(wanted, instance, timeout=PATTERN_SECONDS) is None:
                yield ValidationError("does not match")
        except (TimeoutError, regex.error):
            timeouts += 1
            yield _Found(problem((), "CannotBeChecked", pattern=wanted))

    def required(_: Any, names: list[str], instance: Any, __: Any) -> Iterator[ValidationError]:
        if isinstance(instance, dict):
            for name in names:
                if name not in instance:
                    yield _Found(problem((name,), "MissingField", field=name))

    def additional(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if not isinstance(instance, dict):
            return
        known = schema.get("properties", {})
        for name, item in instance.items():
            if name in known:
                continue
            if allowed is False:
                yield _Found(unknown_field((name,), name, list(known)))
            elif isinstance(allowed, dict):
                yield from validator.descend(item, allowed, path=name)

    def one_of(validator: Any, options: list[Any], instance: Any, schema: Any) -> Iterator[ValidationError]:
        node = Node(root.schema, schema)
        if not node.tag or (instance is None and node.is_nullable):
            return
        if not isinstance(instance, dict):
            given = {"expected": ["object"], "given": _word(instance)}
            yield _Found(problem((), "InvalidType", **given))
            return
        chosen = node.variant(instance)
        if chosen is not None:
            yield from validator.descend(instance, chosen.schema)
        elif node.tag in instance:
            yield _Found(problem((node.tag,), "WrongVariant", field=node.tag, choices=list(node.variants)))
        else:
            yield _Found(problem((node.tag,), "MissingField", field=node.tag))

    def any_of(validator: Any, options: list[Any], instance: Any, schema: Any) -> Iterator[ValidationError]:
        failures = [list(validator.descend(instance, option)) for option in options]
        if not all(failures):
            return
        # What has the right type and is wrong inside says more than that it is none of all.
        inside = [errors for errors in failures if not any(e.validator == "type" and not e.path for e in errors)]
        if len(inside) == 1:
            yield from inside[0]
            return
        allowed = sorted(Node(root.schema, schema).types)
        yield _Found(problem((), "InvalidType", expected=allowed, given=_word(instance)))

    return jsonschema.validators.extend(
        jsonschema.Draft202012Validator,
        {
            "pattern": pattern,
            "required": required,
            "additionalProperties": additional,
            "oneOf": one_of,
            "anyOf": any_of,
            "contentEncoding": _content,
        },
        type_checker=_TYPES,
    )


def _content(_: Any, __: str, instance: Any, ___: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _reads_as(instance, bytes):
        yield ValidationError("is not base64")


# JSON knows one kind of number, a config type knows two: 1.0 is no integer, as msgspec sees it.
_TYPES: Final = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
).redefine("array", lambda _, value: isinstance(value, (list, tuple)))

_FORMATS: Final = jsonschema.FormatChecker(formats=())


def _reads_as(value: str, wanted: Any) -> bool:
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        return False
    return True


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
