"""Finds everything that is wrong with a value, by its published schema.

Every problem has a place and a reason of the catalogue; none of them repeats what was given, since
it may be a secret in the wrong place. It mends nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from jsonschema.exceptions import ValidationError

from agentpod_core import catalogue
from agentpod_core.errors import Problem
from agentpod_core.schema import paths, secrets
from agentpod_core.schema.keywords import FindingError, validator, word, words

_NEAR: Final = 8
_NAME_LIMIT: Final = 80
_MOST: Final = 200

_Params = dict[str, Any]


def problems(schema: dict[str, Any], value: Any, *, allow_refs: bool = True) -> list[Problem]:
    """List everything that is wrong with a value, 200 findings at most; empty when it is fine.

    A secret may be its text or a stored reference; ``allow_refs`` False is for what a user sent,
    who has no business to point at secrets. A mask is no value: ``unmask`` comes first.
    """

    def text(_: tuple[paths.Key, ...], secret: Any) -> Any:
        return "" if allow_refs and secrets.as_ref(secret) else secret

    found: dict[tuple[str, str], Problem] = {}
    # More helps nobody, and a hostile value of a megabyte would take minutes to be described.
    for error in islice(validator(schema).iter_errors(secrets.replace_secrets(schema, value, text)), _MOST):
        one = _worded(error)
        found.setdefault((one.path, f"{one.reason} {one.params}"), one)
    return list(found.values())


def problem(keys: tuple[paths.Key, ...], reason: str, **params: Any) -> Problem:
    """Make one problem with its English text."""
    return Problem(path=paths.jsonpath(keys), reason=reason, params=params, message=catalogue.text(reason, params))


def unknown_field(keys: tuple[paths.Key, ...], field: str, known: list[str]) -> Problem:
    """Make the problem of a field that does not exist, naming the nearest ones."""
    nearest = difflib.get_close_matches(field, known, n=3, cutoff=0.5) or known[:_NEAR]
    return problem(keys, "UnknownField", field=field[:_NAME_LIMIT], nearest=nearest)


def _worded(error: ValidationError) -> Problem:
    keys = tuple(error.absolute_path)
    if isinstance(error, FindingError):
        place = keys if error.below is None else (*keys, error.below)
        if error.reason == "UnknownField":
            return unknown_field(place, error.params["field"], error.params["known"])
        return problem(place, error.reason, **error.params)
    make = _REASONS.get(str(error.validator))
    reason, params = make(error) if make else ("InvalidField", {})
    return problem(keys, reason, **params)


def _limit(reason: str, name: str) -> Callable[[ValidationError], tuple[str, _Params]]:
    return lambda error: (reason, {name: error.validator_value})


_REASONS: Final[dict[str, Callable[[ValidationError], tuple[str, _Params]]]] = {
    "type": lambda error: (
        "InvalidType",
        {"expected": words(error.validator_value), "given": word(error.instance)},
    ),
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
