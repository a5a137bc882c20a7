"""Turns everything that goes wrong into RFC 9457 problem details, in the reader's language.

What AgentPod raises on purpose answers with its reason; what it did not expect answers 500 with the
request's id, and its traceback goes to the log alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from msgspec import UNSET

from agentpod_core import AgentPodError, ConfigError, TemporaryError, catalogue
from agentpod_core.catalogue import Entry, Language
from agentpod_server.api import requests
from agentpod_server.api.shapes import ProblemItemView, ProblemView

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)

_BY_STATUS = {
    400: "BadQuery",
    401: "Unauthenticated",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    413: "BodyTooLarge",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
}
"""What the framework's own errors mean; its detail texts are never shown, they quote the request."""


def reasons(*names: str) -> dict[str, Any]:
    """Make the ``opt`` of a handler that may refuse for these reasons, beside those that many have.

    It is read by the API's description alone.
    """
    return {"reasons": names}


def problem(error: AgentPodError, *, instance: str, request_id: str, language: Language) -> ProblemView:
    """Describe an error for a reader of that language."""
    found = catalogue.for_error(error, language)
    view = _view(found, error.params, instance=instance, request_id=request_id, language=language)
    if not isinstance(error, ConfigError):
        return view
    items = [
        ProblemItemView(
            path=one.path,
            reason=one.reason,
            message=catalogue.text(one.reason, one.params, language)
            if one.params and one.reason in catalogue.reasons()
            else one.message,
        )
        for one in error.problems
    ]
    return msgspec.structs.replace(view, problems=items)


def answer(request: Request[Any, Any, Any], error: AgentPodError) -> Response[bytes]:
    """Answer a request with an error."""
    view = problem(
        error,
        instance=request.scope["path"],
        request_id=requests.request_id(request.scope),
        language=requests.language(request.scope),
    )
    headers: dict[str, str] = {}
    if isinstance(error, TemporaryError) and error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    if view.status == 401:  # noqa: PLR2004 - an HTTP status
        headers["WWW-Authenticate"] = 'Bearer realm="agentpod"'
    if view.status >= 500:  # noqa: PLR2004 - an HTTP status
        path = requests.logged_path(request.scope)
        _log.warning("%s %s failed: %s", request.method, path, error)
    return Response(msgspec.json.encode(view), status_code=view.status, media_type=MEDIA_TYPE, headers=headers)


def exception_handlers() -> ExceptionHandlersMap:
    """Give the handlers that make a problem of every exception."""
    return {AgentPodError: _ours, HTTPException: _framework, Exception: _unexpected}


def _ours(request: Request[Any, Any, Any], error: AgentPodError) -> Response[bytes]:
    return answer(request, error)


def _framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    reason = _BY_STATUS.get(error.status_code)
    if reason is None:
        return _unexpected(request, error)
    facts = _facts(request, error)
    if facts.get("names") == ["data"]:
        return answer(request, AgentPodError("BadJson", problem="it is empty"))
    response = answer(request, AgentPodError(reason, **facts))
    if "allow" in {name.lower() for name in error.headers or {}}:
        response.headers["Allow"] = next(value for name, value in error.headers.items() if name.lower() == "allow")  # type: ignore[union-attr]
    return response


def _facts(request: Request[Any, Any, Any], error: HTTPException) -> dict[str, Any]:
    match error.status_code:
        case 400:
            extra = error.extra if isinstance(error.extra, list) else []
            names = [str(item.get("key", "")) for item in extra if isinstance(item, Mapping)]
            # Before it looks for a handler, the framework refuses the Host header alone.
            unnamed = "?" if "route_handler" in request.scope else "Host"
            return {"names": [name for name in names if name] or [unnamed]}
        case 404:
            return {"path": request.scope["path"]}
        case 405:
            return {"method": request.method, "path": request.scope["path"]}
        case 413:
            return {"limit": _amount(request.route_handler.resolve_request_max_body_size())}
        case _:
            return {}


def _amount(size: int | None) -> str:
    kib, mib = 1024, 1024 * 1024
    return f"{(size or 0) // mib} MiB" if size and size >= mib else f"{(size or 0) // kib} KiB"


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    request_id = requests.request_id(request.scope)
    _log.error("%s %s failed", request.method, requests.logged_path(request.scope), exc_info=error)
    return answer(request, AgentPodError("InternalError", request_id=request_id))


def _view(found: Entry, params: dict[str, Any], *, instance: str, request_id: str, language: Language) -> ProblemView:
    return ProblemView(
        type=f"urn:agentpod:problem:{found.reason}",
        title=found.title,
        status=found.status or 500,
        detail=catalogue.text(found.reason, params, language),
        instance=instance,
        reason=found.reason,
        params=params,
        repair=catalogue.repair(found.reason, params, language),
        request_id=request_id,
        problems=UNSET,
    )
