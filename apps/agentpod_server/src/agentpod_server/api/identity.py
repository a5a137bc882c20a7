"""``/login``, ``/logout``, ``/tokens``, ``/whoami``: who may come in."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from agentpod_server.api import auth, requests, views
from agentpod_server.api.bodies import StrictBody
from agentpod_server.api.problems import reasons
from agentpod_server.api.shapes import Login, LoginView, Page, TokenCreate, TokenView, WhoView
from agentpod_server.records import Role, Scope
from agentpod_server.services import Services
from agentpod_server.services.identity import Caller, csrf_token

_TAGS = ("Identity",)
_LARGEST_LOGIN = 8 * 1024
"""Bytes of a body that strangers may send: to say all that is wrong with a large one takes seconds."""


@post(
    "/login",
    operation_id="login",
    summary="Log in",
    tags=_TAGS,
    opt=auth.OPEN | reasons("WrongCredentials", "CsrfFailed", "TooManyLogins"),
    status_code=200,
    dto=StrictBody[Login],
    return_dto=None,
    request_max_body_size=_LARGEST_LOGIN,
)
async def login(
    request: Request[Any, Any, Any], data: JSONBody[Login], services: NamedDependency[Services]
) -> Response[LoginView]:
    """Begin a session of the dashboard (a cookie), or with ``token_name`` make an API token."""
    auth.refuse_other_sites(request)
    address, request_id = requests.client_address(request), requests.request_id(request.scope)
    if data.token_name is not None:
        value = await services.identity.token_login(
            data.user, data.password, name=data.token_name, address=address, request_id=request_id
        )
        return Response(LoginView(user=data.user, token=value))
    session = await services.identity.login(data.user, data.password, address=address, request_id=request_id)
    # A session that the browser had before is not taken over but ended.
    if old := request.cookies.get(auth.SESSION_COOKIE):
        await services.identity.logout(old)
    return Response(
        LoginView(user=data.user, csrf=csrf_token(session.raw_id), expires_at=session.expires_at),
        cookies=[auth.session_cookie(request, session)],
    )


@post(
    "/logout",
    operation_id="logout",
    summary="Log out",
    tags=_TAGS,
    opt=auth.SESSION | {"role": Role.VIEWER},
    status_code=204,
)
async def logout(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[None]:
    """End the session of the dashboard."""
    await services.identity.logout(request.cookies[auth.SESSION_COOKIE])
    return Response(None, status_code=204, cookies=[auth.gone_cookie()])


@get("/whoami", operation_id="whoami", summary="Say who is asking", tags=_TAGS)
async def whoami(
    caller: NamedDependency[Caller], services: NamedDependency[Services], asking: NamedDependency[Scope]
) -> WhoView:
    """Say whom the token stands for."""
    tenant = None
    if caller.tenant_id is not None:
        found, _ = await services.tenants.listing(asking, limit=1)
        tenant = found[0].slug if found else None
    return WhoView(actor=caller.actor, role=caller.role, tenant=tenant)


@get("/tokens", operation_id="list_tokens", summary="List API tokens", tags=_TAGS, opt=auth.PLATFORM)
async def tokens(services: NamedDependency[Services], asking: NamedDependency[Scope]) -> Page[TokenView]:
    """List the API tokens, without their values."""
    return Page(items=[views.token_view(one, tenant) for one, tenant in await services.identity.tokens(asking)])


@post(
    "/tokens",
    operation_id="create_token",
    summary="Create an API token",
    tags=_TAGS,
    opt=auth.PLATFORM | reasons("TenantNotFound"),
    dto=StrictBody[TokenCreate],
    return_dto=None,
)
async def create_token(
    data: JSONBody[TokenCreate], services: NamedDependency[Services], asking: NamedDependency[Scope]
) -> TokenView:
    """Create an API token; its value is in this answer alone."""
    made, value = await services.identity.create_token(
        asking, name=data.name, role=data.role, tenant=data.tenant, expires_at=data.expires_at
    )
    return views.token_view(made, data.tenant, value)


@delete(
    "/tokens/{token:str}", operation_id="revoke_token", summary="Revoke an API token", tags=_TAGS, opt=auth.PLATFORM
)
async def revoke_token(
    token: FromPath[str], services: NamedDependency[Services], asking: NamedDependency[Scope]
) -> None:
    """Make a token worthless at once."""
    await services.identity.revoke_token(asking, token)
