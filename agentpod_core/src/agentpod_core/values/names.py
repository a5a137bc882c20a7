"""How things are named: slugs that people choose and object names that AgentPod derives from ids.

Engine objects are named by instance and id only, never by joined slugs, so ``a-b/c`` and ``a/b-c``
cannot meet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agentpod_core.errors import Problem

SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
"""A DNS label of at most 30 characters, so that ``{pod}-{tenant}`` still fits the 63 of one label."""

HOST_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

RESERVED_SUBDOMAINS = frozenset({"agentpod", "www", "traefik"})


def slug_problem(value: object, path: str) -> Problem | None:
    """Say what is wrong with a tenant's or pod's name; None when it is a DNS label of at most 30."""
    if isinstance(value, str) and SLUG.fullmatch(value):
        return None
    return Problem(
        path=path,
        reason="InvalidName",
        params={"value": str(value)[:80] or '""'},
        message="must be 1-30 lowercase letters, digits or '-', starting and ending with a letter or digit",
    )


def subdomain_problem(value: object, path: str) -> Problem | None:
    """Say what is wrong with a subdomain; None when it is one DNS label that is not reserved."""
    if isinstance(value, str) and HOST_LABEL.fullmatch(value) and value not in RESERVED_SUBDOMAINS:
        return None
    return Problem(
        path=path,
        reason="InvalidSubdomain",
        params={"value": str(value)[:80] or '""'},
        message="must be one DNS label (lowercase letters, digits, '-') and not a reserved name",
    )


def default_subdomain(tenant: str, pod: str) -> str:
    """Give the subdomain of a pod that names none: the tenant's own for ``main``."""
    return tenant if pod == "main" else f"{pod}-{tenant}"


def container_name(instance: str, pod_id: str) -> str:
    """Name a pod's container; the name is the lock that keeps a pod from having two."""
    return f"agentpod-{instance}-{pod_id}"


def volume_name(instance: str, pod_id: str, volume: str) -> str:
    """Name one of a pod's volumes."""
    return f"agentpod-{instance}-{pod_id}-{volume}"


def network_name(instance: str, number: int) -> str:
    """Name a tenant's bridge; with 8 + 4 characters it fits the kernel's 15 for interfaces."""
    return f"{network_prefix(instance)}{number}"


def network_prefix(instance: str) -> str:
    """Give how the names of all tenants' bridges begin."""
    return f"ap{instance}-"


def owner_labels(
    instance: str, *, pod_id: str = "", tenant: str = "", adapter: str = "", spec_hash: str = ""
) -> dict[str, str]:
    """Give the labels that mark an object as ours; empty facts are left out."""
    facts = {"pod-id": pod_id, "tenant": tenant, "adapter": adapter, "spec-hash": spec_hash}
    labels = {"agentpod.managed": "true", "agentpod.instance": instance}
    return labels | {f"agentpod.{key}": value for key, value in facts.items() if value}


def repeated(names: Iterable[str]) -> list[str]:
    """List the names that occur more than once, in order of their second appearance."""
    seen: set[str] = set()
    return list(dict.fromkeys(name for name in names if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
