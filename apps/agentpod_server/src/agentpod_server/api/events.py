"""``/events`` and ``/ws``: what happens, as a listing, as Server-Sent Events, and over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, WebSocket, get, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Stream
from msgspec import Meta, Struct

from agentpod_core import AgentPodError
from agentpod_core.catalogue import Language
from agentpod_server.api import auth, bodies, requests, streams, views
from agentpod_server.api.paging import LARGEST, After, Cursor, Limit, Pod, Tenant
from agentpod_server.api.problems import reasons
from agentpod_server.api.shapes import EventView, Page
from agentpod_server.records import Scope
from agentpod_server.services import Services
from agentpod_server.services.hub import TooSlowError
from agentpod_server.services.identity import Caller

EVENT_STREAM = "text/event-stream"
_HELLO_SECONDS = 10.0
_LONGEST_HELLO = 4096
UNAUTHENTICATED, NOT_FOUND, TOO_SLOW, GOING_AWAY = 4401, 4404, 4429, 1001
"""The codes with which a WebSocket is closed."""

_NUMBER = re.compile(r"[0-9]{1,18}")
_log = logging.getLogger(__name__)


class Hello(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first message of a client that could not set a header."""

    token: str
    after: Annotated[int, Meta(ge=0, le=LARGEST)] | None = None
    tenant: str | None = None
    pod: str | None = None


@get(
    "/events",
    operation_id="list_events",
    opt=reasons("TenantNotFound", "PodNotFound") | {"stream": EVENT_STREAM},
    summary="List or follow events",
    tags=("Events",),
    responses={
        200: ResponseSpec(
            Page[EventView],
            description="A listing; with Accept: text/event-stream a stream of events, resumable by Last-Event-ID.",
        )
    },
)
async def events(  # noqa: PLR0913 - the filters of a listing
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
    after: After = None,
    tenant: Tenant = None,
    pod: Pod = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response[Any]:
    """List events, oldest first: after a number, or else the newest ``limit``.

    With ``Accept: text/event-stream`` the answer goes on: events from ``Last-Event-ID`` or ``after``
    on, or only new ones; a comment every 15 quiet seconds. Where events after that number are kept no
    longer, the event ``missed`` comes first. The stream ends within 15 seconds once its token is worthless.
    """
    resumed = _resume_from(request.headers.get("last-event-id"), after)
    if EVENT_STREAM in request.headers.get("accept", ""):
        await services.events.look_up(asking, tenant, pod)
        has_missed = await services.events.has_missed(asking, resumed, tenant=tenant, pod=pod)

        def source(is_over: Callable[[], bool]) -> AsyncIterator[bytes]:
            told = services.events.stream(asking, after=resumed, tenant=tenant, pod=pod, is_over=is_over)
            return streams.server_sent(told, language, has_missed=has_missed)

        lasting = streams.while_welcome(services, caller, source)
        return Stream(lasting, media_type=EVENT_STREAM, headers=streams.UNBUFFERED)
    found, following = await services.events.listing(
        asking, after=after, tenant=tenant, pod=pod, cursor=cursor, limit=limit
    )
    return Response(Page(items=[views.event_view(one, language) for one in found], next=following))


@websocket("/ws", opt=auth.OPEN)
async def events_socket(
    socket: WebSocket[Any, Any, Any],
    services: NamedDependency[Services],
    after: After = None,
    tenant: Tenant = None,
    pod: Pod = None,
) -> None:
    """Send the events of ``/events`` as JSON messages.

    The token comes as a bearer header, or for browsers in a first message with ``token`` and the
    filters. Within 15 seconds of its end the socket is closed.
    """
    await socket.accept()
    hello: Hello | None = None
    caller = await auth.by_bearer(socket)
    if caller is None and "authorization" not in socket.headers:
        caller, hello = await _introduced(socket, services)
    if caller is None:
        await socket.close(code=UNAUTHENTICATED)
        return
    if hello is not None:
        after, tenant, pod = hello.after, hello.tenant, hello.pod
    asking = caller.scope(requests.request_id(socket.scope))
    try:
        await services.events.look_up(asking, tenant, pod)
    except AgentPodError:
        await socket.close(code=NOT_FOUND)
        return
    sending = asyncio.create_task(_send(socket, services, caller, after, tenant, pod))
    leaving = asyncio.create_task(_until_gone(socket))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and not leaving.done():
            await socket.close(code=sending.result())
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _introduced(socket: WebSocket[Any, Any, Any], services: Services) -> tuple[Caller | None, Hello | None]:
    try:
        text = await asyncio.wait_for(socket.receive_text(), _HELLO_SECONDS)
        hello = bodies.read(text.encode()[:_LONGEST_HELLO], Hello)
    except (TimeoutError, WebSocketDisconnect, AgentPodError):
        return None, None
    return await services.identity.by_token(hello.token), hello


async def _send(  # noqa: PLR0913 - the filters of a stream
    socket: WebSocket[Any, Any, Any],
    services: Services,
    caller: Caller,
    after: int | None,
    tenant: str | None,
    pod: str | None,
) -> int:
    """Send until the stream ends; gives the code to close with."""
    asking, language = caller.scope(requests.request_id(socket.scope)), requests.language(socket.scope)
    if await services.events.has_missed(asking, after, tenant=tenant, pod=pod):
        await socket.send_text('{"missed":true}')
    async with services.identity.staying(caller) as stay:
        told = services.events.stream(asking, after=after, tenant=tenant, pod=pod, is_over=lambda: stay.is_over)
        async with aclosing(told) as source:  # type: ignore[type-var]
            try:
                async for event in source:
                    if event is not None:
                        await socket.send_text(msgspec.json.encode(views.event_view(event, language)).decode())
            except TooSlowError:
                return TOO_SLOW
            except AgentPodError as error:
                _log.info("a socket of events ends: %s", error)
        return UNAUTHENTICATED if stay.is_over else GOING_AWAY


async def _until_gone(socket: WebSocket[Any, Any, Any]) -> None:
    """Wait until the client leaves; what it says meanwhile is of no interest."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_data(mode="text")


def _resume_from(last_event_id: str | None, after: int | None) -> int | None:
    if last_event_id is None:
        return after
    if _NUMBER.fullmatch(last_event_id) is None:
        raise AgentPodError("BadQuery", names=["Last-Event-ID"])
    return int(last_event_id)
