"""Stands at every crossing into a plugin's code: names whose it is, bounds its time, cleans what comes out.

Whatever a plugin raises that is no AgentPodError, answers of a wrong type and calls that never end become errors
of ours that name plugin, distribution and version, and are kept for lists. Nobody else may call a plugin.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import msgspec
from msgspec import Struct

from agentpod_core.errors import AgentPodError, PluginError, TemporaryError
from agentpod_core.host import answers, passing, threads
from agentpod_core.host.kinds import Incident, Offer
from agentpod_core.host.redaction import Redactor
from agentpod_core.host.threads import Interrupted, Outcome

_GRACE: Final = 1.0
"""Seconds in which a call that was cancelled is to end."""
_LEFT_BEHIND: Final = 8
"""So many calls of one offer that ignore their end, and it gets no further ones."""
_PAUSE, _LONGEST_PAUSE = 10.0, 600.0
"""Seconds for which an offer that blocked the server is left alone; each time twice as long, until it blocked nobody
for as long as the longest. The first is short: a machine may have been slow, and without its runtime nothing is healed.
"""
_DOUBLINGS: Final = 20
"""After so many the pause is the longest, whatever the first was; twice as much a thousand times is no number."""

_LOG: Final = logging.getLogger(__name__)


class Call(Struct, frozen=True, kw_only=True):
    """One call of a plugin that is under way."""

    guard: Guard
    offer: Offer
    name: str

    def interrupt(self, seconds: float) -> NoReturn:
        """End the call from within, for it blocks what runs it; to be called in the very thread."""
        self.guard.blocked(self.offer, self.name, seconds, blocks=True)
        raise Interrupted


_inside: ContextVar[Call | None] = ContextVar("agentpod_plugin_call", default=None)


def current_call() -> Call | None:
    """Give the innermost plugin call in whose course this very code runs; None outside of any."""
    return _inside.get()


class _Patience(Struct):
    """How an offer that blocks is borne."""

    left_behind: set[asyncio.Task[Outcome]] = msgspec.field(default_factory=set)
    strikes: int = 0
    until: float = 0.0


class Guard:
    """Guards the offers of one host. ``stall_seconds`` is how long a call that is not awaited may take."""

    def __init__(self, redactor: Redactor, *, stall_seconds: float, pause_seconds: float = _PAUSE) -> None:
        self.redactor = redactor
        self._stall_seconds = stall_seconds
        self._pause_seconds = pause_seconds
        self._patience: dict[str, _Patience] = {}
        self._told_of: set[tuple[str, str]] = set()

    @contextlib.contextmanager
    def running(self, offer: Offer, call: str) -> Iterator[None]:
        """Run a plugin's code here and now."""
        self._refuse_blocking(offer)
        with self._within(offer, call):
            yield

    @contextlib.contextmanager
    def _within(self, offer: Offer, call: str) -> Iterator[None]:
        token = _inside.set(Call(guard=self, offer=offer, name=call))
        try:
            yield
        except BaseException as error:
            understood = self._understood(offer, call, error)
            if understood is error:
                raise
            raise understood from None
        else:
            self._worked(offer, call)
        finally:
            _inside.reset(token)

    def called(self, offer: Offer, call: str, function: Callable[[], Any]) -> Any:
        """Call a plugin here and now, and check its answer."""
        with self.running(offer, call):
            return self._checked(offer, call, function())

    async def beside(self, offer: Offer, call: str, function: Callable[[], Any]) -> Any:
        """Call a plugin's synchronous code beside the event loop, for as long as such a call may take."""
        self._refuse_blocking(offer)
        outcome = await threads.run_beside(function, seconds=self._stall_seconds, name=f"{offer.label} {call}")
        if not outcome.is_over:
            raise self._told(offer, call, self.blocked(offer, call, self._stall_seconds, blocks=True))
        return self._result(offer, call, outcome)

    async def awaited(self, offer: Offer, call: str, function: Callable[[], Any], seconds: float | None) -> Any:
        """Await a plugin's call in a task of its own, at most that long; one that ignores its end is left behind."""
        self._refuse_blocking(offer)
        task = asyncio.create_task(self._outcome(offer, call, function), name=f"{offer.label} {call}")
        try:
            await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            await self._end(offer, task)
            raise
        if not task.done():
            await self._end(offer, task)
            raise self._told(offer, call, self.blocked(offer, call, seconds or 0.0))
        if task.cancelled():
            raise self._understood(offer, call, asyncio.CancelledError())
        error = task.exception()
        return self._result(offer, call, task.result() if error is None else Outcome(error=error, is_over=True))

    async def iterated(self, offer: Offer, call: str, function: Callable[[], Any]) -> AsyncIterator[Any]:
        """Go through what a plugin yields, for as long as it does."""
        with self.running(offer, call):
            source = aiter(function())
        try:
            while True:
                with self.running(offer, call):
                    try:
                        item = await anext(source)
                    except StopAsyncIteration:
                        return
                yield item
        except AgentPodError:
            if _is_asked_to_end():
                # It failed while it was to end; whoever told it so must not take that for news.
                raise asyncio.CancelledError from None
            raise
        finally:
            if close := getattr(source, "aclose", None):
                # Closed even if it pauses; what goes wrong then is noted, and counts less than why it is closed.
                with contextlib.suppress(AgentPodError), self._within(offer, "aclose"):
                    await close()

    def blocked(self, offer: Offer, call: str, seconds: float, *, blocks: bool = False) -> TemporaryError:
        """Give the error of a call that did not come back; one that ``blocks`` others earns the offer a pause."""
        error = TemporaryError("PluginBlocked", **offer.owner.facts(), call=call, seconds=round(seconds, 1))
        if blocks:
            patience = self._patience.setdefault(offer.label, _Patience())
            now = time.monotonic()
            if now - patience.until > _LONGEST_PAUSE:
                patience.strikes = 0
            # Within a pause no call begins: what stalled before it, side by side, counts once.
            if now >= patience.until:
                patience.strikes += 1
                doublings = min(patience.strikes - 1, _DOUBLINGS)
                patience.until = now + min(self._pause_seconds * 2.0**doublings, _LONGEST_PAUSE)
        self._note(offer, call, error)
        return error

    def _refuse_blocking(self, offer: Offer) -> None:
        patience = self._patience.get(offer.label)
        if patience is None:
            return
        wait = patience.until - time.monotonic()
        if wait > 0 or len(patience.left_behind) >= _LEFT_BEHIND:
            raise TemporaryError("PluginPaused", retry_after=max(wait, _GRACE), **offer.owner.facts(), name=offer.label)

    async def _outcome(self, offer: Offer, call: str, function: Callable[[], Any]) -> Outcome:
        """Catch what would end the event loop, too, such as SystemExit."""
        _inside.set(Call(guard=self, offer=offer, name=call))
        try:
            found = function()
            return Outcome(value=await found if inspect.isawaitable(found) else found, is_over=True)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - it is handed to whoever waits
            return Outcome(error=error, is_over=True)

    async def _end(self, offer: Offer, task: asyncio.Task[Outcome]) -> None:
        task.cancel()
        try:
            await asyncio.wait({task}, timeout=_GRACE)
        finally:
            if not task.done():
                left = self._patience.setdefault(offer.label, _Patience()).left_behind
                left.add(task)
                task.add_done_callback(left.discard)

    def _result(self, offer: Offer, call: str, outcome: Outcome) -> Any:
        if outcome.error is not None:
            understood = self._understood(offer, call, outcome.error)
            if understood is outcome.error:
                raise understood
            raise understood from None
        found = self._checked(offer, call, outcome.value)
        self._worked(offer, call)
        return found

    def _checked(self, offer: Offer, call: str, answer: Any) -> Any:
        wrong = answers.mismatch(offer.kind.type, call, answer)
        if wrong is None:
            return answers.clean(answer, self.redactor)
        expected, given = wrong
        facts = offer.owner.facts() | {"call": call, "expected": expected, "given": given}
        error = TemporaryError("PluginAnsweredWrong", **facts)
        self._note(offer, call, error)
        raise error

    def _understood(self, offer: Offer, call: str, error: BaseException) -> BaseException:
        """Give an error of ours for whatever came out of a plugin, cleaned; what is not its own stays as it is."""
        if isinstance(error, Interrupted):
            # What interrupted it took note of it; it could not log, for it may have come in the midst of that.
            return self._told(offer, call, offer.incidents[call].error)
        if isinstance(error, AgentPodError) and passing.made_fit(error, self.redactor):
            if isinstance(error, PluginError):
                error.params = offer.owner.facts() | error.params
            return error
        if isinstance(error, asyncio.CancelledError) and _is_asked_to_end():
            return error
        # Not in its own words, for they may hold a secret that it was given.
        kind = f"{type(error).__name__}: {error.strerror}" if isinstance(error, OSError) else type(error).__name__
        ours = TemporaryError("PluginFailed", **offer.owner.facts(), call=call, error=self.redactor.clean(str(kind)))
        self._note(offer, call, ours)
        level = self._level(offer, call)
        _LOG.log(
            level, "the plugin %s failed in %s of %s: %s", offer.owner.plugin, call, offer.label, passing.traced(error)
        )
        return ours

    def _told(self, offer: Offer, call: str, error: AgentPodError) -> AgentPodError:
        _LOG.log(self._level(offer, call), "%s", error)
        return error

    def _level(self, offer: Offer, call: str) -> int:
        """Tell once for every time that it begins: what is asked every few seconds would fill the log."""
        key = (offer.label, call)
        if key in self._told_of:
            return logging.DEBUG
        self._told_of.add(key)
        return logging.ERROR

    def _worked(self, offer: Offer, call: str) -> None:
        known = offer.incidents.get(call)
        if known is not None and not known.is_over:
            offer.incidents[call] = msgspec.structs.replace(known, is_over=True)
            self._told_of.discard((offer.label, call))

    def _note(self, offer: Offer, call: str, error: AgentPodError) -> None:
        """Keep what went wrong."""
        known = offer.incidents.get(call)
        offer.incidents[call] = Incident(
            offer=offer.label,
            call=call,
            error=error,
            count=known.count + 1 if known else 1,
            at=datetime.now(UTC),
        )


def _is_asked_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
