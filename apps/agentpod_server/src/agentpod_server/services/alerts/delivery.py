"""Tells people: sends what waits in the outbox, in the process that leads, until it arrived or was given up.

A message that was sent and not crossed out yet when its process ended is sent again by the next leader: each arrives
at least once, and once only where nothing ends in the midst of it. Messages of one pod reach a target in their order;
a target that is slow, away or busy holds up nobody but itself. Nothing is given up for its age: only what a target
refuses for good, and what is over and was tried in vain for about a day of trying.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import partial

from agentpod_core import AgentPodError, ConflictError, PermanentError, SecretRef, Severity, TemporaryError
from agentpod_core.values.status import Happening
from agentpod_server.alert_records import MessageRecord, TargetRecord, ToldRecord
from agentpod_server.persisting import repeat
from agentpod_server.records import Failure, Scope
from agentpod_server.services.alerts.messages import Wording
from agentpod_server.services.alerts.targets import failure_of
from agentpod_server.services.alerts.turns import Turns
from agentpod_server.services.engine import Engine
from agentpod_server.services.offers import Offers
from agentpod_server.services.vault import Vault
from agentpod_server.store import events, outbox, sending
from agentpod_server.store.database import Database
from agentpod_server.store.sending import Pauses, Waiting

FIRST_PAUSE = 5.0
LONGEST_PAUSE = sending.LONGEST_PAUSE.total_seconds()
PATIENCE = 33
"""Tries in vain before what is over is given up; with pauses that double up to an hour they take a day."""

REST = 60.0
"""Seconds between two messages to people: what comes meanwhile is told in one."""
_LONGEST_REST = 60.0
"""Seconds after a mishap that could not be noted: nobody sees that pause, and no change ends it."""
_LOOK_EVERY = 5.0
"""Seconds until it is looked again what is to be told, though nobody said so: when a silence ends nobody does."""
_PACE = 0.5
_SYSTEM = Scope(actor="alerts")

Follow = Callable[[], AsyncGenerator[str, None]]
"""Follows the hints that somebody may have to be told."""

_log = logging.getLogger(__name__)


class Delivery:
    """Sends messages while this process leads; ``scale`` is the factor on all pauses."""

    def __init__(  # noqa: PLR0913 - what it takes to tell somebody
        self,
        database: Database,
        engine: Engine,
        offers: Offers,
        vault: Vault,
        wording: Wording,
        turns: Turns,
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
        self._mishaps: dict[str, int] = {}
        self._turns = turns

    async def run(self) -> None:
        """Work until cancelled."""
        hearing = repeat("hearing that somebody is to be told", self._hear, every=_PACE)
        following = asyncio.create_task(hearing, name="alert hints")
        try:
            await repeat("telling people", self._turn)
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
            await asyncio.get_running_loop().create_future()
            return
        async with aclosing(self._follow()) as hints:
            async for _ in hints:
                self._woken.set()

    async def _turn(self) -> None:
        pause = await self._look()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._woken.wait()
        self._woken.clear()

    async def _look(self) -> float:
        """See to it that every target is served that something is due for; gives how long to wait then."""
        epoch = self._engine.epoch
        if epoch is None:
            return _PACE
        async with self._database.transaction(_SYSTEM):
            await outbox.tell()
            await outbox.drop_passed()
            due, later = await sending.waiting(epoch)
        for target in due:
            if target.id not in self._serving:
                task = asyncio.create_task(self._serve(target, epoch), name=f"alerts for {target.id}")
                self._serving[target.id] = task
                task.add_done_callback(partial(self._served, target.id))
        return min(_LOOK_EVERY, _LOOK_EVERY if later is None else max(later, 0.01))

    def _served(self, target_id: str, _: asyncio.Task[None]) -> None:
        self._serving.pop(target_id, None)
        # Something may have become due for it since it was looked at last.
        self._woken.set()

    async def _serve(self, target: Waiting, epoch: int) -> None:
        """Send a target's messages one after the other until none is due."""
        try:
            sent = 0
            while self._engine.epoch == epoch:
                async with self._turns.taken(target.tenant_id):
                    if not await self._one(target, epoch):
                        break
                sent += 1
            if not sent:
                # What is due is in somebody else's hands for the moment.
                await asyncio.sleep(_PACE)
        except (TemporaryError, ConflictError) as error:
            # Without the database, or the lead, the message stays where it is.
            _log.info("alerts wait: %s", error)
            await asyncio.sleep(_PACE)
        except Exception:  # noqa: BLE001 - whatever it was must not be met again at once: the message may have arrived
            self._mishaps[target.id] = mishaps = self._mishaps.get(target.id, 0) + 1
            _log.exception("alerts for %s: this should not happen; trying again", target.id)
            await self._rest(target, self._pause(mishaps, _chance()))
        else:
            self._mishaps.pop(target.id, None)

    async def _rest(self, target: Waiting, pause: float) -> None:
        """Leave a target alone after a mishap."""
        try:
            async with self._database.transaction(_SYSTEM):
                await sending.rest(target.id, Failure(reason="InternalError"), timedelta(seconds=pause))
        except Exception:  # noqa: BLE001 - what went wrong may well be the database
            _log.exception("alerts for %s: could not be noted", target.id)
            await asyncio.sleep(min(pause, _LONGEST_REST * self._scale))

    async def _one(self, target: Waiting, epoch: int) -> bool:
        """Send a message, or all that wait where they can be told in one; False when nothing is due.

        The more fails, the fewer are sent in one: what nobody takes is left by itself in the end.
        """
        gathers = self._offers.gathers(target.kind)
        most = max(1, sending.MOST_TOGETHER // 4 ** max(target.failures - 1, 0)) if gathers else 1
        async with self._database.transaction(_SYSTEM):
            messages = await sending.claim(epoch, target.id, most, gathers=gathers)
        if not messages:
            return False
        try:
            await self._send(messages)
        except PermanentError as error:
            await self._refused(messages, epoch, error)
        except AgentPodError as error:
            await self._not_sent(messages, epoch, error)
        except Exception:  # noqa: BLE001 - one that cannot be worded must not hold up the others
            _log.exception("alert %s could not be sent", messages[0].alert.id)
            await self._not_sent(messages, epoch, TemporaryError("InternalError"))
        else:
            rest = timedelta(seconds=REST * self._scale if gathers else 0.0)
            await self._note(lambda: sending.delivered(messages, rest))
        return True

    async def _send(self, messages: Sequence[MessageRecord]) -> None:
        target = messages[0].target
        told = self._wording.message(messages[0]) if len(messages) == 1 else self._wording.together(messages)
        await self._offers.send(told, target, await self._material(target))

    async def _material(self, target: TargetRecord) -> Mapping[SecretRef, str]:
        try:
            return await self._vault.material(target.tenant_id or "", target.settings)
        except PermanentError as error:
            # It is nothing that the target said; whoever took a key away may put it back.
            raise TemporaryError(error.reason, **error.params) from error

    async def _not_sent(self, messages: Sequence[MessageRecord], epoch: int, error: AgentPodError) -> None:
        why = failure_of(error)
        pauses = self._pauses(messages, error.retry_after if isinstance(error, TemporaryError) else None)
        _log.info(
            "alert %s for %s waits %.0f s: %s",
            messages[0].alert.id,
            messages[0].target.name,
            max(pauses.messages[0], pauses.target).total_seconds(),
            error,
        )

        async def put_back() -> None:
            _say_lost(messages[0].target, await sending.postponed(messages, epoch, why, pauses), why)

        await self._note(put_back)

    async def _refused(self, messages: Sequence[MessageRecord], epoch: int, error: PermanentError) -> None:
        why, pauses = failure_of(error), self._pauses(messages, None)

        async def give_up() -> None:
            _say_lost(messages[0].target, await sending.refused(messages, epoch, why, pauses), why)

        await self._note(give_up)

    def _pauses(self, messages: Sequence[MessageRecord], asked: float | None) -> Pauses:
        first, target = messages[0], messages[0].target
        is_same = len(messages) == 1 and first.id == target.failed_message
        failures = target.failures + (not is_same)
        # One chance for all: what was sent together in vain is tried together again.
        chance = _chance()
        return Pauses(
            messages=[timedelta(seconds=self._pause(one.attempts, chance)) for one in messages],
            target=timedelta(seconds=max(self._pause(failures, chance), min(asked or 0.0, LONGEST_PAUSE))),
            failures=failures,
            patience=PATIENCE,
        )

    def _pause(self, tries: int, chance: float = 1.0) -> float:
        pause = min(FIRST_PAUSE * 2.0 ** min(tries - 1, 20), LONGEST_PAUSE) * self._scale
        return min(pause * chance, LONGEST_PAUSE)

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


def _chance() -> float:
    """Give a factor for a pause: targets that failed together are not to be tried together for ever."""
    return random.uniform(0.8, 1.2)  # noqa: S311 - no secret


def _say_lost(target: TargetRecord, lost: Sequence[ToldRecord], why: Failure) -> None:
    """Put events down for messages that are given up."""
    for one in lost:
        _log.warning("alert %s for %s is given up: %s", one.alert_id, target.name, why.reason)
        params = why.params | {
            "target": target.name,
            "alert": one.alert_id,
            "alert_reason": one.reason,
            "subject": "/".join(part for part in (one.tenant, one.pod) if part) or "AgentPod",
            "attempts": one.attempts,
            "why": why.reason,
        }
        happening = Happening(kind="alert", reason="AlertNotDelivered", severity=Severity.ERROR, params=params)
        events.append(happening, tenant_id=target.tenant_id, tenant=target.tenant)
