"""Says what an offer lacks before it is taken in, so that nobody else has to doubt what it says of itself."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from agentpod_core.plugpoints.agents import AgentAdapter
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
    wanted = "config_type" if isinstance(thing, AgentAdapter) else "settings_type"
    given = getattr(thing, wanted, None)
    title = getattr(thing, "title", None)
    has_type = isinstance(given, type) and issubclass(given, Struct)
    lacks = [
        name for name, is_there in (("title", isinstance(title, str) and title), (wanted, has_type)) if not is_there
    ]
    return lacks + _wrong(thing) if isinstance(thing, AgentAdapter) else lacks


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
