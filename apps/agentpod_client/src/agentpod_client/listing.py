"""A listing that is followed to its end while it is read; where it begins and how it is asked for is the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from agentpod_client.shapes import Page

ItemT = TypeVar("ItemT")


class Listing(Generic[ItemT]):
    """The items of a listing. Nothing is asked before it is read, and reading it again asks again."""

    def __init__(self, fetch: Callable[[str | None], Page[ItemT]], cursor: str | None = None) -> None:
        self._fetch = fetch
        self._cursor = cursor

    def __iter__(self) -> Iterator[ItemT]:
        for page in self.pages():
            yield from page["items"]

    def pages(self) -> Iterator[Page[ItemT]]:
        """Give the listing part by part; the ``next`` of a part is a ``cursor`` to go on with another day."""
        cursor = self._cursor
        while True:
            page = self._fetch(cursor)
            yield page
            cursor = page.get("next")
            if cursor is None:
                return
