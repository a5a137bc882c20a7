"""Errors over the wire."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType


class ProblemItemView(Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a request."""

    path: str
    reason: str
    message: str


class ProblemView(Struct, frozen=True, kw_only=True):
    """An error, as RFC 9457 ``application/problem+json`` with AgentPod's reason, params and repair."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    reason: str
    params: dict[str, Any]
    repair: str | None
    request_id: str
    problems: list[ProblemItemView] | UnsetType = UNSET
