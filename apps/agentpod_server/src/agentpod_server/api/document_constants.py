"""What the API's description says once for all operations: about the whole, its tags, headers and ways to come in."""

from __future__ import annotations

from typing import Final

from agentpod_core import catalogue
from agentpod_server.api import auth, preconditions

TEXT: Final = {"type": "string"}

ABOUT: Final = """Hosts AI agents for many customers.

**Who asks.** A bearer token, as `agentpod login` or `POST /api/v1/tokens` makes it. A token of a tenant
sees that tenant alone; everything else does not exist for it.

**Errors** are RFC 9457 problems (`application/problem+json`) with a stable `reason`, its `params`, a text in
the language of Accept-Language (`en` and `zh-CN`), often a `repair`, and in `problems` everything that is
wrong with a request, each with its place: `$.config.name` in the body, `?limit` in the query.

**Creating is idempotent by name**: the same again answers 200 with what exists, something else under the same
name answers 409 and says in what it differs.

**Changes** by PUT and PATCH demand If-Match with the ETag of what they were made for, or `*`. An ETag is the
*generation* of what was asked; what is seen of a pod changes without it, so it is no validator for caches.

**Listings** answer `{"items": [...], "next": cursor}`. A cursor is opaque, and good for the same listing
with the same filters by the same reader alone; without `next` the listing is at its end.

**Bodies** are strict JSON: unknown members, members that come twice and wrong types are refused. So are
unknown and repeated query parameters."""

TAGS: Final = {
    "Tenants": "Customers.",
    "Pods": "One agent each, in a container of its own.",
    "Agents": "Looking at one running agent.",
    "Adapters": "The kinds of agents that can be run, and the plugins that bring them.",
    "Images": "Container images.",
    "Operations": "Long work, answered 202 with its address, to be watched.",
    "Events": (
        "What happens. `GET /api/v1/events` lists, or with `Accept: text/event-stream` goes on as Server-Sent "
        "Events (`id` is the event's `seq`, to be sent back as Last-Event-ID; a comment every 15 quiet seconds; "
        "the event `lost` tells a reader that is too slow to come again, and `missed`, which comes first, one that "
        "asks for events that are kept no longer that it gets what is left).\n\n"
        "`GET /api/v1/ws` is a WebSocket that sends the same events, one JSON text message each, with the query "
        "parameters `after`, `tenant` and `pod`. A client that cannot set the Authorization header sends a first "
        'message within 10 seconds: `{"token": "ap_...", "after": null, "tenant": null, "pod": null}`. Who asks for '
        'events that are kept no longer gets `{"missed": true}` first. The socket is closed '
        "with 4401 (not authenticated, or not any more), 4404 (no such tenant or pod), 4429 (too slow), or 1001 (the "
        "server goes)."
    ),
    "Alerts": "What a person should know, and when nobody is to be told.",
    "Notifiers": "Whom alerts are told, and by what way.",
    "Identity": "Who may come in.",
    "Server": "The server itself.",
}

PARAMETERS: Final = {
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "required": True,
        "description": "The ETag of what the change was made for, several of them, or `*` for whatever there is.",
        "schema": {"type": "string", "pattern": preconditions.PATTERN},
        "examples": {"any": {"value": "*"}, "generation": {"value": '"1"'}},
    },
    "AcceptLanguage": {
        "name": "Accept-Language",
        "in": "header",
        "required": False,
        "description": "The language of texts: `en` or `zh-CN`.",
        "schema": {"type": "string"},
    },
    "RequestId": {
        "name": "X-Request-Id",
        "in": "header",
        "required": False,
        "description": "Names the request in answer, log and events: 8 to 64 of A-Z a-z 0-9 . _ -; else one is made.",
        "schema": {"type": "string"},
    },
    "CsrfToken": {
        "name": "X-CSRF-Token",
        "in": "header",
        "required": True,
        "description": "What the login gave as `csrf`.",
        "schema": {"type": "string"},
    },
    "LastEventId": {
        "name": "Last-Event-ID",
        "in": "header",
        "required": False,
        "description": "The last event that was seen; for event streams only.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    },
}

HEADERS: Final = {
    "RequestId": {"description": "The request's id, in log and events too.", "required": True, "schema": TEXT},
    "ETag": {
        "description": "The generation of what was asked, for If-Match.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
    },
    "Location": {
        "description": "Where what was made, or the operation to watch, is found.",
        "required": True,
        "schema": {"type": "string", "pattern": "^/api/v1/"},
    },
    "ContentLanguage": {
        "description": "The language of the texts.",
        "required": True,
        "schema": {"type": "string", "enum": list(catalogue.LANGUAGES)},
    },
    "RetryAfter": {
        "description": "Seconds after which to try again.",
        "required": False,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WwwAuthenticate": {"description": "How to come in.", "required": True, "schema": TEXT},
}

SECURITY: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token, `ap_...`."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": auth.SESSION_COOKIE,
        "description": "A session of the dashboard, as `POST /api/v1/login` begins it.",
    },
}
