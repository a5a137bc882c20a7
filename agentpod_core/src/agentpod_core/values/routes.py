"""Addresses of agents as a router should serve them."""

from __future__ import annotations

from msgspec import Struct

from agentpod_core.values.world import Endpoint


class Route(Struct, frozen=True, kw_only=True):
    """One agent's public address. ``key`` is unique among routes and fit for a file name.

    ``hosts`` are full host names. See ``RouteSpec`` for ``refuse`` and ``attribute_loopback``.
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


class Daemon(Struct, frozen=True, kw_only=True):
    """A process that AgentPod keeps running beside itself, in a session of its own.

    ``argv[0]`` is absolute. ``files`` maps paths to texts to be written (0600) before a start;
    ``folders`` are to exist. ``capabilities`` are kernel ones (``net_bind_service``) that an
    unprivileged process needs. ``identity`` changes when a running one has to be replaced by a
    new one. ``log`` is where its output goes.
    """

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = {}
    files: dict[str, str] = {}
    folders: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    identity: str = ""
    log: str = ""
