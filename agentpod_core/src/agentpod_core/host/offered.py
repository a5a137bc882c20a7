"""Says what an offer lacks before it is taken in, so that nobody else has to doubt what it says of itself."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.plugpoints.notifiers import Notifier
from agentpod_core.values.resources import Resources

_AGENT: Final[dict[str, Any]] = {
    "config_version": int,
    "generated_secrets": tuple[str, ...],
    "credential": str | None,
    "boot_cost": float,
    "request": int,
}


def missing(thing: object) -> list[str]:
    """Name the attributes that every offer of that kind needs and this one lacks, or has of a wrong type."""
    title = getattr(thing, "title", None)
    lacks = [] if isinstance(title, str) and title else ["title"]
    lacks += [name for name in _types_of(thing) if not _is_struct(getattr(thing, name, None))]
    return lacks + _wrong(thing) if isinstance(thing, AgentAdapter) else lacks


def _types_of(thing: object) -> tuple[str, ...]:
    """Name the attributes that hold the types of what is typed in for it."""
    if isinstance(thing, AgentAdapter):
        return ("config_type",)
    return ("settings_type", "target_type") if isinstance(thing, Notifier) else ("settings_type",)


def _is_struct(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Struct)


def _wrong(adapter: AgentAdapter[Any]) -> list[str]:
    wrong = [name for name, kind in _AGENT.items() if not _fits(getattr(adapter, name, None), kind)]
    sizes = adapter.sizes
    if not isinstance(sizes, dict) or not all(
        isinstance(name, str) and isinstance(limits, Resources) for name, limits in sizes.items()
    ):
        wrong.append("sizes")
    return wrong


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True
