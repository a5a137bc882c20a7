"""The router itself: keeps Traefik's files as the engine wants them and describes the process that reads them.

It starts no process and asks Traefik for nothing but a sign of life; what is set is what the files say.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import httpx
import msgspec
from msgspec import Struct

from agentpod_core import (
    Clock,
    ConfigError,
    Daemon,
    Entrypoints,
    HostContext,
    Route,
    Router,
    TemporaryError,
    route_problems,
)
from agentpod_traefik.binary import Binary, find, within_reach
from agentpod_traefik.certificates import CertificateFolder, Pair
from agentpod_traefik.dynamic import Serving, file_name, file_text, is_ours, read
from agentpod_traefik.folder import WatchedFolder
from agentpod_traefik.settings import LOOPBACK, TraefikSettings, settings_problems, settled
from agentpod_traefik.static import static_text

PLATFORM_FILE = "agentpod.yml"
"""What is no route: TLS for all of them. No route's key can give this name."""

UNPRIVILEGED_PORTS = 1024
PING_TIMEOUT = 2.0

log = logging.getLogger(__name__)


class TraefikRouter(Router):
    """Serves routes through Traefik's file provider: one file a route, renamed into a watched folder.

    The files are the truth. They outlive this process and Traefik, so agents stay reachable while
    either is replaced, and files of other people in the same folder are served beside ours.
    """

    name: ClassVar[str] = "traefik"
    title: ClassVar[str] = "Traefik"
    settings_type: ClassVar[type[Struct]] = TraefikSettings

    def __init__(self) -> None:
        self._opened: _Opened | None = None
        self._applying = asyncio.Lock()

    async def open(self, context: HostContext) -> None:
        """Find Traefik, make the folders, and put the certificate in place.

        Raises:
            ConfigError: settings are wrong; all that is wrong at once.
            PermanentError: Traefik is missing or of a version that is not supported.
            TemporaryError: Traefik is silent, or the folder cannot be written.
        """
        settings = settled(context.settings, context.domain)
        problems = settings_problems(settings)
        if problems:
            raise ConfigError(problems, "InvalidSettings", name=self.name, plugin="traefik")
        opened = _Opened(context.folder, settings, await find(settings.binary), context.clock)
        try:
            await asyncio.to_thread(opened.prepare)
        except OSError as error:
            raise TemporaryError("RoutesNotWritten", path=str(context.folder), detail=str(error)) from error
        self._opened = opened

    async def close(self) -> None:
        """Let go; what was set goes on being served."""
        self._opened = None

    async def observe(self) -> list[Route]:
        """List the routes that are set; a file that was changed by hand sets none of ours."""
        opened = self._ready_for_use()
        try:
            return await asyncio.to_thread(opened.observe)
        except OSError as error:
            raise TemporaryError("RoutesUnreadable", path=str(opened.routes), detail=str(error)) from error

    async def apply(self, routes: Sequence[Route]) -> bool:
        """Write the files that differ and remove those that are too many; renew the certificate if it is due.

        Raises:
            ConfigError: routes are wrong or clash; nothing was changed.
            TemporaryError: the folder cannot be written; what was written stays.
        """
        opened = self._ready_for_use()
        problems = route_problems(routes)
        if problems:
            raise ConfigError(problems, "InvalidRoutes", router=self.name)
        async with self._applying:
            try:
                return await asyncio.to_thread(opened.apply, routes)
            except OSError as error:
                raise TemporaryError("RoutesNotWritten", path=str(opened.routes), detail=str(error)) from error

    def entrypoints(self) -> Entrypoints:
        """Say the ports and the address that were set."""
        settings = self._ready_for_use().settings
        return Entrypoints(http=settings.http, https=settings.https, bind=settings.bind)

    def daemon(self) -> Daemon:
        """Describe Traefik as it is to be run: unprivileged, with its own configuration and nothing else."""
        return self._ready_for_use().daemon()

    async def ready(self) -> bool:
        """Say whether Traefik answers its ping, which it does once its ports are open."""
        url = f"http://127.0.0.1:{self._ready_for_use().settings.ping}/ping"
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=PING_TIMEOUT) as client:
                return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False

    def _ready_for_use(self) -> _Opened:
        if self._opened is None:
            raise RuntimeError("a router is opened before it is used")
        return self._opened


