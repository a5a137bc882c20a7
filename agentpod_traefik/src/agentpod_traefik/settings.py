"""What an operator can set for Traefik, and what is wrong with what was set."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from agentpod_core import Problem
from agentpod_traefik.endpoint import LOCAL, is_endpoint

LAST_PORT = 65535
LOOPBACK = "127.0.0.1"
BY_DOMAIN = "auto"


class TraefikSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of the Traefik router.

    ``http`` and ``https`` are the public ports; ``https`` None serves plain HTTP only. ``bind`` is
    the address to listen on, empty for all of them. Both depend on the platform's domain where
    ``tls`` and ``bind`` are left alone: ``localhost`` is served on loopback without TLS, any other
    domain on all addresses with it. ``ping`` is a port on loopback where Traefik says that it lives.

    ``binary`` names the Traefik to run; left out, it is the first on PATH, else the one that came
    with this plugin.

    ``certificate`` and ``key`` are PEM files to serve; a renewed pair is picked up by itself.
    ``self_signed_domain`` makes a certificate for that domain and all names right below it; with
    neither, one is made for the platform's domain. ``redirect`` sends every plain HTTP request to
    HTTPS.

    ``response_header_timeout`` (seconds) is how long an agent may think before the first byte of
    its answer. It bounds nothing after that byte, so streams and WebSockets live as long as they
    like. Ten minutes is what the common LLM clients wait by default: a shorter time would cut off
    turns that the client still waits for, and none at all would let a hung agent hold its
    requests for ever.

    ``provider`` is where Traefik finds the routes: in files (``file``), or in labels of containers
    that never run (``docker``). The second needs Traefik 3.6.1 and lets Traefik read from a Docker
    Engine: ``docker_endpoint`` is where AgentPod asks it to keep the routes (``unix://``, ``tcp://``
    or ``http://``; left out, DOCKER_HOST or the local socket), ``docker_watch_endpoint`` where
    Traefik reads, if that is to be elsewhere: behind a proxy that lets nothing but GET through.
    """

    http: int = 80
    https: int | None = 443
    tls: bool | None = None
    bind: str = BY_DOMAIN
    ping: int = 8701
    binary: str | None = None
    certificate: str | None = None
    key: str | None = None
    self_signed_domain: str | None = None
    redirect: bool = False
    response_header_timeout: float = 600.0
    provider: Literal["file", "docker"] = "file"
    docker_endpoint: str | None = None
    docker_watch_endpoint: str | None = None


def settled(settings: TraefikSettings, domain: str, docker_host: str | None = None) -> TraefikSettings:
    """Fill in what was left to the platform's domain, and to where this machine's Docker clients look."""
    is_local = domain == "localhost" or domain.endswith(".localhost")
    has_tls = not is_local if settings.tls is None else settings.tls
    endpoint = settings.docker_endpoint or docker_host or LOCAL
    own_domain = settings.self_signed_domain or (None if settings.certificate or settings.key else domain)
    return msgspec.structs.replace(
        settings,
        tls=has_tls,
        https=settings.https if has_tls else None,
        bind=(LOOPBACK if is_local else "") if settings.bind == BY_DOMAIN else settings.bind,
        self_signed_domain=own_domain if has_tls else None,
        docker_endpoint=endpoint,
        docker_watch_endpoint=settings.docker_watch_endpoint or endpoint,
    )


def settings_problems(settings: TraefikSettings) -> list[Problem]:
    """List everything wrong with the settings."""
    return [*_port_problems(settings), *_other_problems(settings)]


def _port_problems(settings: TraefikSettings) -> Iterator[Problem]:
    holders: dict[int, str] = {}
    for name, port in (("http", settings.http), ("https", settings.https), ("ping", settings.ping)):
        if port is None:
            continue
        if not 0 < port <= LAST_PORT:
            yield _problem(name, "InvalidPort", f"must be 1 to {LAST_PORT}", value=port)
        elif port in holders:
            yield _problem(name, "PortTakenTwice", f"is the port of {holders[port]}", value=port, holder=holders[port])
        holders.setdefault(port, name)


def _other_problems(settings: TraefikSettings) -> Iterator[Problem]:
    if settings.bind not in {"", BY_DOMAIN} and not _is_address(settings.bind):
        yield _problem("bind", "InvalidAddress", "must be an IP address, or empty for all", value=settings.bind)
    if bool(settings.certificate) != bool(settings.key):
        yield _problem("key" if settings.certificate else "certificate", "CertificateNeedsKey", "is missing")
    if settings.redirect and settings.https is None:
        yield _problem("redirect", "RedirectNeedsHttps", "needs an HTTPS port")
    if settings.response_header_timeout <= 0:
        yield _problem(
            "response_header_timeout", "InvalidTimeout", "must be above 0", value=settings.response_header_timeout
        )
    if settings.provider == "docker":
        for field in ("docker_endpoint", "docker_watch_endpoint"):
            value = getattr(settings, field)
            if value is not None and not is_endpoint(value):
                yield _problem(field, "InvalidEndpoint", "must begin with unix://, tcp:// or http://", value=value)


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _problem(field: str, reason: str, claim: str, **params: object) -> Problem:
    return Problem(path=f"$.{field}", reason=reason, params={"field": field, **params}, message=f"{field} {claim}")
