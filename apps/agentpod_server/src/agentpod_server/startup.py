"""Puts a server together from its parts, in the order in which they need one another, and takes it apart again.

Embedded PostgreSQL and the router's process are started here and left running: they outlive the
server on purpose, and the next one adopts them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib import metadata
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from agentpod_core import AgentPodError, Clock, Daemon, Endpoint, Route, Runtime, TemporaryError
from agentpod_core.controller import Controller, Pace, Parts
from agentpod_core.embedding import SystemClock
from agentpod_core.host import Host, Redactor, secrets_in
from agentpod_core.plan import Timings
from agentpod_core.values.addresses import AllowedAddresses
from agentpod_server import app, dashboard, host_routes, listening, plugins
from agentpod_server.api.root import Check
from agentpod_server.census import Census
from agentpod_server.embedded.daemons import Daemons
from agentpod_server.embedded.postgres import EmbeddedPostgres
from agentpod_server.engine import ServerEngine
from agentpod_server.links import AgentLinks
from agentpod_server.notifiers import WebhookNotifier
from agentpod_server.notifiers.outward import Outward
from agentpod_server.plugins import Routing
from agentpod_server.records import Role, Scope
from agentpod_server.secrets import KeyRing, PostgresSecretStore
from agentpod_server.services import Addresses, EventHub, Offers, Services
from agentpod_server.services.alerts import Wording
from agentpod_server.services.retention import Kept
from agentpod_server.services.watching import Watching
from agentpod_server.settings import Settings
from agentpod_server.state import State, holders
from agentpod_server.store import bootstrap, instance, migrations
from agentpod_server.store.access import Access, access_beside, role_of
from agentpod_server.store.database import Database
from agentpod_server.store.engine import PostgresStore
from agentpod_server.store.listen import Listener
from agentpod_server.telemetry import ServerTelemetry

_log = logging.getLogger(__name__)

DASHBOARD = "agentpod"
"""Key of the dashboard's own route, and its subdomain."""


class Assembly(Struct, frozen=True, kw_only=True):
    """A server, ready to serve; ``daemon`` is the router's process, to be kept by ``daemons`` while it does."""

    services: Services
    watching: Watching
    controller: Controller
    daemon: Daemon | None
    daemons: Daemons
    host: Host
    parts: app.Parts
    addresses: Addresses


def version() -> str:
    """Give this server's version."""
    return metadata.version("agentpod-server")


def embedded_postgres(settings: Settings, state: State) -> EmbeddedPostgres | None:
    """Give the embedded database; None where the settings name another."""
    return EmbeddedPostgres(state, port=settings.database_port) if settings.database_url is None else None


def pace(settings: Settings) -> Pace:
    """Give how often a server looks at everything by these settings, and how many agents it lets boot at once."""
    return Pace(
        resync=settings.resync_interval * settings.time_scale, slots=os.cpu_count() or 1, scale=settings.time_scale
    )


async def open_database(settings: Settings, state: State) -> Access:
    """Bring the database up to date, starting the embedded one where none is named; gives the URLs of its roles.

    Raises:
        AgentPodError: what is wrong with it.
    """
    if postgres := embedded_postgres(settings, state):
        access = await postgres.start()
        admin, wanted = access.superuser, Access(owner_dsn=access.owner, app_dsn=access.app)
    else:
        admin = settings.database_url or ""
        wanted = access_beside(
            admin, owner_password=state.kept("database-owner"), app_password=state.kept("database-app")
        )
    await bootstrap.prepare(admin, wanted, instance=state.instance)
    for name in await migrations.migrate(wanted.owner_dsn, role_of(wanted.app_dsn)):
        _log.info("migrated the database: %s", name)
    return wanted


