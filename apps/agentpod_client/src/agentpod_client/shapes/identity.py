"""Logins, tokens and refusals."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from agentpod_client.bodies import Role


class Login(TypedDict):
    """What a login gave: a session, whose ``csrf`` belongs into its writes, or an API token, shown this once."""

    user: str
    csrf: NotRequired[str | None]
    token: NotRequired[str | None]
    expires_at: NotRequired[str | None]


class Who(TypedDict):
    """Who is asking, and with what reach."""

    actor: str
    role: Role
    tenant: str | None


class Token(TypedDict):
    """An API token; ``token`` is there only in the answer that made it."""

    id: str
    name: str
    prefix: str
    role: Role
    tenant: str | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    token: NotRequired[str | None]


class ProblemItem(TypedDict):
    """One thing that is wrong with a request."""

    path: str
    reason: str
    message: str


class Problem(TypedDict):
    """An error, as RFC 9457 with AgentPod's reason, params and repair."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    reason: str
    params: dict[str, Any]
    repair: str | None
    request_id: str
    problems: NotRequired[list[ProblemItem]]
