"""Follows what the database's triggers tell, on one connection of its own for all who listen.

Notifications are hints and may be lost with the connection, so every gap is told as RESYNC: at the
beginning, after each reconnect, and to a listener who was too slow.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator
from typing import Any

import asyncpg

from agentpod_core.errors import TemporaryError
from agentpod_core.ports import RESYNC
from agentpod_server.persisting import repeat
from agentpod_server.store.database import Database
from agentpod_server.store.failures import translated

CHANNELS = {
    "changes": "agentpod_changes",
    "status": "agentpod_status",
    "events": "agentpod_events",
    "operations": "agentpod_operations",
    "alerts": "agentpod_alerts",
}
"""What can be followed: the engine's queue keys, pod ids, event numbers, operation ids; that somebody is to be told."""

_BACKLOG = 10_000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_ALIVE_EVERY, _ALIVE_WITHIN = 10.0, 5.0


class Listener:
    """Listens while somebody follows; the connection is opened for the first and closed after the last."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queues: dict[str, set[asyncio.Queue[str]]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._is_connected = False

    async def follow(self, what: str) -> AsyncGenerator[str, None]:
        """Give what is told about ``what`` (a key of ``CHANNELS``), for ever; RESYNC first and after every gap."""
        channel = CHANNELS[what]
        queue: asyncio.Queue[str] = asyncio.Queue(_BACKLOG)
        if self._is_connected:
            queue.put_nowait(RESYNC)
        self._queues[channel].add(queue)
        if self._task is None:
            listening = repeat("listening for changes", self._listen, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
            self._task = asyncio.create_task(listening, name="store-listener")
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues[channel].discard(queue)
            if not any(self._queues.values()):
                await self.close()

    async def close(self) -> None:
        """Stop listening; whoever still follows gets nothing more."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _listen(self) -> None:
        """Listen on a connection of its own until that is lost."""
        connection = await self._database.connect()
        try:
            with translated(connection):
                await self._listen_on(connection)
        finally:
            self._is_connected = False
            connection.terminate()

    async def _listen_on(self, connection: asyncpg.Connection) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        for channel in CHANNELS.values():
            await connection.add_listener(channel, self._told)
        self._is_connected = True
        for channel in CHANNELS.values():
            self._hand_out(channel, RESYNC)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ALIVE_EVERY):
                    await lost.wait()
                raise TemporaryError("StoreUnreachable", detail="the connection that listens was closed")
            # A peer that vanished without a word shows only when it is asked something.
            await connection.fetchval("select 1", timeout=_ALIVE_WITHIN)

    def _told(self, _connection: Any, _pid: int, channel: str, payload: Any) -> None:
        self._hand_out(channel, str(payload))

    def _hand_out(self, channel: str, payload: str) -> None:
        for queue in self._queues[channel]:
            if queue.full():
                # Whoever is this far behind looks at everything anyway.
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(RESYNC)
            else:
                queue.put_nowait(payload)
