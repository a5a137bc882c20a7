"""Breaks plugins' code out of blocking the event loop, and says where our own does.

A thread sees that the loop does not turn and looks at the main thread by a signal. Where a guarded plugin call runs
there, and goes on running, the handler raises within it; the guard makes that plugin's failure of it. Code that
catches even that, or waits in a library that heeds no signal, can only be named.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from agentpod_core.host import Call, current_call

_LOOKS: Final = 4
"""So often in a row the same call has to be found at work before it is interrupted."""
_SIGNAL: Final = signal.SIGURG
"""Ignored by default, so that one that comes too late does no harm."""
_FRAMES: Final = 12

_log = logging.getLogger(__name__)


class Watchdog:
    """Watches the loop of the main thread; a call may hold it up for about ``seconds``.

    ``lagged`` is told at each tick by how many seconds the loop was late.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, lagged: Callable[[float], None] = lambda _: None
    ) -> None:
        self._loop = loop
        self._lagged = lagged
        self._seconds = seconds
        self._tick = seconds / (_LOOKS + 1)
        self._beats = 0
        self._seen: tuple[int, Call | None] = (-1, None)
        self._looks = 0
        self._stop = threading.Event()
        self._main = threading.main_thread().ident or 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the block runs; to be entered in the main thread."""
        before = signal.signal(_SIGNAL, self._look)
        self._beat(time.monotonic())
        thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self._timer.cancel()
            signal.signal(_SIGNAL, before)

    def _beat(self, due: float) -> None:
        self._beats += 1
        # Not the loop's own clock: it stands still while something holds the loop up.
        now = time.monotonic()
        self._lagged(now - due)
        self._timer = self._loop.call_later(self._tick, self._beat, now + self._tick)

    def _watch(self) -> None:
        """Count the ticks that the loop misses: ticks, not time, for the whole process may have stood still."""
        seen, missed = -1, 0
        while not self._stop.wait(self._tick):
            if self._beats != seen:
                seen, missed = self._beats, 0
                continue
            missed += 1
            if missed > 1:
                signal.pthread_kill(self._main, _SIGNAL)
            if missed == 2 * _LOOKS:
                _log.error("the event loop stands still, and nothing breaks it out: %s", _where(self._main))

    def _look(self, _number: int, _frame: FrameType | None) -> None:
        """See who is at work; runs in the main thread, in the midst of what is at work there."""
        call = current_call()
        if self._seen[0] != self._beats or self._seen[1] is not call:
            self._seen, self._looks = (self._beats, call), 0
        self._looks += 1
        if call is not None and self._looks >= _LOOKS:
            self._looks = 0
            call.interrupt(self._seconds)


def _where(thread: int) -> str:
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - the documented way to see another thread
    frames = traceback.extract_stack(frame)[-_FRAMES:] if frame else []
    return " < ".join(f"{one.filename}:{one.lineno}" for one in reversed(frames))
