"""The list of plugins: those that are installed, and those that something still needs and nobody offers any more."""

from __future__ import annotations

from collections.abc import Collection

from agentpod_core.host import PluginInfo
from agentpod_server.records import Scope
from agentpod_server.services.offers import Offers
from agentpod_server.store import pod_listings
from agentpod_server.store.database import Database


class Plugins:
    """Lists plugins. ``needed`` is what the server itself cannot do without, by kind and name."""

    def __init__(self, database: Database, offers: Offers, needed: Collection[tuple[str, str]]) -> None:
        self._database = database
        self._offers = offers
        self._needed = needed

    async def listing(self) -> list[PluginInfo]:
        """List plugins by name."""
        async with self._database.transaction(Scope()):
            used = await pod_listings.offers_in_use()
        return self._offers.plugins([*self._needed, *used])
