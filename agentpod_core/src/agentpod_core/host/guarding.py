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
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import msgspec
from msgspec import Struct

from agentpod_core.errors import AgentPodError, ConfigError, PluginError, Problem, TemporaryError
from agentpod_core.host import answers, threads
from agentpod_core.host.kinds import Incident, Offer
from agentpod_core.host.redaction import Redactor
from agentpod_core.host.threads import Interrupted, Outcome

_GRACE: Final = 1.0
"""Seconds in which a call that was cancelled is to end."""
_LEFT_BEHIND: Final = 8
"""So many calls of one offer that ignore their end, and it gets no further ones."""
_PAUSE, _LONGEST_PAUSE = 60.0, 600.0
"""Seconds for which an offer that blocked the server is left alone; each time twice as long."""
_FRAMES: Final = 8

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

    @contextlib.contextmanager
    def running(self, offer: Offer, call: str) -> Iterator[None]:
        """Run a plugin's code here and now."""
        self._refuse_blocking(offer)
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
        return self._result(offer, call, task.result())

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
        finally:
            if close := getattr(source, "aclose", None):
                with self.running(offer, "aclose"):
                    await close()

    def blocked(self, offer: Offer, call: str, seconds: float, *, blocks: bool = False) -> TemporaryError:
        """Give the error of a call that did not come back; one that ``blocks`` others earns the offer a pause."""
        error = TemporaryError("PluginBlocked", **offer.owner.facts(), call=call, seconds=round(seconds, 1))
        if blocks:
            patience = self._patience.setdefault(offer.label, _Patience())
            patience.strikes += 1
            pause = min(self._pause_seconds * 2.0 ** (patience.strikes - 1), _LONGEST_PAUSE)
            patience.until = time.monotonic() + pause
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
        left = self._patience.setdefault(offer.label, _Patience()).left_behind
        left.add(task)
        task.add_done_callback(left.discard)
        await asyncio.wait({task}, timeout=_GRACE)

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
        if isinstance(error, AgentPodError) and self._is_fit(error):
            if isinstance(error, PluginError):
                error.params = offer.owner.facts() | error.params
            return self._clean(error)
        if isinstance(error, (GeneratorExit, StopAsyncIteration)):
            return error
        if isinstance(error, asyncio.CancelledError) and _is_asked_to_end():
            return error
        # Not in its own words, for they may hold a secret that it was given.
        kind = f"{type(error).__name__}: {error.strerror}" if isinstance(error, OSError) else type(error).__name__
        ours = TemporaryError("PluginFailed", **offer.owner.facts(), call=call, error=self.redactor.clean(str(kind)))
        # Once for every time that it begins: what is asked every few seconds would fill the log.
        level = logging.ERROR if self._note(offer, call, ours) else logging.DEBUG
        _LOG.log(level, "the plugin %s failed in %s of %s: %s", offer.owner.plugin, call, offer.label, traced(error))
        return ours

    def _told(self, offer: Offer, call: str, error: AgentPodError) -> AgentPodError:
        _LOG.log(logging.ERROR if offer.incidents[call].count == 1 else logging.DEBUG, "%s", error)
        return error

    def _is_fit(self, error: AgentPodError) -> bool:
        """Say whether an error was made as ours are: a plugin may have passed over its constructor, or hide a text."""
        reason = getattr(error, "reason", None)
        has_params = isinstance(getattr(error, "params", None), dict)
        return has_params and answers.is_reason(reason) and self.redactor.clean(str(reason)) == reason

    def _clean(self, error: AgentPodError) -> AgentPodError:
        error.params = self.redactor.cleaned(error.params)
        error.detail = None if error.detail is None else self.redactor.clean(str(error.detail))
        if isinstance(error, ConfigError):
            error.problems = [
                msgspec.structs.replace(
                    one,
                    path=self.redactor.clean(str(one.path)),
                    message=self.redactor.clean(str(one.message)),
                    params=self.redactor.cleaned(one.params),
                )
                for one in error.problems
                if isinstance(one, Problem)
            ]
        return error

    def _worked(self, offer: Offer, call: str) -> None:
        known = offer.incidents.get(call)
        if known is not None and not known.is_over:
            offer.incidents[call] = msgspec.structs.replace(known, is_over=True)

    def _note(self, offer: Offer, call: str, error: AgentPodError) -> bool:
        """Keep what went wrong; says whether it worked before."""
        known = offer.incidents.get(call)
        offer.incidents[call] = Incident(
            offer=offer.label,
            call=call,
            error=error,
            count=known.count + 1 if known else 1,
            at=datetime.now(UTC),
        )
        return known is None or known.is_over


def traced(error: BaseException) -> str:
    """Say where an exception came from; not its own words, for they may hold a secret that it was given."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return f"{type(error).__name__} at " + " < ".join(f"{one.filename}:{one.lineno}" for one in reversed(frames))


def _is_asked_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
