"""What an operator can set for Traefik, and what is wrong with what was set."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from msgspec import Struct

from agentpod_core import Problem

LAST_PORT = 65535


class TraefikSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of the Traefik router.

    ``http`` and ``https`` are the public ports; ``https`` None serves plain HTTP only. ``bind`` is
    the address to listen on, empty for all of them. ``ping`` is a port on loopback where Traefik
    says that it lives.

    ``binary`` names the Traefik to run; left out, it is the first on PATH, else the one that came
    with this plugin.

    ``certificate`` and ``key`` are PEM files to serve; a renewed pair is picked up by itself.
    ``self_signed_domain`` makes a certificate for that domain and all names right below it. With
    neither, Traefik serves one of its own making that no client trusts. ``redirect`` sends every
    plain HTTP request to HTTPS.

    ``response_header_timeout`` (seconds) is how long an agent may think before the first byte of
    its answer. It bounds nothing after that byte, so streams and WebSockets live as long as they
    like. Ten minutes is what the common LLM clients wait by default: a shorter time would cut off
    turns that the client still waits for, and none at all would let a hung agent hold its
    requests for ever.
    """

    http: int = 80
    https: int | None = 443
    bind: str = ""
    ping: int = 8701
    binary: str | None = None
    certificate: str | None = None
    key: str | None = None
    self_signed_domain: str | None = None
    redirect: bool = False
    response_header_timeout: float = 600.0


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
    if settings.bind and not _is_address(settings.bind):
        yield _problem("bind", "InvalidAddress", "must be an IP address, or empty for all", value=settings.bind)
    if bool(settings.certificate) != bool(settings.key):
        yield _problem("key" if settings.certificate else "certificate", "CertificateNeedsKey", "is missing")
    if settings.redirect and settings.https is None:
        yield _problem("redirect", "RedirectNeedsHttps", "needs an HTTPS port")
    if settings.response_header_timeout <= 0:
        yield _problem(
            "response_header_timeout", "InvalidTimeout", "must be above 0", value=settings.response_header_timeout
        )


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _problem(field: str, reason: str, claim: str, **params: object) -> Problem:
    return Problem(path=f"$.{field}", reason=reason, params={"field": field, **params}, message=f"{field} {claim}")
