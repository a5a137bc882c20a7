"""Lets a request pass, or not: every handler is closed unless it says otherwise itself.

``/api/v1`` looks at bearer tokens alone, the dashboard at its session cookie alone; what a cookie
opens needs a CSRF token for everything unsafe. Exclusions by path do not exist here: a pattern that
is not anchored opens more than it says.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.enums import ScopeType
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Scope as ConnectionScope

from agentpod_core import AgentPodError
from agentpod_server.api import requests
from agentpod_server.records import Role, Scope
from agentpod_server.services import Services
from agentpod_server.services.identity import Caller, NewSession, is_csrf_token

SESSION_COOKIE = "agentpod_session"
CSRF_HEADER = "x-csrf-token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}


class Entry(StrEnum):
    """How a handler's callers are recognised."""

    BEARER = "bearer"
    SESSION = "session"
    OPEN = "open"


OPEN: dict[str, Any] = {"entry": Entry.OPEN}
"""``opt`` of a handler that everybody may call."""

SESSION: dict[str, Any] = {"entry": Entry.SESSION}
"""``opt`` of a handler, controller or router of the dashboard."""

ADMIN: dict[str, Any] = {"role": Role.ADMIN}
"""``opt`` of a handler for administrators, of a tenant too."""

PLATFORM: dict[str, Any] = {"role": Role.ADMIN, "platform": True}
"""``opt`` of a handler for administrators of the whole platform."""


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Recognise the caller and check what they may do; an app-wide guard.

    Reading takes a viewer and everything else an operator, unless the handler's ``opt`` asks for more.

    Raises:
        AgentPodError: ``Unauthenticated``, ``Forbidden``, ``CsrfFailed``.
    """
    entry = handler.opt.get("entry", Entry.BEARER)
    if entry is Entry.OPEN:
        return
    caller = await (by_bearer(connection) if entry is Entry.BEARER else _by_session(connection))
    if caller is None:
        raise AgentPodError("Unauthenticated")
    is_socket = connection.scope["type"] == ScopeType.WEBSOCKET
    is_safe = is_socket or connection.scope.get("method") in _SAFE
    needed = handler.opt.get("role", Role.VIEWER if is_safe else Role.OPERATOR)
    if _RANK[caller.role] < _RANK[needed] or (handler.opt.get("platform") and caller.tenant_id is not None):
        raise AgentPodError("Forbidden", actor=caller.actor)
    if entry is Entry.SESSION and is_socket:
        # A browser sends the cookie with sockets of other sites too, and lets them read the answers.
        refuse_other_sites(connection)
    elif entry is Entry.SESSION and not is_safe:
        await check_csrf(connection)
    connection.scope["auth"] = caller


async def by_bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller | None:
    """Recognise a program by its Authorization header."""
    kind, _, value = connection.headers.get("authorization", "").partition(" ")
    return await _services(connection).identity.by_token(value.strip()) if kind.lower() == "bearer" else None


async def check_csrf(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Refuse an unsafe request that another site may have made.

    The token comes in the header, or as ``_csrf`` in a form.

    Raises:
        AgentPodError: ``CsrfFailed``.
    """
    refuse_other_sites(connection)
    given = connection.headers.get(CSRF_HEADER, "")
    if not given and isinstance(connection, Request):
        given = str((await connection.form()).get("_csrf", ""))
    if not is_csrf_token(connection.cookies.get(SESSION_COOKIE, ""), given):
        raise AgentPodError("CsrfFailed")


def refuse_other_sites(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Refuse what a browser says another site has sent; for logins, which have no session yet."""
    site = connection.headers.get("sec-fetch-site", "same-origin")
    origin = connection.headers.get("origin", "")
    host = connection.headers.get("host", "")
    if site not in {"same-origin", "none"} or (origin and origin.partition("://")[2] != host):
        raise AgentPodError("CsrfFailed")


def session_cookie(connection: ASGIConnection[Any, Any, Any, Any], session: NewSession) -> Cookie:
    """Make the cookie of a new session."""
    return Cookie(
        key=SESSION_COOKIE,
        value=session.raw_id,
        httponly=True,
        samesite="lax",
        secure=requests.is_secure(connection),
        path="/",
    )


def gone_cookie() -> Cookie:
    """Make the cookie that takes a session's away."""
    return Cookie(key=SESSION_COOKIE, value="", httponly=True, samesite="lax", path="/", max_age=0)


def caller_of(scope: ConnectionScope) -> Caller:
    """Give who was recognised.

    Raises:
        AgentPodError: ``Unauthenticated``: nobody, the handler is open.
    """
    caller = scope.get("auth")
    if not isinstance(caller, Caller):
        raise AgentPodError("Unauthenticated")
    return caller


async def provide_caller(request: Request[Any, Any, Any]) -> Caller:
    """Give a handler its ``caller``."""
    return caller_of(request.scope)


async def provide_asking(request: Request[Any, Any, Any]) -> Scope:
    """Give a handler ``asking``: the scope in which its caller sees things."""
    return caller_of(request.scope).scope(requests.request_id(request.scope))


def _services(connection: ASGIConnection[Any, Any, Any, Any]) -> Services:
    services: Services = connection.app.state["services"]
    return services


async def _by_session(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller | None:
    raw_id = connection.cookies.get(SESSION_COOKIE, "")
    return await _services(connection).identity.by_session(raw_id) if raw_id else None
