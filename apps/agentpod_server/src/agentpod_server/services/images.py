"""Agents' images: which there are, and building one as an operation."""

from __future__ import annotations

import contextlib
from typing import Any

from agentpod_core import ConflictError, TemporaryError
from agentpod_core.ports import RESYNC
from agentpod_server.records import OperationRecord, OperationStatus, Scope
from agentpod_server.services.engine import Engine
from agentpod_server.services.offers import Offers
from agentpod_server.services.operations import Report
from agentpod_server.store import audit, operations
from agentpod_server.store.database import Database

BUILD = "image-build"


class Images:
    """The use cases around images."""

    def __init__(self, database: Database, engine: Engine, offers: Offers) -> None:
        self._database = database
        self._engine = engine
        self._offers = offers

    async def build(self, scope: Scope, adapter: str) -> OperationRecord:
        """Ask for an adapter's image to be built; while that is on its way, give the operation there is.

        Raises:
            NotFoundError: ``UnknownAdapter``.
            PluginError: the plugin that should offer it failed.
            ConflictError: the adapter says nothing of how to build it (``ImageNotBuildable``).
        """
        recipe = await self._offers.recipe(self._offers.adapter(adapter))
        if recipe is None:
            raise ConflictError("ImageNotBuildable", adapter=adapter)
        async with self._database.transaction(scope):
            for status in (OperationStatus.RUNNING, OperationStatus.PENDING):
                page = await operations.listing(kind=BUILD, status=status, limit=500)
                if same := next((one for one in page.items if one.target == recipe.image), None):
                    return same
            made = await operations.create(BUILD, recipe.image, params={"adapter": adapter})
            audit.append("image.build", recipe.image)
            return made

    async def listing(self) -> list[tuple[str, list[str]]]:
        """List the images that the engine has, each with the adapters that are built as it."""
        of: dict[str, list[str]] = {}
        for name in self._offers.adapter_names():
            recipe = (await self._offers.offered(name)).recipe
            if recipe is not None:
                of.setdefault(recipe.image, []).append(name)
        return [(image, of.get(image, [])) for image in sorted(await self._engine.runtime.images())]

    async def do_build(self, operation: OperationRecord, report: Report) -> dict[str, Any]:
        """Build; what executes operations of the kind ``image-build``."""
        recipe = await self._offers.recipe(self._offers.adapter(str(operation.params.get("adapter", ""))))
        if recipe is None:
            raise ConflictError("ImageNotBuildable", adapter=operation.params.get("adapter", ""))
        await self._engine.runtime.build(recipe, report)
        # Pods that waited for this image need not wait for the next round; without the database they do.
        with contextlib.suppress(TemporaryError):
            await self._engine.nudge(RESYNC)
        return {"image": recipe.image}
