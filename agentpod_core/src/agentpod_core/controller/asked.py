"""Tells whoever asked for a pass that one which began after the question has ended, and how."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from agentpod_core.errors import AgentPodError, ConflictError

Ended = asyncio.Future[AgentPodError | None]
"""None for a pass that ended well."""


class Asked:
    """Holds the questions, by key."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Ended]] = {}

    def ask(self, key: str) -> Ended:
        """Take note of a question."""
        ended: Ended = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(ended)
        return ended

    def taken(self, key: str) -> list[Ended]:
        """Give the questions that a pass answers which begins now; later ones are for the pass after it."""
        return self._waiting.pop(key, [])

    def refuse(self) -> None:
        """Answer everybody that this controller leads no more."""
        for ended in self._waiting.values():
            answer(ended, ConflictError("NotLeader"))
        self._waiting.clear()


def answer(asked: Collection[Ended], error: AgentPodError | None) -> None:
    """Say how the pass ended; who gave up waiting has cancelled the question."""
    for ended in asked:
        if not ended.done():
            ended.set_result(error)
