"""Says how deep a value may be nested: everything that walks one calls itself once for each level."""

from __future__ import annotations

from typing import Any, Final

DEEPEST: Final = 32


def is_too_deep(value: Any, levels: int = DEEPEST) -> bool:
    """Say whether a JSON value has more levels of lists and objects than that. It walks without recursion."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(levels):
        if not level:
            return False
        below = (one.values() if isinstance(one, dict) else one for one in level)
        level = [item for items in below for item in items if isinstance(item, (dict, list))]
    return bool(level)
