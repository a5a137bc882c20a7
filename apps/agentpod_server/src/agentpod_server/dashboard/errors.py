"""Shows what goes wrong as a page, in the reader's language; who is not logged in goes to the login.

A part of a page that a script asked for gets a bare answer instead of a page.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from litestar import Response, get
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.types import ExceptionHandlersMap

from agentpod_core import AgentPodError, NotFoundError, TemporaryError, catalogue
from agentpod_server.api import requests
from agentpod_server.dashboard import pages
from agentpod_server.dashboard.pages import Anything

_REASONS = {400: "BadQuery", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed", 413: "BodyTooLarge"}

_log = logging.getLogger(__name__)


class MovedError(Exception):
    """What was asked for has another address."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


@get("/{rest:path}")
async def nothing_here(rest: FromPath[str]) -> None:
    """Say that there is no such page.

    Raises:
        NotFoundError: always.
    """
    raise NotFoundError("NotFound", path=f"/dashboard{rest}")


def exception_handlers() -> ExceptionHandlersMap:
    """Give the handlers that make pages of exceptions."""
    return {AgentPodError: _ours, HTTPException: _framework, MovedError: _moved, Exception: _unexpected}


def login_address(request: Anything) -> str:
    """Give the address of the login that leads back here."""
    wanted = pages.here(request)
    if request.method != "GET" or "hx-request" in request.headers:
        # What a form was sent to shows its page too; a part of a page leads to the page that has it.
        wanted = request.scope["path"] if request.method != "GET" else "/dashboard"
    return f"/login?next={quote(wanted, safe='/')}"


def _ours(request: Anything, error: AgentPodError) -> Response[Any]:
    if error.reason == "Unauthenticated":
        return _to_login(request)
    language = pages.language_of(request)
    found = catalogue.for_error(error, language)
    status = found.status or HTTPStatus.INTERNAL_SERVER_ERROR
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning("%s %s failed: %s", request.method, request.scope["path"], error)
    headers = {}
    if isinstance(error, TemporaryError) and error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return pages.page(
        request,
        "error.html",
        status=status,
        headers=headers,
        title=found.title,
        text=catalogue.text(error.reason, error.params, language),
        repair=catalogue.repair(error.reason, error.params, language),
        request_id=requests.request_id(request.scope),
    )


def _to_login(request: Anything) -> Response[Any]:
    address = login_address(request)
    if "hx-request" in request.headers:
        return Response(None, status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": address})
    if request.method == "GET" and "text/html" not in request.headers.get("accept", ""):
        return Response(None, status_code=HTTPStatus.UNAUTHORIZED)
    return pages.go(address)


def _framework(request: Anything, error: HTTPException) -> Response[Any]:
    reason = _REASONS.get(error.status_code)
    if reason is None:
        return _unexpected(request, error)
    facts: dict[str, Any] = {"path": request.scope["path"], "method": request.method, "limit": "1 MiB", "names": []}
    return _ours(request, AgentPodError(reason, **facts))


def _moved(_: Anything, error: MovedError) -> Response[Any]:
    return pages.go(error.address)


def _unexpected(request: Anything, error: Exception) -> Response[Any]:
    request_id = requests.request_id(request.scope)
    _log.error("%s %s failed [%s]", request.method, request.scope["path"], request_id, exc_info=error)
    return _ours(request, AgentPodError("InternalError", request_id=request_id))
