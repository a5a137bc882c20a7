"""A part of a listing."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

ItemT = TypeVar("ItemT")


class Page(Struct, Generic[ItemT], frozen=True, kw_only=True):
    """A part of a listing; ``next`` is the cursor of the following part, null at the end."""

    items: list[ItemT]
    next: str | None = None
