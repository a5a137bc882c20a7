"""Makes pages and parts of pages of templates: escaped, in the reader's language, without inline code."""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from litestar import MediaType, Request, Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from agentpod_core import format_bytes
from agentpod_core.catalogue import LANGUAGES, Language
from agentpod_server.api import auth, requests
from agentpod_server.dashboard import words
from agentpod_server.records import Role
from agentpod_server.services.identity import Caller, csrf_token

ASSETS: Final = "/dashboard-assets"
LANGUAGE_COOKIE: Final = "agentpod_language"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action {targets}; frame-ancestors 'none'; base-uri 'none'"
)

Anything = Request[Any, Any, Any]


def language_of(request: Anything) -> Language:
    """Choose the reader's language: what they picked, what their account says, what their browser asks for."""
    caller = request.scope.get("auth")
    for wish in (request.cookies.get(LANGUAGE_COOKIE), caller.language if isinstance(caller, Caller) else None):
        if wish in LANGUAGES:
            return wish
    return requests.language(request.scope)


def page(  # noqa: PLR0913 - what an answer is made of
    request: Anything,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    cookies: Sequence[Cookie] = (),
    targets: Sequence[str] = (),
    **context: Any,
) -> Response[str]:
    """Answer with a page or a part of one.

    ``targets`` are origins to which a form of the page may lead, beside the dashboard's own.
    """
    language = language_of(request)
    policy = POLICY.format(targets=" ".join(["'self'", *targets]))
    return Response(
        render(request, template, **context),
        media_type=MediaType.HTML,
        status_code=status,
        headers={
            "Content-Security-Policy": policy,
            "Content-Language": language,
            "Vary": "Cookie, Accept-Language",
            **(headers or {}),
        },
        cookies=list(cookies),
    )


def go(address: str, *cookies: Cookie) -> Response[Any]:
    """Lead a browser to another page, which it is to GET."""
    return Redirect(address, status_code=303, cookies=list(cookies))


def render(request: Anything, template: str, **context: Any) -> str:
    """Render a template for whoever asks."""
    caller = request.scope.get("auth")
    session = request.cookies.get(auth.SESSION_COOKIE, "")
    is_known = isinstance(caller, Caller)
    facts = {
        "caller": caller if is_known else None,
        "can_change": is_known and caller.role is not Role.VIEWER,
        "can_rule": is_known and caller.role is Role.ADMIN and caller.tenant_id is None,
        "csrf": csrf_token(session) if is_known else "",
        "language": language_of(request),
        "languages": words.NAMES,
        "now": datetime.now(UTC),
        "path": request.scope["path"],
        "here": here(request),
    }
    return environment().get_template(template).render(facts | context)


def here(request: Anything) -> str:
    """Give the address of the page that is asked for, below this server."""
    query = request.scope.get("query_string", b"").decode("latin-1")
    return f"{request.scope['path']}?{query}" if query else str(request.scope["path"])


def assets_folder() -> Path:
    """Give the folder of style sheets and scripts."""
    return Path(str(importlib.resources.files("agentpod_server.dashboard") / "static"))


@cache
def asset(name: str) -> str:
    """Give the address of a file that changes with its content, so that browsers may keep it."""
    digest = hashlib.blake2b((assets_folder() / name).read_bytes(), digest_size=6).hexdigest()
    return f"{ASSETS}/{name}?v={digest}"


@cache
def environment() -> Environment:
    """Give the templates, with what all of them may call."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader("agentpod_server.dashboard"), PackageLoader("agentpod_server.forms")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {"t": _say, "ago": _ago, "asset": asset, "moment": words.moment, "iso": _iso}
    made.filters |= {"bytes": format_bytes, "cpus": _cpus}
    return made


@pass_context
def _say(context: Context, key: str, **facts: Any) -> str:
    return words.say(key, context["language"], **facts)


@pass_context
def _ago(context: Context, then: datetime) -> str:
    return words.ago(then, context["now"], context["language"])


def _iso(then: datetime) -> str:
    return then.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cpus(millicores: int) -> str:
    return f"{millicores / 1000:g}"
