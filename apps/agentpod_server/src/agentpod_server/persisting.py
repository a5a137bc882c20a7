"""How the server does what has to be done in the end: again after each failure, and some of it for ever.

A failure is told and followed by a pause that grows, whatever it was: a database that refuses for a moment, or a
mistake of ours, must not end a task that nobody starts again. What has no use in being tried again is the caller's
to catch. The engine's own loops are the core's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from agentpod_core import AgentPodError, TemporaryError

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0

_log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")


async def insist(
    what: str, act: Callable[[], Awaitable[ResultT]], *, first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE
) -> ResultT:
    """Do something until it succeeds, or until cancelled; ``what`` names it in the log.

    The pauses begin anew after an attempt that went well for longer than the longest of them.
    """
    loop = asyncio.get_running_loop()
    pause = first
    while True:
        begun = loop.time()
        try:
            return await act()
        except (Exception, asyncio.CancelledError) as error:
            # What was cancelled within it is one more way to fail, and our own end is no failure, whatever came of it.
            is_end = _is_cancelled()
            if not is_end or not isinstance(error, asyncio.CancelledError):
                _tell(what, error)
            if is_end:
                raise asyncio.CancelledError from error
        if loop.time() - begun > longest:
            pause = first
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest)


def _tell(what: str, error: BaseException) -> None:
    match error:
        case TemporaryError():
            _log.info("%s: %s", what, error)
        case AgentPodError():
            _log.error("%s: %s", what, error)
        case _:
            _log.error("%s: this should not happen", what, exc_info=error)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def repeat(
    what: str,
    act: Callable[[], Awaitable[object]],
    *,
    every: float = 0.0,
    first: float = FIRST_PAUSE,
    longest: float = LONGEST_PAUSE,
) -> NoReturn:
    """Do something again and again, until cancelled: ``every`` seconds after it succeeded, or as ``insist`` does."""
    while True:
        await insist(what, act, first=first, longest=longest)
        await asyncio.sleep(every)
