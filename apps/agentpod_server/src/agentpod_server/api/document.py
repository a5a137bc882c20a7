"""Describes the API as an OpenAPI document, from the handlers themselves: their types, options and docstrings.

What holds for every operation of a kind (who may ask, which problems there are, which headers) is
said here by rule; a handler's ``opt`` adds the reasons that are its own. Values are never looked at.
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Litestar, Response
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream
from litestar.routes import HTTPRoute

from agentpod_core import catalogue
from agentpod_core.values.names import SLUG
from agentpod_server.api import auth, queries
from agentpod_server.api import document_constants as constants
from agentpod_server.api.problems import MEDIA_TYPE as PROBLEM
from agentpod_server.api.shapes import (
    ConfigView,
    NotifierView,
    OperationView,
    PodView,
    ProblemView,
    ReconcileView,
    TenantView,
)

_REF: Final = "#/components/schemas/{name}"
_VERSIONED: Final = (TenantView, PodView, ConfigView, NotifierView)
_LOCATED: Final = ((201, TenantView), (201, PodView), (201, NotifierView), (202, OperationView), (202, ReconcileView))
_SLUG: Final = {"type": "string", "pattern": f"^{SLUG.pattern}$", "maxLength": 30}
_PATHS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "tenant": ("A tenant's slug.", _SLUG),
    "pod": ("A pod's name.", _SLUG),
    "adapter": ("An adapter's name.", constants.TEXT),
    "operation": ("An operation's id.", constants.TEXT),
    "token": ("A token's id.", constants.TEXT),
    "alert": ("An alert's id.", constants.TEXT),
    "silence": ("A silence's id.", constants.TEXT),
    "notifier": ("A notifier's name.", constants.TEXT),
}
_NOT_FOUND: Final = {
    "tenant": ("TenantNotFound",),
    "pod": ("PodNotFound",),
    "adapter": ("UnknownAdapter",),
    "operation": ("OperationNotFound",),
    "token": ("TokenNotFound",),
    "alert": ("AlertNotFound",),
    "silence": ("SilenceNotFound",),
    "notifier": ("TargetNotFound",),
}

_ALSO: Final = {
    "PluginFailed": ("PluginBlocked", "PluginPaused", "PluginAnsweredWrong"),
    "UnknownAdapter": ("PluginGone", "PluginDisabled", "PluginNotLoaded"),
}
"""Reasons that come with another: wherever a plugin may fail or be missing, it may do so in other ways, too."""
_SUMMARIES: Final = {
    200: "As asked.",
    201: "Made.",
    202: "Begun; it takes a while.",
    204: "Done.",
}


def describe(app: Litestar, *, prefix: str, version: str) -> dict[str, Any]:
    """Give the document of everything below ``prefix``."""
    paths: dict[str, dict[str, Any]] = {}
    types: list[Any] = [ProblemView]
    statuses: set[int] = set()
    for path, method, handler in sorted(_operations(app, prefix), key=lambda one: one[:2]):
        types += _types(handler)
        statuses.update(map(_status, _reasons(path, handler)))
        paths.setdefault(path, {})[method] = _operation(path, method, handler)
    _, components = msgspec.json.schema_components(types, ref_template=_REF)
    return msgspec.json.decode(  # type: ignore[no-any-return]
        msgspec.json.encode(
            {
                "openapi": "3.1.0",
                "info": {"title": "AgentPod", "version": version, "description": constants.ABOUT},
                "servers": [{"url": "/"}],
                "tags": [{"name": name, "description": text} for name, text in constants.TAGS.items()],
                "paths": paths,
                "components": {
                    "schemas": components,
                    "responses": {f"Problem{status}": _problem(status) for status in statuses},
                    "headers": constants.HEADERS,
                    "parameters": constants.PARAMETERS,
                    "securitySchemes": constants.SECURITY,
                },
            },
            order="deterministic",
        )
    )


def _operations(app: Litestar, prefix: str) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path.startswith(f"{prefix}/"):
            for method, (handler, _) in route.route_handler_map.items():
                if handler.resolve_include_in_schema() and method != "OPTIONS":
                    yield route.path_format, method.lower(), handler


def _operation(path: str, method: str, handler: HTTPRouteHandler) -> dict[str, Any]:
    responses = _answers(handler) | _problems(_reasons(path, handler))
    operation: dict[str, Any] = {
        "operationId": handler.operation_id,
        "summary": handler.summary,
        "description": inspect.cleandoc(handler.fn.__doc__ or "").partition("\n\nRaises:")[0],
        "tags": handler.resolve_tags(),
        "security": _security(handler),
        "parameters": [*_path_parameters(path), *_query_parameters(handler), *_header_parameters(handler)],
        "responses": {str(status): responses[status] for status in sorted(responses)},
    }
    if body := handler.parsed_data_field:
        media = ["application/json", *(["application/merge-patch+json"] if method == "patch" else [])]
        schema = _schema(body.annotation)
        operation["requestBody"] = {"required": True, "content": {one: {"schema": schema} for one in media}}
    return operation


# ------------------------------------------------------------------------------------------ what comes in


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        text, schema = _PATHS[name]
        yield {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _query_parameters(handler: HTTPRouteHandler) -> Iterator[dict[str, Any]]:
    for name, schema in queries.parameters(handler).items():
        said = {key: value for key, value in schema.items() if key not in {"description", "title"}}
        about = {"description": schema["description"]} if "description" in schema else {}
        yield {"name": name, "in": "query", "required": False, "schema": said} | about


def _header_parameters(handler: HTTPRouteHandler) -> Iterator[dict[str, Any]]:
    names = ["AcceptLanguage", "RequestId"]
    if "expected" in handler.parsed_fn_signature.parameters:
        names.insert(0, "IfMatch")
    if _entry(handler) is auth.Entry.SESSION:
        names.insert(0, "CsrfToken")
    if "stream" in handler.opt:
        names.append("LastEventId")
    return ({"$ref": f"#/components/parameters/{name}"} for name in names)


def _security(handler: HTTPRouteHandler) -> list[dict[str, list[str]]]:
    match _entry(handler):
        case auth.Entry.OPEN:
            return []
        case auth.Entry.SESSION:
            return [{"session": []}]
        case _:
            return [{"token": []}]


def _entry(handler: HTTPRouteHandler) -> auth.Entry:
    entry: auth.Entry = handler.opt.get("entry", auth.Entry.BEARER)
    return entry


# ----------------------------------------------------------------------------------------- what goes out


def _answers(handler: HTTPRouteHandler) -> dict[int, dict[str, Any]]:
    return {status: _answer(handler, status, kind, media) for status, kind, media in _successes(handler)}


def _successes(handler: HTTPRouteHandler) -> Iterator[tuple[int, Any, str]]:
    """Give status, type and media type of each answer that is no problem."""
    specified = handler.responses or {}
    own = handler.status_code
    if own not in specified:
        yield own, _returned(handler), MediaType.JSON.value
    for status, one in specified.items():
        yield status, one.data_container, getattr(one.media_type, "value", one.media_type)


def _returned(handler: HTTPRouteHandler) -> Any:
    field = handler.parsed_return_field
    kind = field.annotation
    if field.is_subclass_of(Response) and not field.is_subclass_of(Stream):
        kind = field.inner_types[0].annotation
    return None if kind in (None, type(None)) else kind


def _answer(handler: HTTPRouteHandler, status: int, kind: Any, media: str) -> dict[str, Any]:
    said: dict[str, Any] = {"description": _SUMMARIES[status], "headers": {"X-Request-Id": _header("RequestId")}}
    spec = (handler.responses or {}).get(status)
    if spec is not None and spec.description:
        said["description"] = spec.description
    if kind is not None:
        said["content"] = {media: {"schema": _schema(kind)}}
        if stream := handler.opt.get("stream"):
            said["content"][stream] = {"schema": constants.TEXT}
    if kind in _VERSIONED:
        said["headers"]["ETag"] = _header("ETag")
    if (status, kind) in _LOCATED:
        said["headers"]["Location"] = _header("Location")
    if "language" in handler.parsed_fn_signature.parameters:
        said["headers"]["Content-Language"] = _header("ContentLanguage")
    return said


def _problems(reasons: Iterable[str]) -> dict[int, dict[str, Any]]:
    """Describe the problems by status, naming the reasons that each may have."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for reason in dict.fromkeys(reasons):
        by_status[_status(reason)].append(reason)
    return {
        status: {
            "$ref": f"#/components/responses/Problem{status}",
            "description": "\n".join(f"- `{one}`: {catalogue.title(one)}." for one in ones),
        }
        for status, ones in by_status.items()
    }


