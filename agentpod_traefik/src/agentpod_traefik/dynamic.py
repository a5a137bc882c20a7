"""Says in Traefik's words how a route is served; writes that as a file, and reads a route back from its file.

A file says everything about its route and depends on no other file. What ``refuse`` covers is part
of the one rule that lets requests in, so that nothing else has to work for it to hold. How the same
words become labels is told in ``carriers``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from agentpod_core import Route
from agentpod_traefik.static import PLAIN, SECURE, bracketed

PREFIX = "agentpod-"
SUFFIX = ".yml"
HEADER = "# Written by AgentPod, which undoes changes made here. Route: "

PRIORITY = 1000
"""Below Traefik's own default for long rules: an operator's router with a higher one goes first."""

DOCUMENTATION_ADDRESS = "192.0.2.1"
LOOPBACK = ("127.0.0.0/8", "::1/128")

# An agent may read a path more loosely than Traefik: an encoded slash as a slash, parameters after
# a semicolon as nothing, capital letters as small ones. What any such reading could take for a
# refused path is refused. Traefik has already decoded letters, merged slashes and resolved dots.
_SLASH = r"(?:[/\\]|%2F|%5C)"
_PARAMETERS = r"(?:(?:;|%3B)[^/\\]*)?"
_END = r"(?:$|[^a-z0-9_~.-])"
_DOTS_LEFT = rf"{_SLASH}\.{{1,2}}(?:$|{_SLASH})"
_ENCODED_TWICE = r"%25[0-9A-F]{2}"


class Serving(Struct, frozen=True, kw_only=True):
    """What is the same for all routes of one Traefik: which entry points serve them, and how patiently."""

    plain: bool = True
    secure: bool = False
    response_header_timeout: float = 600.0


def file_name(key: str) -> str:
    """Name the file of a route."""
    return f"{PREFIX}{key}{SUFFIX}"


def is_ours(name: str) -> bool:
    """Say whether a file of that name holds a route of ours."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


@lru_cache(maxsize=8192)
def file_text(route: Route, serving: Serving) -> str:
    """Write a route's file: its route in the first line, then JSON, which is YAML. Equal routes give equal texts."""
    body = msgspec.json.format(msgspec.json.encode({"http": http(route, serving)}), indent=2).decode()
    return f"{HEADER}{msgspec.json.encode(route).decode()}\n{body}\n"


def read(text: str, serving: Serving) -> Route | None:
    """Give the route that a file sets; None unless the file is exactly what would be written for it."""
    first, _, _ = text.partition("\n")
    try:
        route = msgspec.json.decode(first.removeprefix(HEADER), type=Route)
    except msgspec.DecodeError:
        return None
    return route if file_text(route, serving) == text else None


def http(route: Route, serving: Serving, *, transport: str | None = None) -> dict[str, Any]:
    """Say what Traefik needs to know to serve a route.

    ``transport`` names one that is defined elsewhere, for a provider that cannot define any; left
    out, the route gets its own.
    """
    name = f"{PREFIX}{route.key}"
    said: dict[str, Any] = {
        "routers": _routers(route, serving),
        "middlewares": _middlewares(route),
        "services": {
            name: {
                "loadBalancer": {
                    "servers": [{"url": f"http://{bracketed(route.target.host)}:{route.target.port}"}],
                    "passHostHeader": True,
                    "serversTransport": transport or name,
                }
            }
        },
    }
    return said if transport else said | {"serversTransports": {name: patience(serving)}}


def patience(serving: Serving) -> dict[str, Any]:
    """Say how long Traefik waits for an agent."""
    return {
        "forwardingTimeouts": {
            "dialTimeout": "5s",
            "responseHeaderTimeout": f"{round(serving.response_header_timeout * 1000)}ms",
            # Node and uvicorn close an idle connection after 5 s. Whoever keeps it longer sends
            # a request into the closing one now and then, and the client sees a 502.
            "idleConnTimeout": "4s",
        }
    }


def _middlewares(route: Route) -> dict[str, Any]:
    # Traefik replaces what clients claim in X-Forwarded-*, and passes on what they claim in Forwarded.
    claimed = {"Forwarded": ""}
    headers = {f"{PREFIX}unclaimed-{route.key}": claimed}
    if route.attribute_loopback:
        attributed = {"X-Forwarded-For": DOCUMENTATION_ADDRESS, "X-Real-Ip": DOCUMENTATION_ADDRESS}
        headers[f"{PREFIX}attributed-{route.key}"] = claimed | attributed
    return {name: {"headers": {"customRequestHeaders": values}} for name, values in headers.items()}


def _routers(route: Route, serving: Serving) -> dict[str, Any]:
    name = f"{PREFIX}{route.key}"
    from_loopback = " || ".join(f"ClientIP(`{network}`)" for network in LOOPBACK)
    routers: dict[str, Any] = {}
    for entrypoint, is_served in ((PLAIN, serving.plain), (SECURE, serving.secure)):
        if not is_served:
            continue
        router: dict[str, Any] = {
            "entryPoints": [entrypoint],
            "rule": rule(route),
            "priority": PRIORITY,
            "middlewares": [f"{PREFIX}unclaimed-{route.key}"],
            "service": name,
        }
        if entrypoint == SECURE:
            router["tls"] = {}
        routers[f"{PREFIX}{entrypoint}-{route.key}"] = router
        if route.attribute_loopback:
            routers[f"{PREFIX}{entrypoint}local-{route.key}"] = router | {
                "rule": f"({from_loopback}) && {rule(route)}",
                "priority": PRIORITY + 1,
                "middlewares": [f"{PREFIX}attributed-{route.key}"],
            }
    return routers


def rule(route: Route) -> str:
    """Write Traefik's rule for the requests that may reach the route's target."""
    hosts = " || ".join(f"Host(`{host}`)" for host in route.hosts)
    if not route.refuse:
        return f"({hosts})"
    # A request without a path that can be routed matches no path rule at all, so one is demanded.
    return f"({hosts}) && PathPrefix(`/`) && !PathRegexp(`{refusal(route.refuse)}`)"


def refusal(prefixes: tuple[str, ...]) -> str:
    """Write the expression that every path matches which some agent could take for one below ``prefixes``."""
    paths = "|".join(
        f"{_SLASH}+".join(f"{re.escape(part)}{_PARAMETERS}" for part in prefix.split("/") if part)
        for prefix in prefixes
    )
    return rf"(?i)^{_SLASH}+(?:{paths}){_END}|{_DOTS_LEFT}|{_ENCODED_TWICE}"
