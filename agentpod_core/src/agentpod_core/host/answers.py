"""Checks what a plugin answers against what its plug point promises, and cleans what people get to see of it.

Of most answers the outer type is checked, of those that get stored everything.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import AsyncIterator, Hashable
from functools import cache
from typing import Any, Final

import msgspec

from agentpod_core.host.redaction import Redactor
from agentpod_core.values.reports import AgentReport, ProbeResult
from agentpod_core.values.workload import Workload

_STORED: Final = (ProbeResult, Workload)
_SHOWN: Final = (ProbeResult, AgentReport)
_REASON: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,60}")


def mismatch(kind: type[Any], call: str, answer: Any) -> tuple[str, str] | None:
    """Give what was expected and what came instead; None where the answer is fit."""
    expected = _promised(typing.cast("Hashable", kind), call)
    if not _is(answer, expected):
        return _named(expected), "None" if answer is None else type(answer).__name__
    if stored := _of(_STORED, answer):
        try:
            msgspec.json.decode(msgspec.json.encode(answer), type=stored)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
            # Its words are a path and types, no values.
            return _named(expected), f"{type(answer).__name__}: {error}"[:200]
    if isinstance(answer, ProbeResult) and not is_reason(answer.reason):
        return "a reason in CamelCase", "another text"
    return None


def is_reason(value: object) -> bool:
    """Say whether a value can be looked up in the catalogue of reasons."""
    return isinstance(value, str) and _REASON.fullmatch(value) is not None


def clean(answer: Any, redactor: Redactor) -> Any:
    """Take secrets out of an answer that people get to see; any other stays as it is."""
    shown = _of(_SHOWN, answer)
    return msgspec.convert(redactor.cleaned(msgspec.to_builtins(answer)), shown) if shown else answer


def _of(kinds: tuple[type[Any], ...], answer: Any) -> type[Any] | None:
    """Give the class that was promised of an answer, which may be of one derived from it."""
    return next((one for one in kinds if isinstance(answer, one)), None)


@cache
def _promised(kind: Hashable, call: str) -> Any:
    method = getattr(kind, call, None)
    return Any if method is None else typing.get_type_hints(method).get("return", Any)


def _is(answer: Any, expected: Any) -> bool:
    if expected is Any or isinstance(expected, typing.TypeVar):
        return True
    origin = typing.get_origin(expected)
    if origin is types.UnionType or origin is typing.Union:
        return any(_is(answer, one) for one in typing.get_args(expected))
    if expected is None or expected is type(None):
        return answer is None
    if origin is list:
        (item,) = typing.get_args(expected)
        return isinstance(answer, list) and all(_is(one, item) for one in answer)
    wanted = origin or expected
    return wanted is AsyncIterator or not isinstance(wanted, type) or isinstance(answer, wanted)


def _named(expected: Any) -> str:
    return expected.__name__ if isinstance(expected, type) else str(expected).replace("agentpod_core.", "")
