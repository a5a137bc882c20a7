"""A router in memory: keeps the contract's facts about routes and serves no traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from agentpod_core import ConfigError, Daemon, Entrypoints, Route, Router, TemporaryError, route_problems


class RouteBoard:
    """What stands for the proxy: the routes of everybody, by owner and key. It outlives its routers."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Route] = {}


class FakeRouter(Router):
    """Sets routes on a board. ``unreachable`` makes it fail as a router does that cannot be asked.

    ``history`` holds every list that was applied with success. ``runs`` is what ``daemon`` gives,
    and ``answers`` what ``ready`` says.
    """

    name: ClassVar[str] = "fake"
    title: ClassVar[str] = "A router in memory"

    def __init__(self, board: RouteBoard | None = None, *, owner: str = "agentpod") -> None:
        self.board = board or RouteBoard()
        self.unreachable = False
        self.history: list[tuple[Route, ...]] = []
        self.public = Entrypoints()
        self.runs: Daemon | None = None
        self.answers = True
        self._owner = owner

    async def observe(self) -> list[Route]:
        """List our routes on the board."""
        await self._reach()
        return [route for (owner, _), route in sorted(self.board.routes.items()) if owner == self._owner]

    async def apply(self, routes: Sequence[Route]) -> bool:
        """Put exactly these routes of ours on the board."""
        problems = route_problems(routes)
        if problems:
            raise ConfigError(problems, "InvalidRoutes", router=self.name)
        await self._reach()
        theirs = {place: route for place, route in self.board.routes.items() if place[0] != self._owner}
        after = theirs | {(self._owner, route.key): route for route in routes}
        is_changed = after != self.board.routes
        self.board.routes = after
        self.history.append(tuple(routes))
        return is_changed

    def entrypoints(self) -> Entrypoints:
        """Give ``public``."""
        return self.public

    def daemon(self) -> Daemon | None:
        """Give ``runs``."""
        return self.runs

    async def ready(self) -> bool:
        """Give ``answers``; False while it is unreachable."""
        return self.answers and not self.unreachable

    async def _reach(self) -> None:
        # Real routers let other work in here, so callers must not lean on it never happening.
        await asyncio.sleep(0)
        if self.unreachable:
            raise TemporaryError("RouterUnreachable", router=self.name)
