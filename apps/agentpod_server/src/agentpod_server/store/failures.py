"""Tells what a failed database call means: try again, hopeless, or a mistake in our own program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from agentpod_core.errors import AgentPodError, ConfigError, PermanentError, Problem, TemporaryError

_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, crashed, starting up, cancelled
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,  # the primary became a standby
    asyncpg.IdleInTransactionSessionTimeoutError,
    OSError,
)
_BUSY = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)
_REFUSED = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
_UNSTORABLE = (asyncpg.UntranslatableCharacterError, asyncpg.CharacterNotInRepertoireError)

EXPECTED = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Everything that the driver raises: a server killed under a query shows as InternalClientError."""


def is_refused(error: BaseException) -> bool:
    """Say whether the server answered and does not let us in."""
    # A pooler refuses as a breach of protocol; the driver itself, where it cannot give the proof that is asked for.
    return isinstance(error, (*_REFUSED, asyncpg.ProtocolViolationError)) or "unsupported authentication" in str(error)


def meaning(error: BaseException, *, connection_lost: bool = False, where: str = "") -> AgentPodError | None:
    """Say what an error of the driver means to the caller; None when it is a mistake of ours.

    ``where`` is given while a connection is opened: nothing of ours was asked yet, so whatever the server says then
    is a refusal.
    """
    if isinstance(error, AgentPodError):
        return None
    if connection_lost or isinstance(error, (*_GONE, asyncpg.InternalClientError)):
        return TemporaryError("StoreUnreachable", detail=f"{type(error).__name__}: {error}")
    if isinstance(error, _BUSY):
        return TemporaryError("StoreBusy", retry_after=0.1, detail=type(error).__name__)
    if is_refused(error) or (where and isinstance(error, asyncpg.PostgresError)):
        return PermanentError("DatabaseRefused", where=where, problem=str(error))
    if isinstance(error, _UNSTORABLE):
        message = "holds a character that cannot be stored (NUL, or half of a surrogate pair)"
        return ConfigError([Problem(path="$", reason="UnstorableText", message=message)], reason="InvalidRequest")
    return None


def is_lost(connection: asyncpg.Connection) -> bool:
    """Say whether nothing can be asked of a connection any more; the pool takes a broken one back by itself."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


@contextmanager
def translated(connection: asyncpg.Connection | None = None, *, where: str = "") -> Iterator[None]:
    """Raise what the driver raises as what it means; mistakes of ours stay as they are."""
    try:
        yield
    except EXPECTED as error:
        said = meaning(error, connection_lost=connection is not None and is_lost(connection), where=where)
        if said is None:
            raise
        raise said from error
