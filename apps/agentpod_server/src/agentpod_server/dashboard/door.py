"""The way in and out: the front page, logging in and out, and the choice of a language."""

from __future__ import annotations

import re
import secrets
from typing import Any

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromQuery

from agentpod_core import AgentPodError, TemporaryError, catalogue
from agentpod_core.catalogue import LANGUAGES, Language
from agentpod_server import forms
from agentpod_server.api import auth, requests
from agentpod_server.dashboard import pages
from agentpod_server.dashboard.pages import Anything
from agentpod_server.records import Role
from agentpod_server.services import Services
from agentpod_server.services.identity import csrf_token, is_csrf_token

HOME = "/dashboard"
_LOGIN_COOKIE = "agentpod_login"
_OURS = re.compile(r"/dashboard(?:[/?][!-\[\]-~]*)?")
_YEAR = 31_536_000


def safe(address: str) -> str:
    """Give an address if it is one of the dashboard's own, else the overview's."""
    return address if _OURS.fullmatch(address) and len(address) < 2000 else HOME  # noqa: PLR2004 - a sane address


@get("/", opt=auth.OPEN)
async def front(request: Anything, services: NamedDependency[Services]) -> Response[Any]:
    """Lead to the dashboard, or to the login."""
    return pages.go(HOME if await _is_known(request, services) else "/login")


@get("/login", opt=auth.OPEN)
async def login_page(
    request: Anything, services: NamedDependency[Services], next_: FromQuery[str] = HOME
) -> Response[Any]:
    """Show the form to log in; who is in goes on."""
    wanted = safe(request.query_params.get("next", next_))
    if await _is_known(request, services):
        return pages.go(wanted)
    return _form(request, wanted)


@post("/login", opt=auth.OPEN)
async def log_in(
    request: Anything, services: NamedDependency[Services], language: NamedDependency[Language]
) -> Response[Any]:
    """Begin a session with an id of its own; one that the browser had before is ended."""
    posted = forms.posted_of((await request.form()).multi_items())
    user, password = (forms.last(posted, name) or "" for name in ("user", "password"))
    wanted = safe(forms.last(posted, "next") or HOME)
    try:
        _check_own_form(request, posted)
        session = await services.identity.login(
            user, password, address=requests.client_address(request), request_id=requests.request_id(request.scope)
        )
    except AgentPodError as error:
        if error.reason not in {"WrongCredentials", "TooManyLogins", "CsrfFailed"}:
            raise
        return _form(request, wanted, user=user, error=error, language=language)
    if old := request.cookies.get(auth.SESSION_COOKIE):
        await services.identity.logout(old)
    return pages.go(wanted, auth.session_cookie(request, session))


@post("/logout", opt=auth.SESSION | {"role": Role.VIEWER})
async def log_out(request: Anything, services: NamedDependency[Services]) -> Response[Any]:
    """End the session."""
    await services.identity.logout(request.cookies[auth.SESSION_COOKIE])
    return pages.go("/login", auth.gone_cookie())


@post("/language", opt=auth.OPEN)
async def choose_language(request: Anything) -> Response[Any]:
    """Remember the language that somebody picked, and go back to where they were."""
    auth.refuse_other_sites(request)
    posted = forms.posted_of((await request.form()).multi_items())
    wish, back = forms.last(posted, "language"), forms.last(posted, "next") or HOME
    address = "/login" if back.startswith("/login") else safe(back)
    cookies = [_cookie(request, pages.LANGUAGE_COOKIE, wish, _YEAR)] if wish in LANGUAGES and wish else []
    return pages.go(address, *cookies)


def _check_own_form(request: Anything, posted: forms.Posted) -> None:
    auth.refuse_other_sites(request)
    if not is_csrf_token(request.cookies.get(_LOGIN_COOKIE, ""), forms.last(posted, "_csrf") or ""):
        raise AgentPodError("CsrfFailed")


def _form(
    request: Anything,
    wanted: str,
    *,
    user: str = "",
    error: AgentPodError | None = None,
    language: Language = "en",
) -> Response[str]:
    # A form of a visitor without a session is tied to their browser by a cookie of its own.
    known = request.cookies.get(_LOGIN_COOKIE, "")
    raw = known or secrets.token_urlsafe(24)
    headers = {}
    if isinstance(error, TemporaryError) and error.retry_after is not None:
        headers["Retry-After"] = str(round(error.retry_after))
    return pages.page(
        request,
        "login.html",
        status=(catalogue.for_error(error).status or 400) if error else 200,
        headers=headers,
        cookies=[] if known else [_cookie(request, _LOGIN_COOKIE, raw, None)],
        wanted=wanted,
        user=user,
        form_token=csrf_token(raw),
        problem=catalogue.text(error.reason, error.params, language) if error else "",
    )


def _cookie(request: Anything, key: str, value: str, seconds: int | None) -> Cookie:
    is_secure = requests.is_secure(request)
    return Cookie(key=key, value=value, httponly=True, samesite="lax", secure=is_secure, path="/", max_age=seconds)


async def _is_known(request: Anything, services: Services) -> bool:
    raw_id = request.cookies.get(auth.SESSION_COOKIE, "")
    return bool(raw_id) and await services.identity.by_session(raw_id) is not None
