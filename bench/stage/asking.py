"""Asks an address until it answers, the same way on both sides."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

EVERY = 0.01
"""Seconds between two questions: the grain of what is measured with it."""

_PATIENCE = 1.0
_GOOD = b"HTTP/1.1 200 "


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked: a page of ``host``, at a port of this machine or of ``address``."""

    port: int
    host: str
    path: str = "/"
    address: str = "127.0.0.1"
    headers: tuple[str, ...] = ()

    @property
    def text(self) -> bytes:
        """The request as it is sent."""
        lines = (f"GET {self.path} HTTP/1.1", f"Host: {self.host}:{self.port}", "Connection: close", *self.headers)
        return "\r\n".join((*lines, "", "")).encode()


def answered_at(question: Question, *, seconds: float = 60.0, every: float = EVERY) -> float:
    """Give the moment (``time.time``) at which the first good answer began to come in.

    A question goes out every so many seconds on a connection of its own, whether those before have
    been answered or not: one that hangs, as behind a router whose target is away, must not hide that
    the next one is answered.

    Raises:
        TimeoutError: nobody answered.
    """
    return asyncio.run(_first_answer(question, seconds, every))


async def _first_answer(question: Question, seconds: float, every: float) -> float:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[float] = loop.create_future()
    asked: set[asyncio.Task[None]] = set()

    async def ask() -> None:
        if await _is_answered(question) and not answer.done():
            answer.set_result(time.time())

    try:
        async with asyncio.timeout(seconds):
            while not answer.done():
                task = loop.create_task(ask())
                asked.add(task)
                task.add_done_callback(asked.discard)
                await asyncio.wait([answer], timeout=every)
    except TimeoutError:
        raise TimeoutError(f"not within {seconds:g} s: {question.host}{question.path} answers") from None
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    return answer.result()


async def _is_answered(question: Question) -> bool:
    writer = None
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(question.address, question.port)
            writer.write(question.text)
            return await reader.read(len(_GOOD)) == _GOOD
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()
