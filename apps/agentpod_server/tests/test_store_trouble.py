"""A database that refuses for a moment, or says what nobody expected, silences nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from agentpod_core import PermanentError
from agentpod_core.ports import RESYNC
from agentpod_server.store.failures import meaning, translated
from agentpod_server.store.listen import Listener

REFUSALS = [
    asyncpg.ObjectNotInPrerequisiteStateError("database is not currently accepting connections"),
    asyncpg.InsufficientPrivilegeError("permission denied for database"),
    asyncpg.InvalidPasswordError("password authentication failed"),
]


class Connection:
    """A connection that works until ``end`` is called."""

    def __init__(self) -> None:
        self.end: Callable[[], None] = lambda: None

    def add_termination_listener(self, ended: Callable[[Any], None]) -> None:
        self.end = lambda: ended(self)

    async def add_listener(self, _channel: str, _told: Callable[..., None]) -> None:
        """Take note of nothing."""

    def is_closed(self) -> bool:
        return False

    def terminate(self) -> None:
        """Do nothing."""


class Moody:
    """A database that refuses connections by those errors first."""

    def __init__(self, *errors: BaseException) -> None:
        self._errors = list(errors)
        self.connections: list[Connection] = []

    async def connect(self) -> Connection:
        if self._errors:
            raise self._errors.pop(0)
        self.connections.append(Connection())
        return self.connections[-1]


@pytest.mark.parametrize(
    "error", [*REFUSALS, PermanentError("DatabaseRefused", where="?", problem="?")], ids=lambda one: type(one).__name__
)
async def test_a_refusal_ends_no_listening(error) -> None:
    """Who listens is connected as soon as the database lets it in again, whatever it had said."""
    listener = Listener(Moody(error))  # type: ignore[arg-type]
    told = listener.follow("changes")
    assert await asyncio.wait_for(anext(told), 10) == RESYNC
    await told.aclose()


async def test_a_lost_connection_is_a_gap() -> None:
    """A connection that was closed is replaced, and who listens looks at everything."""
    database = Moody()
    listener = Listener(database)  # type: ignore[arg-type]
    told = listener.follow("changes")
    await asyncio.wait_for(anext(told), 10)
    database.connections[0].end()
    assert await asyncio.wait_for(anext(told), 10) == RESYNC
    assert len(database.connections) == 2
    await told.aclose()


@pytest.mark.parametrize("error", REFUSALS, ids=lambda one: type(one).__name__)
def test_what_is_said_while_connecting_is_a_refusal(error) -> None:
    """Before anything of ours was asked it cannot be our mistake: the place is named, and the server's words."""
    with pytest.raises(PermanentError) as raised, translated(where="db:5432/shop"):
        raise error
    assert (raised.value.reason, raised.value.params["where"]) == ("DatabaseRefused", "db:5432/shop")


def test_a_wrong_statement_stays_our_mistake() -> None:
    """Of what we ask, an error that nobody expects is not explained away."""
    assert meaning(asyncpg.InsufficientPrivilegeError("permission denied for table pods")) is None
