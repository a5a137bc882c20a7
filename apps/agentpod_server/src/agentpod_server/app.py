"""Builds the web application from its parts; starts nothing but what the application itself needs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ControllerRouterHandler, Middleware
from msgspec import Struct

from agentpod_core.catalogue import Language
from agentpod_server.api import auth, docs, preconditions, problems, requests
from agentpod_server.api.front import App
from agentpod_server.api.root import Check
from agentpod_server.api.routes import PREFIX, routes
from agentpod_server.persisting import repeat
from agentpod_server.services import Services
from agentpod_server.store.database import Database
from agentpod_server.telemetry import ServerTelemetry

LARGEST_BODY = 1024 * 1024
_SWEEP_SECONDS = 3600.0


class Parts(Struct, frozen=True, kw_only=True):
    """What the application is made of.

    ``checks`` are asked by ``/readyz`` beside the database. ``exposition`` gives the metrics and
    their content type. ``telemetry`` is told of every request. ``handlers`` and ``middleware`` are the
    dashboard's. ``language`` is that of readers who ask for none.
    """

    services: Services
    database: Database
    version: str
    instance: str
    exposition: Callable[[], Awaitable[tuple[bytes, str]]]
    telemetry: ServerTelemetry
    checks: Mapping[str, Check] = {}
    handlers: Sequence[ControllerRouterHandler] = ()
    middleware: Sequence[Middleware] = ()
    language: Language = "en"
    litestar: Mapping[str, Any] = {}


def create_app(parts: Parts) -> Litestar:
    """Build the application. While it is up it hands out events and does operations."""
    return App(
        route_handlers=[*routes(), *docs.handlers(PREFIX), *parts.handlers],
        guards=[auth.guard],
        middleware=list(parts.middleware),
        before_send=[requests.add_headers],
        exception_handlers=problems.exception_handlers(),
        request_max_body_size=LARGEST_BODY,
        dependencies={
            "services": Provide(lambda: parts.services, sync_to_thread=False),
            "caller": Provide(auth.provide_caller),
            "asking": Provide(auth.provide_asking),
            "expected": Provide(preconditions.provide_expected),
            "language": Provide(_language, sync_to_thread=False),
        },
        state=State(
            {
                "services": parts.services,
                "checks": {"database": parts.database.ping, **parts.checks},
                "exposition": parts.exposition,
                "telemetry": parts.telemetry,
                "version": parts.version,
                "instance": parts.instance,
                "language": parts.language,
            }
        ),
        openapi_config=None,
        lifespan=[_at_work(parts.services)],
        logging_config=None,
        debug=False,
        **parts.litestar,
    )


def _language(request: Request[Any, Any, Any]) -> Language:
    return requests.language(request.scope)


def _at_work(services: Services) -> Callable[[Litestar], contextlib.AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def at_work(_: Litestar) -> AsyncIterator[None]:
        async with services.hub.running():
            sweeping = repeat("taking away old sessions", services.identity.sweep, every=_SWEEP_SECONDS)
            tasks = [
                asyncio.create_task(services.runner.run(), name="operations"),
                asyncio.create_task(sweeping, name="session-sweep"),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    return at_work
