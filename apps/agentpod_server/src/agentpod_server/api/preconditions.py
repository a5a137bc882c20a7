"""ETags and If-Match: nobody overwrites what somebody else changed in between."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request

from agentpod_core import AgentPodError, ConflictError

_ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e]{0,80}"'
PATTERN = rf"^(?:\*|{_ENTITY_TAG}(?:[ \t]*,[ \t]*{_ENTITY_TAG}){{0,31}})$"
"""What If-Match may say: anything, or one or more entity tags."""

_READABLE = re.compile(PATTERN)
_GENERATION = re.compile(r'"([1-9][0-9]{0,17})"')


def etag(generation: int) -> str:
    """Write a generation as an ETag."""
    return f'"{generation}"'


async def provide_expected(request: Request[Any, Any, Any]) -> frozenset[int] | None:
    """Give a handler ``expected``: the generations that If-Match names; None for ``*``.

    A weak tag counts as the strong one: a proxy that compresses answers weakens their tags.

    Raises:
        AgentPodError: ``PreconditionRequired``: there is no If-Match; ``BadQuery``: it cannot be read.
        ConflictError: ``GenerationMismatch``: it names no generation that could be.
    """
    lines = request.headers.getall("if-match", [])
    if not lines:
        raise AgentPodError("PreconditionRequired")
    given = ",".join(lines)
    if _READABLE.fullmatch(given) is None:
        raise AgentPodError("BadQuery", names=["If-Match"])
    if given == "*":
        return None
    generations = frozenset(int(found) for found in _GENERATION.findall(given))
    if not generations:
        raise ConflictError("GenerationMismatch", expected=given[:40], actual="?")
    return generations
