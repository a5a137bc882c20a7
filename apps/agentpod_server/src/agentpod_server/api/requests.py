"""What every request has: an id, a language, and safe headers on whatever is answered."""

from __future__ import annotations

import logging
import re
import time
from contextlib import AbstractContextManager
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import quote
from uuid import uuid4

from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import Message, Scope

from agentpod_core.catalogue import Language, negotiate
from agentpod_server.telemetry import ServerTelemetry

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_FACTS = "agentpod.request"
_TRACE_HEADERS = ("traceparent", "tracestate", "baggage")
_log = logging.getLogger(__name__)

SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
}
"""Put on every answer that has not chosen its own."""


def request_id(scope: Scope) -> str:
    """Give the request's id: the client's own where it is sane, else a new one. The same at every call."""
    facts = _facts(scope)
    if "id" not in facts:
        given = _header(scope, b"x-request-id") or ""
        facts["id"] = given if _SANE_ID.fullmatch(given) else uuid4().hex
    return str(facts["id"])


def language(scope: Scope) -> Language:
    """Choose the language of texts: what Accept-Language asks for, else the server's own."""
    facts = _facts(scope)
    if "language" not in facts:
        wished = _header(scope, b"accept-language")
        default: Language = scope["litestar_app"].state.get("language", "en")
        facts["language"] = negotiate(wished) if wished else default
    return cast("Language", facts["language"])


def client_address(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Give the address that a request came from: the proxy's word where the proxy of this machine sent it."""
    peer = connection.client.host if connection.client else ""
    if not is_from_loopback(connection):
        return peer
    # Each proxy appends whom it saw; what stands before that is the client's own invention.
    return connection.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()[:64] or peer


def is_secure(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Say whether the browser came by HTTPS, be it to the proxy of this machine."""
    seen = connection.headers.get("x-forwarded-proto", "") if is_from_loopback(connection) else ""
    return (seen or connection.scope.get("scheme", "")) in {"https", "wss"}


def is_from_loopback(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Say whether the peer is on this machine; the proxy is."""
    try:
        return connection.client is not None and ip_address(connection.client.host).is_loopback
    except ValueError:
        return False


def logged_path(scope: Scope) -> str:
    """Give the path as it may stand in a log: whatever was sent, it ends no line and paints no terminal."""
    return quote(scope["path"], safe="/:@,+=~")


def told(scope: Scope, telemetry: ServerTelemetry) -> AbstractContextManager[None]:
    """Have everything that is logged and traced in the block belong to that request."""
    facts = _facts(scope)
    facts["telemetry"], facts["begun"] = telemetry, time.monotonic()
    headers = {name: value for name in _TRACE_HEADERS if (value := _header(scope, name.encode()))}
    return telemetry.request(request_id(scope), str(scope.get("method", "WEBSOCKET")), headers)


async def add_headers(message: Message, scope: Scope) -> None:
    """Put the request's id and the safe headers on an answer as it starts, and log it in a line.

    A hook for ``before_send``. The query is not logged: it is the client's, and may hold anything.
    """
    if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP:
        return
    level = logging.DEBUG if scope["method"] in {"GET", "HEAD", "OPTIONS"} else logging.INFO
    _log.log(level, "%s %s %d", scope["method"], logged_path(scope), message["status"])
    facts = _facts(scope)
    route = str(scope.get("path_template") or "")
    facts["telemetry"].answered(scope["method"], route, message["status"], time.monotonic() - facts["begun"])
    headers = MutableScopeHeaders.from_message(message)
    headers["X-Request-Id"] = request_id(scope)
    if "language" in _facts(scope):
        headers.setdefault("Content-Language", language(scope))
        headers.add("Vary", "Accept-Language")
    if "Allow" in headers:
        headers["Allow"] = ", ".join(_methods(scope, headers["Allow"]))
    for name, value in SAFE_HEADERS.items():
        headers.setdefault(name, value)


def _methods(scope: Scope, said: str) -> list[str]:
    """Give the methods of an address: Litestar forgets those of other handlers in OPTIONS, and knows no HEAD."""
    template = scope.get("path_template")
    routes = (route for route in scope["litestar_app"].routes if template in {route.path, route.path_format})
    methods = {str(one) for one in getattr(next(routes, None), "methods", said.split(", "))}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _facts(scope: Scope) -> dict[str, Any]:
    facts: dict[str, Any] = scope.setdefault("state", {}).setdefault(_FACTS, {})
    return facts


def _header(scope: Scope, name: bytes) -> str | None:
    value = next((value for key, value in scope["headers"] if key == name), None)
    return None if value is None else value.decode("latin-1")