class _Opened:
    """What a router has once it is open. Its methods block on files and are run in a thread."""

    def __init__(self, folder: Path, settings: TraefikSettings, binary: Binary, clock: Clock) -> None:
        self.settings = settings
        self.routes = folder / "routes"
        self._folder = folder
        self._binary = binary
        self._runnable = binary.path
        self._clock = clock
        self._watched = WatchedFolder(self.routes, folder / "staging")
        self._certificates = CertificateFolder(folder / "tls")
        self._serving = Serving(
            plain=not settings.redirect,
            secure=settings.https is not None,
            response_header_timeout=settings.response_header_timeout,
        )

    def prepare(self) -> None:
        # Traefik runs as somebody else: it may pass through this folder, and read what is open in it.
        self._folder.chmod(0o711)
        self._watched.prepare()
        self._certificates.prepare()
        self._runnable = within_reach(self._binary, self._folder / "bin")
        self._write_platform(self._pair())

    def observe(self) -> list[Route]:
        texts = self._watched.texts(is_ours).items()
        found = [(name, read(text, self._serving)) for name, text in texts]
        routes = [route for name, route in found if route is not None and file_name(route.key) == name]
        return sorted(routes, key=lambda route: route.key)

    def apply(self, routes: Sequence[Route]) -> bool:
        self._refresh_certificate()
        texts = {file_name(route.key): file_text(route, self._serving) for route in routes}
        written, removed = self._watched.replace(texts, is_ours)
        if written or removed:
            log.info("routes changed: %d written, %d removed, %d in all", len(written), len(removed), len(texts))
        return bool(written or removed)

    def daemon(self) -> Daemon:
        static = self._folder / "traefik.yml"
        text = static_text(self.settings, self.routes, self._binary.version)
        fingerprint = hashlib.sha256(f"{self._runnable}\n{self._binary.release}\n{text}".encode()).hexdigest()
        ports = [self.settings.http, self.settings.https or self.settings.http]
        return Daemon(
            name="traefik",
            argv=(str(self._runnable), f"--configFile={static}"),
            files={str(static): text},
            capabilities=("net_bind_service",) if min(ports) < UNPRIVILEGED_PORTS else (),
            identity=fingerprint[:16],
            log=str(self._folder / "traefik.log"),
            owned=(str(self._certificates.path),),
            ports={"http": (self.settings.bind, self.settings.http), "ping": (LOOPBACK, self.settings.ping)}
            | ({"https": (self.settings.bind, self.settings.https)} if self.settings.https else {}),
        )

    def _refresh_certificate(self) -> None:
        try:
            pair = self._pair()
        except ConfigError as error:
            # A renewal that is under way shows a new certificate beside an old key: the old pair serves on.
            log.warning("the certificate was not renewed: %s", error)
            return
        self._write_platform(pair)

    def _pair(self) -> Pair | None:
        if self.settings.https is None:
            return None
        if self.settings.certificate and self.settings.key:
            return self._certificates.adopt(Path(self.settings.certificate), Path(self.settings.key))
        if self.settings.self_signed_domain:
            return self._certificates.self_signed(self.settings.self_signed_domain, self._clock.now())
        return None

    def _write_platform(self, pair: Pair | None) -> None:
        tls: dict[str, object] = {"options": {"default": {"minVersion": "VersionTLS12"}}}
        if pair is not None:
            served = {"certFile": str(pair.certificate), "keyFile": str(pair.key)}
            tls["stores"] = {"default": {"defaultCertificate": served}}
        text = msgspec.json.format(msgspec.json.encode({"tls": tls}), indent=2).decode() + "\n"
        self._watched.write(PLATFORM_FILE, text)
        self._certificates.forget_all_but(pair)
