"""Addresses of agents as a router should serve them, and what is wrong with a set of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from agentpod_core.errors import Problem
from agentpod_core.values.world import Endpoint

ROUTE_KEY = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
PATH_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+/?")


class Route(Struct, frozen=True, kw_only=True):
    """One agent's public address. ``key`` is unique among routes and fit for a file name.

    ``hosts`` are full host names in lower case; no two routes share one. See ``RouteSpec`` for
    ``refuse`` (whole path segments: ``/v1`` covers ``/v1/x``, not ``/v1beta``) and
    ``attribute_loopback``. ``route_problems`` says what a router has to turn away.
    """

    key: str
    hosts: tuple[str, ...]
    target: Endpoint
    refuse: tuple[str, ...] = ()
    attribute_loopback: bool = False


class Entrypoints(Struct, frozen=True, kw_only=True):
    """Where a router listens for the public. ``https`` None serves plain HTTP only."""

    http: int = 80
    https: int | None = 443
    bind: str = ""


class Certificate(Struct, frozen=True, kw_only=True):
    """A certificate that a router serves, or should: for which names, and until when.

    ``reason`` and ``params`` say what is wrong with it apart from its end, as a reason of the catalogue.
    """

    hosts: tuple[str, ...]
    ends_at: datetime | None = None
    reason: str = ""
    params: dict[str, Any] = {}


class Daemon(Struct, frozen=True, kw_only=True):
    """A process that AgentPod keeps running beside itself, in a session of its own.

    ``argv[0]`` is absolute. ``files`` maps paths to texts to be written (0600) before a start;
    ``folders`` are to exist. ``capabilities`` are kernel ones (``net_bind_service``) that an
    unprivileged process needs, ``groups`` ids of groups that it has to be in besides its own, both
    where it is started by root. ``identity`` changes when a running one has to be replaced by a
    new one. ``log`` is where its output goes. ``owned`` are paths that are to belong, with everything
    in them, to the user that the process runs as before it starts. ``ports`` are what it listens on
    (address and port), by the plugin's setting that chooses each.
    """

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = {}
    files: dict[str, str] = {}
    folders: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    identity: str = ""
    log: str = ""
    owned: tuple[str, ...] = ()
    ports: dict[str, tuple[str, int]] = {}


def route_problems(routes: Sequence[Route]) -> list[Problem]:
    """List everything that keeps these routes from being served together; empty when nothing does.

    Every router refuses such a set as a whole. What passes holds no character that could end a
    quoted string in a router's own configuration language.
    """
    return [
        *(problem for index, route in enumerate(routes) for problem in _own_problems(route, f"$[{index}]")),
        *_clashes(routes),
    ]


def _own_problems(route: Route, path: str) -> Iterator[Problem]:
    if not ROUTE_KEY.fullmatch(route.key):
        yield _problem(f"{path}.key", "InvalidRouteKey", "is no key for a route", value=route.key[:80])
    if not route.hosts:
        yield _problem(f"{path}.hosts", "RouteWithoutHost", "names no host", key=route.key[:80])
    for index, host in enumerate(route.hosts):
        if not HOST_NAME.fullmatch(host):
            yield _problem(f"{path}.hosts[{index}]", "InvalidHost", "is no host name", value=host[:80])
    for index, prefix in enumerate(route.refuse):
        if not PATH_PREFIX.fullmatch(prefix) or any(part in {".", ".."} for part in prefix.split("/")):
            yield _problem(f"{path}.refuse[{index}]", "InvalidPathPrefix", "is no path prefix", value=prefix[:80])
    if not _is_host(route.target.host) or not 0 < route.target.port < 65536:  # noqa: PLR2004 - the last port
        target = f"{route.target.host[:80]}:{route.target.port}"
        yield _problem(f"{path}.target", "InvalidTarget", "is no address with a port", value=target)


def _clashes(routes: Sequence[Route]) -> Iterator[Problem]:
    keys: set[str] = set()
    holders: dict[str, str] = {}
    for index, route in enumerate(routes):
        if route.key in keys:
            yield _problem(f"$[{index}].key", "DuplicateRoute", "is the key of another route", value=route.key[:80])
        keys.add(route.key)
        for position, host in enumerate(route.hosts):
            if host in holders:
                yield _problem(
                    f"$[{index}].hosts[{position}]",
                    "HostTaken",
                    "belongs to another route",
                    value=host[:80],
                    holder=holders[host],
                )
            holders.setdefault(host, route.key[:80])


def _is_host(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return HOST_NAME.fullmatch(value) is not None
    return "%" not in value


def _problem(path: str, reason: str, claim: str, **params: str) -> Problem:
    return Problem(path=path, reason=reason, params=params, message=f"{next(iter(params.values()))!r} {claim}")
