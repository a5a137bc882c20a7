"""Browsers that are logged in. A session's id is stored as its hash only. Needs an open transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from agentpod_core.errors import NotFoundError
from agentpod_server.records import SessionRecord
from agentpod_server.store import rows
from agentpod_server.store.ids import known
from agentpod_server.store.tables import Sessions, Users
from agentpod_server.store.transactions import demanded
from agentpod_server.store.users import user_record


async def start_session(
    user_id: str, *, raw_id: str, expires_at: datetime, data: dict[str, Any] | None = None
) -> SessionRecord:
    """Log a browser in; ``raw_id`` is to be fresh, long and random.

    Raises:
        NotFoundError: ``UserNotFound``.
    """
    demanded()
    user = await Users.select().where(Users.id == known(user_id)).first()
    if user is None:
        raise NotFoundError("UserNotFound", user=user_id)
    created = datetime.now(UTC)
    await Sessions.insert(
        Sessions(
            hash=hashed(raw_id),
            user_id=user["id"],
            tenant_id=user["tenant_id"],
            data=rows.text(data or {}),
            created_at=created,
            expires_at=expires_at,
        )
    )
    return SessionRecord(user=user_record(user), data=data or {}, created_at=created, expires_at=expires_at)


async def session(raw_id: str) -> SessionRecord | None:
    """Give a session that has not expired; None when there is none."""
    row = await demanded().row(
        "select u.*, s.data, s.created_at as started_at, s.expires_at from sessions s join users u on u.id = s.user_id"
        " where s.hash = $1 and s.expires_at > now()",
        hashed(raw_id),
    )
    if row is None:
        return None
    return SessionRecord(
        user=user_record(dict(row)),
        data=rows.value(row["data"], dict[str, Any]),
        created_at=row["started_at"],
        expires_at=row["expires_at"],
    )


async def valid_sessions(hashes: Collection[str], *, begun_after: datetime) -> set[str]:
    """Give those of these sessions, by the hashes of their ids, that have not ended; they live no longer by that."""
    found = await demanded().fetch(
        "select hash from sessions where hash = any($1) and expires_at > now() and created_at > $2",
        list(hashes),
        begun_after,
    )
    return {row["hash"] for row in found}


async def update_session(raw_id: str, *, data: dict[str, Any], expires_at: datetime) -> None:
    """Write a session's data and new end; one that is gone stays gone."""
    demanded()
    await Sessions.update({Sessions.data: rows.text(data), Sessions.expires_at: expires_at}).where(
        Sessions.hash == hashed(raw_id)
    )


async def end_session(raw_id: str) -> None:
    """Log a browser out; twice is fine."""
    demanded()
    await Sessions.delete().where(Sessions.hash == hashed(raw_id))


async def end_sessions(user_id: str) -> None:
    """Log a user out everywhere."""
    demanded()
    await Sessions.delete().where(Sessions.user_id == known(user_id))


async def drop_expired_sessions() -> None:
    """Forget the sessions that have ended."""
    demanded()
    await Sessions.delete().where(Sessions.expires_at < datetime.now(UTC))


def hashed(raw: str) -> str:
    """Hash a value of high entropy, for which one round is enough."""
    return hashlib.sha256(raw.encode()).hexdigest()