@asynccontextmanager
async def assembled(  # noqa: PLR0913 - what a server is made of
    settings: Settings,
    state: State,
    telemetry: ServerTelemetry,
    *,
    port: int,
    should_exit: Callable[[], bool],
    redactor: Redactor,
) -> AsyncIterator[Assembly]:
    """Put a server together; ``port`` is the one that it listens on. ``redactor`` is told the secrets it holds.

    Raises:
        AgentPodError: the first part that cannot be had, and why.
    """
    clock: Clock = SystemClock()
    async with AsyncExitStack() as stack:
        access = await open_database(settings, state)
        database = Database(access.app_dsn)
        await database.open()
        stack.push_async_callback(database.close)
        await instance.claim(database, state.instance)
        listener = Listener(database)
        stack.push_async_callback(listener.close)
        key = state.encryption_key()
        own_store = PostgresSecretStore(database, KeyRing.of(key))
        _learn_own(redactor, settings, state, access)
        # Beside the loop, which a plugin that takes its time must not keep from heeding a signal.
        host = await asyncio.to_thread(plugins.loaded, settings, [own_store, _webhooks(settings)], redactor)
        stack.push_async_callback(host.close)
        await plugins.remember(host, database)
        await plugins.opened(host, settings, state, clock)
        runtime, routing = plugins.runtime(host, settings), plugins.routing(host, settings)
        addresses = Addresses(domain=settings.domain, entrypoints=routing.entrypoints)
        secret_stores = plugins.secret_stores(host, settings)
        store = PostgresStore(
            database,
            listener=listener,
            hosts=addresses.hosts,
            secret_stores=secret_stores,
            happened=telemetry.happened,
        )
        links = AgentLinks(runtime, store.secret)
        controller = Controller(
            Parts(
                instance=state.instance,
                store=store,
                runtime=runtime,
                router=routing.router,
                clock=clock,
                telemetry=telemetry,
                timings=Timings().scaled(settings.time_scale),
                fixed_routes=(_dashboard(addresses, settings, port),),
                merge=plugins.merger(host),
                mend=plugins.mender(host),
                heal=plugins.healer(host, links),
                adapter_lack=plugins.adapter_lacks(host),
            ),
            # Two containers may have one host name, and each of them a process 1.
            holder=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
            probe=host.probe,
            links=links,
            pace=pace(settings),
        )
        hub = EventHub(database, lambda: listener.follow("events"))
        census = Census(database, controller, hub, telemetry.registry)

        async def exposition() -> tuple[bytes, str]:
            await census.refresh()
            return telemetry.exposition()

        engine = ServerEngine(instance=state.instance, controller=controller, runtime=runtime, store=store, links=links)
        services = Services(
            database=database,
            engine=engine,
            offers=Offers(host),
            needed=plugins.needed(settings),
            addresses=addresses,
            secret_store=secret_stores[settings.secret_store],
            secret_stores=secret_stores,
            hub=hub,
            clock=clock,
            instance=state.instance,
            cursor_key=hashlib.blake2b(key, person=b"agentpod cursors").digest(),
            address_range=settings.network_range,
            avoid_subnets=lambda: host_routes.routed_subnets(state.instance),
            should_exit=should_exit,
            wording=Wording(language=settings.language, dashboard=addresses.url(DASHBOARD, "dashboard")),
            follow_alerts=lambda: listener.follow("alerts"),
            time_scale=settings.time_scale,
            kept=Kept(events_for=timedelta(days=settings.event_retention_days), events_per_pod=settings.events_per_pod),
        )
        yield Assembly(
            services=services,
            watching=Watching(
                engine=engine,
                runtime=runtime,
                router=routing.router,
                clock=clock,
                store=store,
                folder=state.root,
                percent=settings.disk_alert_percent,
                scale=settings.time_scale,
            ),
            controller=controller,
            daemon=routing.daemon,
            daemons=Daemons(state),
            host=host,
            parts=app.Parts(
                services=services,
                database=database,
                version=version(),
                instance=state.instance,
                exposition=exposition,
                telemetry=telemetry,
                handlers=dashboard.handlers(lambda: listener.follow("status")),
                checks=_checks(runtime, routing, state.instance),
                language=settings.language,
            ),
            addresses=addresses,
        )


