"""People who can log in, by password. Hashing is the caller's. Needs an open transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from agentpod_core.errors import ConflictError, NotFoundError
from agentpod_server.records import Role, UserRecord
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.tables import Sessions, Users
from agentpod_server.store.transactions import demanded


async def create_user(  # noqa: PLR0913 - a user has that many parts
    *, login: str, password_hash: str, role: Role, email: str = "", tenant_id: str | None = None, language: str = ""
) -> UserRecord:
    """Create a user; logins are compared without case.

    Raises:
        ConflictError: ``UserExists``.
    """
    demanded()
    made = (
        await Users.insert(
            Users(
                id=uuid7(),
                login=login.lower(),
                email=email,
                password_hash=password_hash,
                role=role.value,
                tenant_id=known(tenant_id) if tenant_id else None,
                language=language,
            )
        )
        .on_conflict(target=Users.login, action="DO NOTHING")
        .returning(*Users.all_columns())
    )
    if not made:
        raise ConflictError("UserExists", login=login)
    return user_record(made[0])


async def user(login: str) -> UserRecord | None:
    """Give a user by login; None when there is none."""
    found = await credentials(login)
    return None if found is None else found[0]


async def credentials(login: str) -> tuple[UserRecord, str] | None:
    """Give a user and the hash of the password; None when there is none."""
    demanded()
    row = await Users.select().where(Users.login == login.lower()).first()
    return None if row is None else (user_record(row), row["password_hash"])


async def users() -> list[UserRecord]:
    """List the users by login."""
    demanded()
    return [user_record(row) for row in await Users.select().order_by(Users.login)]


async def set_password(user_id: str, password_hash: str) -> None:
    """Change a password, and end the user's sessions.

    Raises:
        NotFoundError: ``UserNotFound``.
    """
    demanded()
    changed = await (
        Users.update({Users.password_hash: password_hash, Users.updated_at: datetime.now(UTC)})
        .where(Users.id == known(user_id))
        .returning(Users.id)
    )
    if not changed:
        raise NotFoundError("UserNotFound", user=user_id)
    await Sessions.delete().where(Sessions.user_id == known(user_id))


async def delete_user(user_id: str) -> None:
    """Delete a user with all sessions; one that does not exist is fine."""
    demanded()
    await Users.delete().where(Users.id == known(user_id))


def user_record(row: dict[str, Any]) -> UserRecord:
    """Read a row of ``users``."""
    return UserRecord(
        id=str(row["id"]),
        login=row["login"],
        email=row["email"],
        role=Role(row["role"]),
        tenant_id=None if row["tenant_id"] is None else str(row["tenant_id"]),
        language=row["language"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
