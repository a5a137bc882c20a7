"""Answers that go on: events as Server-Sent Events, and lines of text, for as long as their caller is welcome.

They end when the server wants to exit: an open stream would otherwise keep it from stopping for as long as its client
likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import msgspec

from agentpod_core import AgentPodError
from agentpod_core.catalogue import Language
from agentpod_server.api import views
from agentpod_server.records import EventRecord
from agentpod_server.services import Services
from agentpod_server.services.hub import TooSlowError
from agentpod_server.services.identity import Caller

UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_POLL = 0.5
_CHUNK = 32 * 1024

_log = logging.getLogger(__name__)


async def while_welcome(
    services: Services, caller: Caller, source: Callable[[Callable[[], bool]], AsyncIterator[bytes]]
) -> AsyncIterator[bytes]:
    """Go on with what ``source`` makes. It is given what says when it has to end.

    It has to once the server wants to exit, and once the caller would not be let in any more: whoever comes again then
    is told why.
    """
    async with services.identity.staying(caller) as stay:
        parts = source(lambda: services.should_exit() or stay.is_over)
        async with aclosing(parts):  # type: ignore[type-var]
            async for part in parts:
                yield part


async def server_sent(
    events: AsyncIterator[EventRecord | None], language: Language, *, has_missed: bool = False
) -> AsyncIterator[bytes]:
    """Write events as an event stream: ``id`` is the number to resume from, quiet times get a comment.

    A reader that is too slow gets the event ``lost``, and the stream ends: it is to reconnect. One that comes
    after events were taken away is told ``missed`` first, and gets what is left.
    """
    if has_missed:
        yield b"event: missed\ndata: {}\n\n"
    async with aclosing(events) as source:  # type: ignore[type-var]
        try:
            async for event in source:
                if event is None:
                    yield b": \n\n"
                else:
                    data = msgspec.json.encode(views.event_view(event, language))
                    yield b"id: %d\ndata: %b\n\n" % (event.seq, data)
        except TooSlowError:
            yield b"event: lost\ndata: {}\n\n"
        except AgentPodError as error:
            _log.info("an event stream ends: %s", error)


async def text_lines(lines: AsyncIterator[bytes], should_exit: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Write lines with their ends, several in one chunk where they come fast."""
    waiting: asyncio.Task[bytes | None] | None = None
    buffer = bytearray()
    try:
        while not should_exit():
            waiting = waiting or asyncio.ensure_future(_next(lines))
            done, _ = await asyncio.wait({waiting}, timeout=0 if buffer else _POLL)
            if done:
                line, waiting = waiting.result(), None
                if line is None:
                    break
                buffer += line + b"\n"
            if buffer and (not done or len(buffer) > _CHUNK):
                yield bytes(buffer)
                buffer.clear()
    except AgentPodError as error:
        _log.info("a stream of lines ends: %s", error)
    finally:
        if waiting is not None:
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError, AgentPodError):
                await waiting
        with contextlib.suppress(AttributeError):
            await lines.aclose()  # type: ignore[attr-defined]
    if buffer:
        yield bytes(buffer)


async def _next(lines: AsyncIterator[bytes]) -> bytes | None:
    return await anext(lines, None)