async def start_router(assembly: Assembly, settings: Settings, state: State) -> None:
    """Start the router's process, if it has one; its ports must be free or its own.

    Where another server of this folder runs one already, that is the leader's to keep or to replace.

    Raises:
        PermanentError: as ``listening.demand_free`` does.
    """
    daemon = assembly.daemon
    if daemon is None:
        return
    if assembly.daemons.running(daemon.name) is not None:
        if holders(state.root, "controller") - {os.getpid()}:
            return
    else:
        for field, (address, port) in daemon.ports.items():
            listening.demand_free(address, port, f"AGENTPOD_ROUTER_{settings.router.upper()}_{field.upper()}")
    await assembly.daemons.start(daemon)


@asynccontextmanager
async def undone_on_failure(settings: Settings, state: State) -> AsyncIterator[Callable[[], None]]:
    """End the database that a start has begun if the start fails; calling what this gives says that it did not.

    Where another server of this folder runs, which may use it by now, it stays.
    """
    postgres = embedded_postgres(settings, state)
    is_ours = postgres is not None and postgres.process is None

    def done() -> None:
        nonlocal is_ours
        is_ours = False

    try:
        yield done
    except AgentPodError:
        if postgres is not None and is_ours and not holders(state.root) - {os.getpid()}:
            await postgres.stop()
        raise


def _webhooks(settings: Settings) -> WebhookNotifier:
    # A target is a tenant's own: it must not lead to the pods of others, whatever else is opened.
    allowed = AllowedAddresses.of(settings.notify_private_addresses, never=[settings.network_range])
    return WebhookNotifier(Outward(allowed=allowed), agent=f"AgentPod/{version()}")


def _learn_own(redactor: Redactor, settings: Settings, state: State, access: Access) -> None:
    """Have the platform's own secrets kept out of texts, for a plugin runs in the same process and environment."""
    for url in (settings.database_url, access.owner_dsn, access.app_dsn):
        if url and (password := urlsplit(url).password):
            redactor.learn(unquote(password))
    for secret in secrets_in(dict(os.environ)):
        redactor.learn(secret)
    redactor.learn(base64.b64encode(state.encryption_key()).decode())
    if token := state.context_token():
        redactor.learn(token)


def _dashboard(addresses: Addresses, settings: Settings, port: int) -> Route:
    target = Endpoint(host="127.0.0.1" if settings.listen in {"0.0.0.0", "::"} else settings.listen, port=port)  # noqa: S104
    return Route(key=DASHBOARD, hosts=addresses.hosts(DASHBOARD), target=target)


def _checks(runtime: Runtime, routing: Routing, instance: str) -> dict[str, Check]:
    async def engine() -> None:
        # Any question will do: what is wanted is an answer.
        await runtime.inspect(f"agentpod-{instance}")

    async def routes() -> None:
        if routing.router is None:
            error = routing.error or TemporaryError("RouterUnreachable", router="?")
            raise error.with_traceback(None)
        if not await routing.router.ready():
            raise TemporaryError("RouterUnreachable", router=routing.router.name)

    return {"engine": engine, "router": routes}


async def first_admin(assembly: Assembly, state: State) -> str | None:
    """Make the admin of a new platform and give the password to show; None when it was shown before."""
    identity = assembly.services.identity
    if waiting := state.first_password():
        await identity.create_admin(waiting)
        return waiting
    password = state.new_first_password()
    if await identity.create_admin(password):
        return password
    state.first_password_shown()
    return None


async def local_context(assembly: Assembly, state: State, url: str) -> None:
    """Let the command line of this user reach this server: keep the token it has, or make one."""
    identity = assembly.services.identity
    token = state.context_token()
    if token is None or await identity.by_token(token) is None:
        _, token = await identity.create_token(Scope(), name="local command line", role=Role.ADMIN)
    state.write_context(url, token)
