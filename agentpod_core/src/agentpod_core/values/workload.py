"""What an adapter turns a config into: the container as AgentPod should run it, without an engine's words.

A workload holds references to secrets, never their values, and is stored as it was rendered: a later
version of the adapter changes nothing until the spec changes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from agentpod_core.values.resources import Resources

SECRETS_VOLUME = "secrets"
SECRETS_PATH = "/run/agentpod/secrets"
"""Where files with secret parts lie in every pod that has some: a volume of its own, not in backups."""


class SecretRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Points at one version of a secret in a named store; it is safe to log, store and show."""

    key: str
    store: str = "postgres"
    version: int = 1


class Quote(StrEnum):
    """How a secret's value is written into its place in a file; ``json`` makes a string literal, quotes included."""

    NONE = "none"
    JSON = "json"


class OnChange(StrEnum):
    """What a changed file asks for: nothing, a restart, or a merge with what the agent made of it."""

    LIVE = "live"
    RESTART = "restart"
    MERGED = "merged"


class File(Struct, frozen=True, kw_only=True):
    """A file to be in place before the agent starts.

    ``path`` is absolute and lies in one of the workload's volumes; a file with a SecretRef among
    its ``parts`` lies below ``SECRETS_PATH``. ``once`` files are seeds: written only where the
    agent has no such file yet. ``mode`` defaults to owner only.
    """

    path: str
    parts: tuple[str | SecretRef, ...]
    quote: Quote = Quote.NONE
    mode: int = 0o600
    on_change: OnChange = OnChange.RESTART
    once: bool = False


class Port(Struct, frozen=True, kw_only=True):
    """A port on which the agent listens inside its container."""

    name: str
    number: int


class Volume(Struct, frozen=True, kw_only=True):
    """Data that outlives the container; ``name`` is unique in the workload."""

    name: str
    path: str
    backup: bool = True


class Security(Struct, frozen=True, kw_only=True):
    """What the container may do; the defaults are the tight ones.

    ``tmpfs`` maps a path to its size in bytes. ``init`` runs a small init as process 1 (leave it
    off where the image has its own). All capabilities are dropped and new privileges are refused
    always.
    """

    uid: int = 1000
    gid: int = 1000
    read_only_root: bool = True
    tmpfs: dict[str, int] = field(default_factory=lambda: {"/tmp": 64 * 1024 * 1024})  # noqa: S108 - in the container
    init: bool = True


class Probe(Struct, frozen=True, kw_only=True):
    """How to ask the agent whether it answers; all times in seconds.

    ``probe`` names a health probe that some plugin offers, ``settings`` are that probe's own.
    ``start_deadline`` is how long a start may take before it counts as a failure.
    """

    probe: str
    settings: dict[str, Any] = {}
    interval: float = 10.0
    start_interval: float = 0.5
    timeout: float = 5.0
    failures: int = 3
    start_deadline: float = 60.0


class RouteSpec(Struct, frozen=True, kw_only=True):
    """How the outside reaches the agent.

    ``port`` names one of the workload's ports. Requests below ``refuse`` prefixes never reach the
    agent. ``attribute_loopback`` gives clients on the host itself a documentation address as
    forwarded address, for agents that refuse loopback ones (OpenClaw).
    """

    port: str
    refuse: tuple[str, ...] = ()
    attribute_loopback: bool = False


class Workload(Struct, frozen=True, kw_only=True):
    """A container to be: everything that an engine needs, and nothing it would have to look up.

    ``command`` None leaves the image's own. ``stop_timeout`` and ``boot_cost`` are in seconds,
    the latter of processor time that a start burns; ``request`` is the memory in bytes that
    admission counts. ``permanent_exits`` are exit codes that no restart mends. ``restart_when_full``
    allows to restart the agent in a quiet moment, before its growing memory reaches the limit.
    """

    image: str
    command: tuple[str, ...] | None = None
    env: dict[str, str | SecretRef] = {}
    files: tuple[File, ...] = ()
    ports: tuple[Port, ...] = ()
    volumes: tuple[Volume, ...] = ()
    probe: Probe | None = None
    route: RouteSpec | None = None
    resources: Resources = Resources()
    request: int = 0
    security: Security = Security()
    stop_timeout: float = 10.0
    boot_cost: float = 0.0
    permanent_exits: tuple[int, ...] = ()
    restart_when_full: bool = False

    def main_port(self) -> int | None:
        """Give the number of the port to talk to: the routed one, else the first; None without ports."""
        return main_port(self.ports, self.route)


def main_port(ports: tuple[Port, ...], route: RouteSpec | None) -> int | None:
    """Give the number of the port that is routed, else of the first; None without ports."""
    numbers = {port.name: port.number for port in ports}
    return numbers.get(route.port if route else "", next(iter(numbers.values()), None))