def _problem(status: int) -> dict[str, Any]:
    headers = {"X-Request-Id": _header("RequestId"), "Content-Language": _header("ContentLanguage")}
    if status in {429, 503}:
        headers["Retry-After"] = _header("RetryAfter")
    if status == 401:  # noqa: PLR2004 - an HTTP status
        headers["WWW-Authenticate"] = _header("WwwAuthenticate")
    return {
        "description": HTTPStatus(status).phrase,
        "headers": headers,
        "content": {PROBLEM: {"schema": _schema(ProblemView)}},
    }


def _reasons(path: str, handler: HTTPRouteHandler) -> Iterator[str]:
    """Give the reasons with which an operation may refuse: what follows from its kind, then its own."""
    yield "BadQuery"
    if "cursor" in queries.parameters(handler):
        yield "BadCursor"
    if _entry(handler) is not auth.Entry.OPEN:
        yield from ("Unauthenticated", "Forbidden")
    if _entry(handler) is auth.Entry.SESSION:
        yield "CsrfFailed"
    for name in re.findall(r"{(\w+)}", path):
        yield from ("NotFound", *_NOT_FOUND[name])
    if handler.parsed_data_field:
        yield from ("BadJson", "BodyTooLarge", "UnsupportedMediaType", "InvalidRequest")
    if "expected" in handler.parsed_fn_signature.parameters:
        yield from ("PreconditionRequired", "GenerationMismatch")
    for reason in (*handler.opt.get("reasons", ()), *("UnknownAdapter" for _ in re.findall("{adapter}", path))):
        yield from (reason, *_ALSO.get(reason, ()))
    yield from ("InternalError", "StoreUnreachable", "StoreBusy")


def _status(reason: str) -> int:
    """Give the status of a reason; one that the catalogue does not know has none, and is a mistake here."""
    status = catalogue.entry(reason).status
    if status is None:
        raise LookupError(reason)
    return status


def _types(handler: HTTPRouteHandler) -> Iterator[Any]:
    yield from (kind for _, kind, _ in _successes(handler) if kind is not None)
    if body := handler.parsed_data_field:
        yield body.annotation


def _schema(kind: Any) -> Any:
    (schema,), _ = msgspec.json.schema_components((kind,), ref_template=_REF)
    return schema


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}
