"""What somebody asks of a pod beside its config, in human forms, and everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from agentpod_core import AgentAdapter, Problem, catalogue, parse_bytes, parse_cpus
from agentpod_core.values.names import default_subdomain, subdomain_problem
from agentpod_core.values.pods import PodSpec, Wanted
from agentpod_server.services.config import Given

_IMAGE = re.compile(r"[a-z0-9]+(?:[._:/-]+[A-Za-z0-9_]+)*(?:@sha256:[0-9a-f]{64})?")
_LONGEST_IMAGE = 400
_AMOUNTS: dict[str, tuple[Callable[[str], int], int, int, str]] = {
    "memory": (parse_bytes, 16 * 1024**2, 64 * 1024**4, "InvalidMemory"),
    "cpus": (parse_cpus, 10, 1_024_000, "InvalidCpus"),
}
"""How an amount is read, its least and most, and what is said of one outside."""


class Asked(Struct, frozen=True, kw_only=True):
    """What is UNSET stays, None goes back to the default.

    ``memory`` takes bytes or ``2GiB``, ``cpus`` millicores or ``0.5``.
    """

    given: Given | UnsetType = UNSET
    subdomain: str | UnsetType | None = UNSET
    image: str | UnsetType | None = UNSET
    size: str | UnsetType | None = UNSET
    memory: int | str | UnsetType | None = UNSET
    cpus: int | str | UnsetType | None = UNSET
    wanted: Wanted | UnsetType = UNSET


def apply(
    asked: Asked, spec: PodSpec, *, tenant: str, name: str, adapter: AgentAdapter[Any] | None
) -> tuple[PodSpec, list[Problem]]:
    """Lay what was asked over a spec, config aside; gives all that is wrong too."""
    memory, memory_problems = _amount("memory", asked.memory, spec.memory)
    cpus, cpus_problems = _amount("cpus", asked.cpus, spec.cpus)
    after = msgspec.structs.replace(
        spec,
        subdomain=spec.subdomain if asked.subdomain is UNSET else asked.subdomain or default_subdomain(tenant, name),
        image=spec.image if asked.image is UNSET else asked.image,
        size=spec.size if asked.size is UNSET else asked.size,
        memory=memory,
        cpus=cpus,
        wanted=spec.wanted if asked.wanted is UNSET else asked.wanted,
    )
    return after, [*_problems(after, adapter), *memory_problems, *cpus_problems]


def is_image(text: str) -> bool:
    """Say whether a text can be an image's name."""
    return len(text) <= _LONGEST_IMAGE and _IMAGE.fullmatch(text) is not None


def _problems(spec: PodSpec, adapter: AgentAdapter[Any] | None) -> list[Problem]:
    problems = [problem for problem in (subdomain_problem(spec.subdomain, "$.subdomain"),) if problem]
    if spec.image is not None and not is_image(spec.image):
        problems.append(_problem("$.image", "InvalidImage", value=spec.image[:80]))
    if spec.size is not None and adapter is not None and spec.size not in adapter.sizes:
        problems.append(_problem("$.size", "UnknownSize", value=spec.size[:80], choices=list(adapter.sizes)))
    if spec.wanted is Wanted.DELETED:
        problems.append(_problem("$.wanted", "NotAChoice", choices=["running", "stopped"]))
    return problems


def _amount(field: str, value: int | str | UnsetType | None, before: int | None) -> tuple[int | None, list[Problem]]:
    if value is UNSET:
        return before, []
    read, least, most, reason = _AMOUNTS[field]
    try:
        amount = read(value) if isinstance(value, str) else value
    except (ValueError, OverflowError):
        amount = -1
    is_fine = amount is None or least <= amount <= most
    return amount, [] if is_fine else [_problem(f"$.{field}", reason, value=str(value)[:40])]


def _problem(path: str, reason: str, **params: Any) -> Problem:
    return Problem(path=path, reason=reason, params=params, message=catalogue.text(reason, params))
