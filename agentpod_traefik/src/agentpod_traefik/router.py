"""The router itself: keeps routes where Traefik finds them, and describes the process that serves them.

It starts no process and asks Traefik for nothing but signs of life. How routes are kept is the providers'
matter: ``files`` or ``labels``.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import httpx
import msgspec
from msgspec import Struct

from agentpod_core import (
    Certificate,
    Clock,
    ConfigError,
    Daemon,
    Entrypoints,
    HostContext,
    PermanentError,
    Route,
    Router,
    TemporaryError,
    route_problems,
)
from agentpod_traefik.binary import Binary, find, within_reach
from agentpod_traefik.carriers import TRANSPORT, constraint
from agentpod_traefik.certificates import CertificateFolder, Pair, read_pair
from agentpod_traefik.dynamic import Serving, patience
from agentpod_traefik.endpoint import LOCAL, groups_to_reach
from agentpod_traefik.files import FileRoutes
from agentpod_traefik.folder import WatchedFolder
from agentpod_traefik.labels import LabelRoutes, Place
from agentpod_traefik.settings import LOOPBACK, TraefikSettings, settings_problems, settled
from agentpod_traefik.static import static_text

PLATFORM_FILE = "agentpod.yml"
"""What is no route: TLS and patience for all of them. No route's key can give this name."""

LABELS_SINCE = (3, 6, 1)
"""The first version that reads labels of containers that don't run, and speaks to every engine."""

UNPRIVILEGED_PORTS = 1024
PING_TIMEOUT = 2.0

log = logging.getLogger(__name__)


class TraefikRouter(Router):
    """Serves routes through Traefik: from one file a route in a watched folder, or from labels of carriers.

    What is kept there outlives this process and Traefik, so agents stay reachable while either is
    replaced, and what other people keep beside it is served too.
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
            PermanentError: Traefik is missing or of a version that is not supported, or may not see the engine.
            TemporaryError: Traefik is silent, the folder cannot be written, or there is no engine.
        """
        settings = settled(context.settings, context.domain, os.environ.get("DOCKER_HOST"))
        problems = settings_problems(settings)
        if problems:
            raise ConfigError(problems, "InvalidSettings", name=self.name, plugin="traefik")
        opened = _Opened(context, settings, await find(settings.binary))
        try:
            await asyncio.to_thread(opened.prepare)
        except OSError as error:
            raise TemporaryError("RoutesNotWritten", path=str(context.folder), detail=str(error)) from error
        await opened.take_over()
        self._opened = opened

    async def close(self) -> None:
        """Let go; what was set goes on being served."""
        self._opened = None

    async def observe(self) -> list[Route]:
        """List the routes that are set; what was changed by hand sets none of ours."""
        return await self._ready_for_use().provider.observe()

    async def apply(self, routes: Sequence[Route]) -> bool:
        """Change what differs; renew the certificate if it is due.

        Raises:
            ConfigError: routes are wrong or clash; nothing was changed.
            TemporaryError: folder or engine fail; what was done stays, and the next apply goes on from there.
        """
        opened = self._ready_for_use()
        problems = route_problems(routes)
        if problems:
            raise ConfigError(problems, "InvalidRoutes", router=self.name)
        async with self._applying:
            try:
                await asyncio.to_thread(opened.refresh_certificate)
            except OSError as error:
                raise TemporaryError("RoutesNotWritten", path=str(opened.folder), detail=str(error)) from error
            has_changed = await opened.provider.apply(routes)
            return await opened.leave_the_other() or has_changed

    def entrypoints(self) -> Entrypoints:
        """Say the ports and the address that were set."""
        settings = self._ready_for_use().settings
        return Entrypoints(http=settings.http, https=settings.https, bind=settings.bind)

    def daemon(self) -> Daemon:
        """Describe Traefik as it is to be run: unprivileged, with its own configuration and nothing else."""
        return self._ready_for_use().daemon()

    async def certificates(self) -> tuple[Certificate, ...]:
        """Describe what is served, and say so if the operator's newer pair cannot be."""
        return await asyncio.to_thread(self._ready_for_use().certificates)

    async def ready(self) -> bool:
        """Say whether Traefik answers its ping, which it does once its ports are open, and follows changes."""
        opened = self._ready_for_use()
        url = f"http://127.0.0.1:{opened.settings.ping}/ping"
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=PING_TIMEOUT) as client:
                answers = (await client.get(url)).is_success
        except httpx.HTTPError:
            return False
        return answers and await opened.is_followed(within=PING_TIMEOUT)

    def _ready_for_use(self) -> _Opened:
        if self._opened is None:
            raise RuntimeError("a router is opened before it is used")
        return self._opened


