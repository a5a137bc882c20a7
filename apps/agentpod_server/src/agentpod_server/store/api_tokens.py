"""Bearer tokens for the API: shown once, stored as a hash. Needs an open transaction."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from agentpod_core.errors import NotFoundError
from agentpod_server.records import ApiTokenRecord, Role
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.sessions import hashed
from agentpod_server.store.tables import ApiTokens
from agentpod_server.store.transactions import demanded

PREFIX = "ap_"
_HINT = 7
_USE_NOTED_EVERY = timedelta(minutes=1)


async def create_token(
    *, name: str, role: Role, tenant_id: str | None = None, expires_at: datetime | None = None, value: str | None = None
) -> tuple[ApiTokenRecord, str]:
    """Make a token and give its value, which nobody can read again. ``value`` sets it (a first run's own)."""
    scope = demanded().scope
    chosen = value or PREFIX + secrets.token_urlsafe(32)
    made = await ApiTokens.insert(
        ApiTokens(
            id=uuid7(),
            hash=hashed(chosen),
            name=name,
            hint=chosen[:_HINT],
            role=role.value,
            tenant_id=known(tenant_id) if tenant_id else None,
            created_by=scope.actor,
            expires_at=expires_at,
        )
    ).returning(*ApiTokens.all_columns())
    return _token(made[0]), chosen


async def token(value: str) -> ApiTokenRecord | None:
    """Give the token of that value unless it has expired, and note its use to the minute; None without one."""
    demanded()
    digest = hashed(value)
    row = await ApiTokens.select().where(ApiTokens.hash == digest).first()
    # The index compares hashes byte by byte; what that tells about a hash leads back to no token.
    if row is None or not hmac.compare_digest(row["hash"], digest):
        return None
    now = datetime.now(UTC)
    if row["expires_at"] is not None and row["expires_at"] <= now:
        return None
    if row["used_at"] is None or now - row["used_at"] > _USE_NOTED_EVERY:
        await ApiTokens.update({ApiTokens.used_at: now}).where(ApiTokens.id == row["id"])
    return _token(row)


async def valid_tokens(ids: Collection[str]) -> set[str]:
    """Give those of these tokens that are neither revoked nor expired; that notes no use of them."""
    found = await demanded().fetch(
        "select id from api_tokens where id = any($1) and (expires_at is null or expires_at > $2)",
        [known(one) for one in ids],
        datetime.now(UTC),
    )
    return {str(row["id"]) for row in found}


async def tokens() -> list[ApiTokenRecord]:
    """List the tokens, oldest first."""
    demanded()
    return [_token(row) for row in await ApiTokens.select().order_by(ApiTokens.id)]


async def revoke_token(token_id: str) -> None:
    """Make a token worthless at once.

    Raises:
        NotFoundError: ``TokenNotFound``.
    """
    demanded()
    if not await ApiTokens.delete().where(ApiTokens.id == known(token_id)).returning(ApiTokens.id):
        raise NotFoundError("TokenNotFound", token=token_id)


def _token(row: dict[str, Any]) -> ApiTokenRecord:
    return ApiTokenRecord(
        id=str(row["id"]),
        name=row["name"],
        hint=row["hint"],
        role=Role(row["role"]),
        tenant_id=None if row["tenant_id"] is None else str(row["tenant_id"]),
        created_by=row["created_by"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        used_at=row["used_at"],
    )
