"""Runs code that may never come back in threads of its own, and waits no longer than it is worth.

A thread cannot be ended from outside: one that loops in Python is made to raise, one that sleeps or waits in a
library is left behind. It is a daemon, so it keeps no process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ctypes
import threading
from collections.abc import Callable
from typing import Any

from msgspec import Struct

_TRIES, _BETWEEN = 4, 0.05
"""How often a thread is interrupted, for what comes in the midst of a finalizer has no effect."""


class Interrupted(BaseException):
    """Raised inside a plugin's code that took too long; no ``Exception``, so that it is not caught by mistake."""


class Outcome(Struct, kw_only=True):
    """How a piece of code ended: with a value or an error; ``is_over`` False means not at all."""

    value: Any = None
    error: BaseException | None = None
    is_over: bool = False


def run(function: Callable[[], Any], *, seconds: float, name: str) -> Outcome:
    """Run a function in a thread and wait for it, at most that long."""
    done = threading.Event()
    outcome, thread = _started(function, name, done.set)
    if not done.wait(seconds):
        for _ in range(_TRIES):
            _interrupt(thread)
            if done.wait(_BETWEEN):
                break
        return Outcome()
    return outcome


async def run_beside(function: Callable[[], Any], *, seconds: float, name: str) -> Outcome:
    """Run a function in a thread while the event loop goes on, and wait for it, at most that long."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def tell() -> None:
        # The loop may be closed when a thread that was given up ends after all.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(done.set)

    outcome, thread = _started(function, name, tell)
    try:
        async with asyncio.timeout(seconds):
            await done.wait()
    except TimeoutError:
        if outcome.is_over:
            # The loop stood still by somebody else's doing, and has not heard of it yet.
            return outcome
        for _ in range(_TRIES):
            _interrupt(thread)
            await asyncio.sleep(_BETWEEN)
            if done.is_set():
                break
        return Outcome()
    return outcome


def _started(function: Callable[[], Any], name: str, tell: Callable[[], None]) -> tuple[Outcome, threading.Thread]:
    outcome = Outcome()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            outcome.value = context.run(function)
        except BaseException as error:  # noqa: BLE001 - it is handed to whoever waits
            outcome.error = error
        outcome.is_over = True
        tell()

    def whole() -> None:
        # An interruption may come when the work is done and nobody waits any more.
        with contextlib.suppress(Interrupted):
            work()

    thread = threading.Thread(target=whole, name=name, daemon=True)
    thread.start()
    return outcome, thread


def _interrupt(thread: threading.Thread) -> None:
    """Make a thread raise as soon as it runs Python code again."""
    # The number of a thread that ended may be another's by now.
    if thread.ident is not None and thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Interrupted))
