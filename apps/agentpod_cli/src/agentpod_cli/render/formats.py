"""One thing or many in the format that ``-o`` names; stable, so that it can be piped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from agentpod_cli.render.tables import View, table
from agentpod_cli.texts import Texts

Output = Literal["table", "wide", "json", "yaml", "name"]
OUTPUTS: tuple[Output, ...] = ("table", "wide", "json", "yaml", "name")

ItemT = TypeVar("ItemT")


def document(value: object, output: Output) -> str:
    """Write a value as JSON or YAML, exactly as the server gave it."""
    if output == "yaml":
        import yaml  # noqa: PLC0415 - only this format needs it

        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120).rstrip("\n")
    return json.dumps(value, indent=2, ensure_ascii=False)


def listing(  # noqa: PLR0913 - how a listing may look
    view: View[ItemT],
    items: Sequence[ItemT],
    output: Output,
    texts: Texts,
    *,
    raw: Sequence[object] | None = None,
    coloured: bool = False,
    parted: bool = False,
) -> str:
    """Write many things; empty for none in a format made of lines. ``raw`` is what JSON and YAML show of them."""
    if output in ("json", "yaml"):
        return document(list(items if raw is None else raw), output)
    if not items:
        return ""
    if output == "name":
        return "\n".join(view.name(item) for item in items)
    return table(view, items, texts, wide=output == "wide", coloured=coloured, parted=parted)


def single(  # noqa: PLR0913 - how a thing may look
    view: View[ItemT], item: ItemT, output: Output, texts: Texts, *, raw: Any = None, coloured: bool = False
) -> str:
    """Write one thing."""
    if output in ("json", "yaml"):
        return document(item if raw is None else raw, output)
    return listing(view, [item], output, texts, coloured=coloured)
