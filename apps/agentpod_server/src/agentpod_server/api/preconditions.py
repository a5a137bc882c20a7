"""ETags and If-Match: nobody overwrites what somebody else changed in between."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request

from agentpod_core import AgentPodError, ConflictError

_TAG = re.compile(r'(?:W/)?"(\d{1,18})"')


def etag(generation: int) -> str:
    """Write a generation as an ETag."""
    return f'"{generation}"'


async def provide_expected(request: Request[Any, Any, Any]) -> int | None:
    """Give a handler ``expected``: the generation that If-Match names; None for ``*``.

    Raises:
        AgentPodError: ``PreconditionRequired``: there is no If-Match.
        ConflictError: ``GenerationMismatch``: it names no generation that could be.
    """
    given = request.headers.get("if-match")
    if given is None:
        raise AgentPodError("PreconditionRequired")
    if given.strip() == "*":
        return None
    match = _TAG.fullmatch(given.strip())
    if match is None:
        raise ConflictError("GenerationMismatch", expected=given[:40], actual="?")
    return int(match[1])
