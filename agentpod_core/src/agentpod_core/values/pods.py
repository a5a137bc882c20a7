"""Tenants and pods as the operator asked for them, and as an adapter gets to see them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from agentpod_core.values.resources import Resources
from agentpod_core.values.workload import SecretRef


class Wanted(StrEnum):
    """What the operator wants a pod to be."""

    RUNNING = "running"
    STOPPED = "stopped"
    DELETED = "deleted"


class PodSpec(Struct, frozen=True, kw_only=True):
    """What was asked. Every change of it makes a new generation.

    ``config`` is the adapter's config with SecretRefs in place of secrets, at ``config_version``.
    ``restarts`` and ``rotations`` count the times a restart or a new token was asked for: a verb
    is data. ``image``, ``size``, ``memory`` (bytes) and ``cpus`` (millicores) override the
    adapter's choice. ``keep_data`` matters when the pod is deleted.
    """

    adapter: str
    config: dict[str, Any] = {}
    config_version: int = 1
    wanted: Wanted = Wanted.RUNNING
    subdomain: str = ""
    image: str | None = None
    size: str | None = None
    memory: int | None = None
    cpus: int | None = None
    restarts: int = 0
    rotations: int = 0
    keep_data: bool = False


class Lease(Struct, frozen=True, kw_only=True):
    """A tenant's piece of the address plan: subnet number ``number`` of the instance's range."""

    number: int
    subnet: str
    gateway: str


class Pod(Struct, frozen=True, kw_only=True):
    """A pod as an adapter sees it: enough to render a workload, and no secret value.

    ``origins`` are the public origins (``https://…``) under which browsers open it, ``host`` the
    first one's name. ``gateway`` is the address from which the proxy's requests come, ``address``
    the pod's own. ``secrets`` holds what the adapter's ``generated_secrets`` asked for. ``size``
    is one of the adapter's sizes and ``resources`` what that size and the overrides came to.
    """

    id: str
    name: str
    tenant: str
    tenant_name: str
    host: str
    origins: tuple[str, ...]
    address: str
    gateway: str
    hostname: str
    size: str | None = None
    resources: Resources = Resources()
    secrets: dict[str, SecretRef] = {}


class Package(Struct, frozen=True, kw_only=True):
    """A versioned bundle that a pod is made from (packages arrive with a later release)."""

    name: str
    version: str
    digest: str
