"""The configuration that Traefik reads once, at its start: ports, timeouts, and the folder that it watches."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import msgspec

from agentpod_traefik.settings import TraefikSettings

PLAIN = "web"
SECURE = "websecure"
PING = "ping"

THROTTLE = "20ms"
"""How long Traefik collects changes before it applies them; its default of 2 s is the whole latency of a route."""

ALIASES_SINCE = (3, 7, 12)
"""The first version that knows ``aliasHeadersStrategy``; earlier ones refuse to start with an unknown key."""


def static_text(
    settings: TraefikSettings, routes: Path, version: tuple[int, int, int], docker: dict[str, Any] | None = None
) -> str:
    """Write Traefik's static configuration as JSON, which is YAML.

    ``docker`` is what Traefik is to know about Docker; None keeps it away from there.

    What is absent is meant: no API, no dashboard, no access log, no metrics, no trusted proxies,
    and no compression, buffering or retries for requests that may be streams.
    """
    config = _static(settings, routes, version)
    if docker is not None:
        config["providers"]["docker"] = docker
    return msgspec.json.format(msgspec.json.encode(config), indent=2).decode() + "\n"


def _static(settings: TraefikSettings, routes: Path, version: tuple[int, int, int]) -> dict[str, Any]:
    entrypoints = {
        PLAIN: _public(settings.bind, settings.http, version),
        PING: {"address": f"127.0.0.1:{settings.ping}", "http": _strict(version)},
    }
    if settings.https is not None:
        entrypoints[SECURE] = _public(settings.bind, settings.https, version)
        if settings.redirect:
            # Browsers remember a permanent one for ever, also after the operator has turned it off.
            redirection = {"to": SECURE, "scheme": "https", "permanent": False}
            entrypoints[PLAIN]["http"]["redirections"] = {"entryPoint": redirection}
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "WARN", "noColor": True},
        "entryPoints": entrypoints,
        "providers": {
            "providersThrottleDuration": THROTTLE,
            "file": {"directory": str(routes), "watch": True},
        },
        "ping": {"entryPoint": PING},
    }


def _public(bind: str, port: int, version: tuple[int, int, int]) -> dict[str, Any]:
    # A read timeout ends uploads, a write timeout ends streams and long answers; only idle connections may end.
    timeouts = {"readTimeout": "0s", "writeTimeout": "0s", "idleTimeout": "180s"}
    return {
        "address": f"{bracketed(bind)}:{port}",
        "transport": {"respondingTimeouts": timeouts},
        "forwardedHeaders": {"insecure": False},
        "http": _strict(version),
    }


def _strict(version: tuple[int, int, int]) -> dict[str, Any]:
    http: dict[str, Any] = {"sanitizePath": True}
    if version >= ALIASES_SINCE:
        # ``X_Forwarded_For`` and ``X.Forwarded.For`` read as X-Forwarded-For in many web frameworks.
        http["aliasHeadersStrategy"] = "delete"
    return http


def bracketed(host: str) -> str:
    """Write a host as it stands before a port: IPv6 addresses in brackets, all else as it is."""
    try:
        is_six = ipaddress.ip_address(host).version == 6  # noqa: PLR2004 - the other IP
    except ValueError:
        return host
    return f"[{host}]" if is_six else host