class _Opened:
    """What a router has once it is open. Methods that are no coroutines block on files and are run in a thread."""

    def __init__(self, context: HostContext, settings: TraefikSettings, binary: Binary) -> None:
        self.settings = settings
        self.folder = context.folder
        self._instance = context.instance
        self._clock: Clock = context.clock
        self._binary = binary
        self._runnable = binary.path
        self._routes = self.folder / "routes"
        self._watched = WatchedFolder(self._routes, self.folder / "staging")
        self._certificates = CertificateFolder(self.folder / "tls")
        self._serving = Serving(
            plain=not settings.redirect,
            secure=settings.https is not None,
            response_header_timeout=settings.response_header_timeout,
        )
        self._has_labels = settings.provider == "docker"
        self._groups: tuple[int, ...] = ()
        self._files = FileRoutes(self._watched, self._routes, self._serving)
        self._note = self.folder / "carriers"
        self._labels = self._labels_at(settings.docker_endpoint or LOCAL)
        self.provider: FileRoutes | LabelRoutes = self._labels if self._has_labels else self._files

    def prepare(self) -> None:
        if self._has_labels:
            if self._binary.version < LABELS_SINCE:
                wanted = f">= {'.'.join(map(str, LABELS_SINCE))}, < 4"
                raise PermanentError(
                    "TraefikUnsupported", version=self._binary.release, wanted=wanted, path=str(self._binary.path)
                )
            self._groups = groups_to_reach(self.settings.docker_watch_endpoint or LOCAL)
        # Traefik runs as somebody else: it may pass through this folder, and read what is open in it.
        self.folder.chmod(0o711)
        self._watched.prepare()
        self._certificates.prepare()
        self._runnable = within_reach(self._binary, self.folder / "bin")
        self._write_platform(self._pair())

    async def take_over(self) -> None:
        """Fill the files from the labels if those were what Traefik read until now: the next one reads files alone.

        The other way round there is nothing to do: Traefik reads the files until labels are there.
        """
        if self._has_labels or not self._note.exists() or await self._files.observe():
            return
        try:
            await self._files.apply(await self._former_labels().observe())
        except TemporaryError as error:
            log.warning("the routes in labels were not taken over: %s", error)

    async def is_followed(self, within: float) -> bool:
        """Say whether Traefik knows what was set last; of files it does before anybody can ask."""
        return not self._has_labels or await self._labels.is_followed(within)

    async def leave_the_other(self) -> bool:
        """Clear away what the other provider has, once Traefik can do without it."""
        if self._has_labels:
            is_known = await self._files.has_any() and await self._labels.is_followed(within=0)
            return is_known and await self._files.apply([])
        if not self._note.exists():
            return False
        try:
            return await self._former_labels().clear()
        except TemporaryError as error:
            # Nobody reads them any more: they are in nobody's way until the engine is back.
            log.warning("the routes in labels were not cleared away: %s", error)
            return False

    def _former_labels(self) -> LabelRoutes:
        return self._labels_at(self._note.read_text(encoding="utf-8").strip())

    def _labels_at(self, endpoint: str) -> LabelRoutes:
        place = Place(endpoint=endpoint, instance=self._instance, ping=self.settings.ping)
        return LabelRoutes(place, self._serving, self._note)

    def daemon(self) -> Daemon:
        static = self.folder / "traefik.yml"
        text = static_text(self.settings, self._routes, self._binary.version, self._docker())
        said = f"{self._runnable}\n{self._binary.release}\n{text}" + "".join(f"\n{group}" for group in self._groups)
        fingerprint = hashlib.sha256(said.encode()).hexdigest()
        ports = [self.settings.http, self.settings.https or self.settings.http]
        return Daemon(
            name="traefik",
            argv=(str(self._runnable), f"--configFile={static}"),
            files={str(static): text},
            capabilities=("net_bind_service",) if min(ports) < UNPRIVILEGED_PORTS else (),
            groups=self._groups,
            identity=fingerprint[:16],
            log=str(self.folder / "traefik.log"),
            owned=(str(self._certificates.path),),
            ports={"http": (self.settings.bind, self.settings.http), "ping": (LOOPBACK, self.settings.ping)}
            | ({"https": (self.settings.bind, self.settings.https)} if self.settings.https else {}),
        )

    def _docker(self) -> dict[str, Any] | None:
        if not self._has_labels:
            return None
        return {
            "endpoint": self.settings.docker_watch_endpoint,
            "exposedByDefault": False,
            "constraints": constraint(self._instance),
        }

    def certificates(self) -> tuple[Certificate, ...]:
        if self.settings.https is None:
            return ()
        served = self._certificates.served()
        if not (self.settings.certificate and self.settings.key):
            return served
        try:
            read_pair(Path(self.settings.certificate), Path(self.settings.key))
        except ConfigError as error:
            wrong = error.problems[0]
            return (*served, Certificate(hosts=(self.settings.certificate,), reason=wrong.reason, params=wrong.params))
        return served

    def refresh_certificate(self) -> None:
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
        config: dict[str, object] = {"tls": tls}
        if self._has_labels:
            config["http"] = {"serversTransports": {TRANSPORT: patience(self._serving)}}
        text = msgspec.json.format(msgspec.json.encode(config), indent=2).decode() + "\n"
        self._watched.write(PLATFORM_FILE, text)
        self._certificates.forget_all_but(pair)
