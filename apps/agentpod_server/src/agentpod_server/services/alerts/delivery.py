"""Tells people: sends what waits in the outbox, in the process that leads, until it arrived or is given up.

A message that was sent and not crossed out yet when its process ended is sent again by the next leader: each arrives
at least once, and once only where nothing ends in the midst of it. Messages of one pod reach a target in their order;
a slow target holds up nobody but itself. An alert whose first message was given up is not told to be over either.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial

from agentpod_core import AgentPodError, ConflictError, Severity, TemporaryError
from agentpod_core.values.status import Happening
from agentpod_server.alert_records import MessageRecord
from agentpod_server.records import Failure, Scope
from agentpod_server.services.alerts.messages import Wording
from agentpod_server.services.alerts.targets import failure_of
from agentpod_server.services.engine import Engine
from agentpod_server.services.offers import Offers
from agentpod_server.services.vault import Vault
from agentpod_server.store import events, outbox
from agentpod_server.store.database import Database

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 3600.0
GIVEN_UP_AFTER = timedelta(hours=24)
AT_ONCE = 32
"""So many targets are told at the same time."""

_LOOK_EVERY = 5.0
"""Seconds until it is looked again what is to be told, though nobody said so: when a silence ends nobody does."""
_PACE = 0.5
_SYSTEM = Scope(actor="alerts")

Follow = Callable[[], AsyncGenerator[str, None]]
"""Follows the hints that somebody may have to be told."""

_log = logging.getLogger(__name__)


class Delivery:
    """Sends messages while this process leads; ``scale`` is the factor on the pauses between tries."""

    def __init__(  # noqa: PLR0913 - what it takes to tell somebody
        self,
        database: Database,
        engine: Engine,
        offers: Offers,
        vault: Vault,
        wording: Wording,
        *,
        follow: Follow | None = None,
        scale: float = 1.0,
    ) -> None:
        self._database = database
        self._engine = engine
        self._offers = offers
        self._vault = vault
        self._wording = wording
        self._follow = follow
        self._scale = scale
        self._woken = asyncio.Event()
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Work until cancelled."""
        following = asyncio.create_task(self._hear(), name="alert hints")
        try:
            while True:
                pause = await self._look()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), pause)
                self._woken.clear()
        finally:
            tasks = [following, *self._serving.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def drain(self) -> None:
        """Send all that is due now, and return when that is done; for tests."""
        await self._look()
        while self._serving:
            await asyncio.gather(*self._serving.values())
            await self._look()

    async def _hear(self) -> None:
        if self._follow is None:
            return
        async with aclosing(self._follow()) as hints:
            async for _ in hints:
                self._woken.set()

    async def _look(self) -> float:
        """See to it that every target is served that something is due for; gives how long to wait then."""
        epoch = self._engine.epoch
        if epoch is None:
            return _PACE
        try:
            async with self._database.transaction(_SYSTEM):
                await outbox.tell()
                due, later = await outbox.waiting(epoch)
        except TemporaryError as error:
            _log.info("alerts wait for the database: %s", error)
            return _PACE
        for target_id in due:
            if target_id not in self._serving:
                task = asyncio.create_task(self._serve(target_id, epoch), name=f"alerts for {target_id}")
                self._serving[target_id] = task
                task.add_done_callback(partial(self._served, target_id))
        return min(_LOOK_EVERY, _LOOK_EVERY if later is None else max(later, 0.01))

    def _served(self, target_id: str, _: asyncio.Task[None]) -> None:
        self._serving.pop(target_id, None)
        # Something may have become due for it since it was looked at last.
        self._woken.set()

    async def _serve(self, target_id: str, epoch: int) -> None:
        """Send a target's messages one after the other until none is due."""
        async with self._slots:
            try:
                while self._engine.epoch == epoch and await self._one(target_id, epoch):
                    pass
            except (TemporaryError, ConflictError) as error:
                # Without the database, or the lead, the message stays where it is.
                _log.info("alerts wait: %s", error)
                await asyncio.sleep(_PACE)

    async def _one(self, target_id: str, epoch: int) -> bool:
        async with self._database.transaction(_SYSTEM):
            message = await outbox.claim(epoch, target_id)
        if message is None:
            return False
        try:
            material = await self._vault.material(message.target.tenant_id or "", message.target.settings)
            await self._offers.send(self._wording.message(message), message.target, material)
        except AgentPodError as error:
            await self._not_sent(message, epoch, error)
        except Exception:  # noqa: BLE001 - one that cannot be worded must not hold up the others
            _log.exception("alert %s could not be sent", message.alert.id)
            await self._not_sent(message, epoch, TemporaryError("InternalError"))
        else:
            await self._note(lambda: outbox.delivered(message))
        return True

    async def _not_sent(self, message: MessageRecord, epoch: int, error: AgentPodError) -> None:
        why = failure_of(error)
        age = datetime.now(UTC) - message.created_at
        if isinstance(error, TemporaryError) and age < GIVEN_UP_AFTER * self._scale:
            pause = self._pause(message.attempts, error.retry_after)
            _log.info("alert %s for %s waits %.0f s: %s", message.alert.id, message.target.name, pause, error)
            await self._note(lambda: outbox.postponed(message, epoch, why, pause))
            return
        _log.warning("alert %s for %s is given up: %s", message.alert.id, message.target.name, error)

        async def give_up() -> None:
            if await outbox.failed(message, epoch, why):
                target = message.target
                events.append(_given_up(message, why), tenant_id=target.tenant_id, tenant=target.tenant)

        await self._note(give_up)

    def _pause(self, attempts: int, asked: float | None) -> float:
        pause = min(FIRST_PAUSE * 2.0 ** min(attempts - 1, 20), LONGEST_PAUSE) * self._scale
        # Chance keeps targets that failed together from being tried together for ever.
        return max(pause * random.uniform(0.8, 1.2), min(asked or 0.0, LONGEST_PAUSE))  # noqa: S311 - no secret

    async def _note(self, write: Callable[[], Awaitable[object]]) -> None:
        """Write down what came of a try, as often as it takes: what arrived must not be sent again."""
        while True:
            try:
                async with self._database.transaction(_SYSTEM):
                    await write()
            except TemporaryError as error:
                _log.info("what came of an alert waits for the database: %s", error)
                await asyncio.sleep(_PACE)
            else:
                return


def _given_up(message: MessageRecord, why: Failure) -> Happening:
    alert = message.alert
    params = why.params | {
        "target": message.target.name,
        "alert": alert.id,
        "alert_reason": alert.reason,
        "subject": "/".join(part for part in (alert.tenant, alert.pod) if part) or "AgentPod",
        "attempts": message.attempts,
        "why": why.reason,
    }
    return Happening(kind="alert", reason="AlertNotDelivered", severity=Severity.ERROR, params=params)
