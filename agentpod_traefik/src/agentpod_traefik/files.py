"""Lets Traefik know routes by files: one a route, renamed into the folder that it watches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from agentpod_core import Route, TemporaryError
from agentpod_traefik.dynamic import Serving, file_name, file_text, is_ours, read
from agentpod_traefik.folder import WatchedFolder

log = logging.getLogger(__name__)


class FileRoutes:
    """The files are the truth. They outlive this process and Traefik, and other people's files stay beside them."""

    def __init__(self, watched: WatchedFolder, path: Path, serving: Serving) -> None:
        self._watched = watched
        self._path = path
        self._serving = serving

    async def observe(self) -> list[Route]:
        """List the routes that are set; a file that was changed by hand sets none."""
        try:
            texts = await asyncio.to_thread(self._watched.texts, is_ours)
        except OSError as error:
            raise TemporaryError("RoutesUnreadable", path=str(self._path), detail=str(error)) from error
        found = [(name, read(text, self._serving)) for name, text in texts.items()]
        routes = [route for name, route in found if route is not None and file_name(route.key) == name]
        return sorted(routes, key=lambda route: route.key)

    async def apply(self, routes: Sequence[Route]) -> bool:
        """Write the files that differ and remove those that are too many."""
        texts = {file_name(route.key): file_text(route, self._serving) for route in routes}
        try:
            written, removed = await asyncio.to_thread(self._watched.replace, texts, is_ours)
        except OSError as error:
            raise TemporaryError("RoutesNotWritten", path=str(self._path), detail=str(error)) from error
        if written or removed:
            log.info("routes changed: %d written, %d removed, %d in all", len(written), len(removed), len(texts))
        return bool(written or removed)

    async def has_any(self) -> bool:
        """Say whether there is a file of ours, whatever is in it."""
        try:
            return bool(await asyncio.to_thread(self._watched.texts, is_ours))
        except OSError as error:
            raise TemporaryError("RoutesUnreadable", path=str(self._path), detail=str(error)) from error
