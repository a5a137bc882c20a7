"""Work that must go on goes on, whatever happens to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from agentpod_core import PermanentError, TemporaryError
from agentpod_core.testing import VirtualLoop
from agentpod_server.persisting import insist, repeat


def _live(history: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(history())


class Work:
    """Fails with those errors, one after the other, and succeeds from then on; ``at`` is when it was tried."""

    def __init__(self, *errors: BaseException, lasts: float = 0.0) -> None:
        self._errors = list(errors)
        self._lasts = lasts
        self.at: list[int] = []

    async def __call__(self) -> str:
        self.at.append(round(asyncio.get_running_loop().time()))
        await asyncio.sleep(self._lasts)
        if self._errors:
            raise self._errors.pop(0)
        return "done"


ERRORS = [
    TemporaryError("StoreUnreachable", detail="?"),
    PermanentError("DatabaseRefused", where="db", problem="?"),
    KeyError("a mistake of ours"),
    ExceptionGroup("several", [OSError("?")]),
    asyncio.CancelledError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_no_error_ends_it(error: BaseException) -> None:
    """Temporary or not, known or not: it is tried again, and gives its result in the end."""

    async def history() -> None:
        work = Work(error)
        assert await insist("work", work) == "done"
        assert len(work.at) == 2

    _live(history)


def test_pauses_grow_and_end_with_success() -> None:
    """Each pause is twice the one before, up to the longest; after a success the first one comes again."""

    async def history() -> None:
        work = Work(*[OSError("?")] * 6)
        repeating = asyncio.create_task(repeat("work", work, every=100.0, first=1.0, longest=10.0))
        await asyncio.sleep(150)
        repeating.cancel()
        assert work.at == [0, 1, 3, 7, 15, 25, 35, 135]

    _live(history)


def test_what_went_well_for_long_is_tried_again_at_once() -> None:
    """The first failure after a long good spell is no sign that the next attempt fails, too."""

    async def history() -> None:
        work = Work(*[OSError("?")] * 3, lasts=60.0)
        await insist("work", work, first=1.0, longest=10.0)
        assert work.at == [0, 61, 122, 183]

    _live(history)


def test_whoever_cancels_it_ends_it() -> None:
    """Cancelled means ended, in the midst of the work or of a pause."""

    async def history() -> None:
        for work in (Work(lasts=10.0), Work(*[OSError("?")] * 9)):
            repeating = asyncio.create_task(repeat("work", work, first=10.0))
            await asyncio.sleep(5)
            repeating.cancel()
            await asyncio.wait({repeating})
            assert repeating.cancelled()

    _live(history)


def test_an_end_that_the_work_makes_a_failure_of_is_an_end() -> None:
    """Work that answers being cancelled by an error is not begun again."""

    async def stubborn() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError as error:
            raise TemporaryError("StoreUnreachable") from error

    async def history() -> None:
        repeating = asyncio.create_task(repeat("work", stubborn))
        await asyncio.sleep(5)
        repeating.cancel()
        await asyncio.wait({repeating}, timeout=50)
        assert repeating.cancelled()

    _live(history)


def test_every_failure_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """What passes is told quietly, what does not as an error, and what should not be with where it came from."""
    caplog.set_level(logging.INFO)

    async def history() -> None:
        await insist("work", Work(*ERRORS[:3]))

    _live(history)
    told = [(one.levelname, one.exc_info is not None) for one in caplog.records if one.name.endswith("persisting")]
    assert told == [("INFO", False), ("ERROR", False), ("ERROR", True)]
