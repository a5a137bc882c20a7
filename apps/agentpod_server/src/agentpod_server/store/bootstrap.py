"""Prepares a PostgreSQL server for AgentPod: two roles without privileges and a database of ours.

The owner role migrates, the app role works; both are under row-level security. The role given to
begin with is used for nothing else. Everything here may be repeated.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import asyncpg
from msgspec import Struct

from agentpod_core.errors import PermanentError
from agentpod_server.store.failures import EXPECTED, translated

OLDEST = 15
_LOCK = 4_702_111_234_474_983_746


class Access(Struct, frozen=True, kw_only=True):
    """The URLs of the two roles. They hold passwords; the repr shows none."""

    owner_dsn: str
    app_dsn: str

    def __repr__(self) -> str:
        return f"Access(owner={role_of(self.owner_dsn)!r}, app={role_of(self.app_dsn)!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("owner", role_of(self.owner_dsn)), ("app", role_of(self.app_dsn))]


def role_of(dsn: str) -> str:
    """Name the role that a URL logs in as."""
    return unquote(urlsplit(dsn).username or "")


def database_of(dsn: str) -> str:
    """Name the database of a URL; the role's own name where it names none, as PostgreSQL has it."""
    return unquote(urlsplit(dsn).path.lstrip("/")) or role_of(dsn)


def access_beside(dsn: str, *, owner_password: str, app_password: str) -> Access:
    """Derive the URLs of owner and app, named after the database, from the one that an operator gave."""
    database = database_of(dsn)
    return Access(
        owner_dsn=_with_role(dsn, f"{database}_owner", owner_password),
        app_dsn=_with_role(dsn, f"{database}_app", app_password),
    )


async def prepare(admin_dsn: str, access: Access) -> None:
    """Make or mend roles, passwords, database and grants; where all is well, nothing is asked of the admin.

    So the privileges are needed the first time only.

    Raises:
        TemporaryError: ``StoreUnreachable``.
        PermanentError: ``DatabaseTooOld``; ``DatabaseRefused``; ``DatabasePrivilegesMissing`` when the
            role given may not create roles or databases.
    """
    if await _is_prepared(access):
        return
    owner, app, database = role_of(access.owner_dsn), role_of(access.app_dsn), database_of(access.app_dsn)
    try:
        async with _connected(_with_database(admin_dsn, await _any_database(admin_dsn, database))) as admin:
            await demand_version(admin)
            # Session level: the database itself cannot be created inside a transaction.
            await admin.execute("select pg_advisory_lock($1)", _LOCK)
            await _role(admin, owner, _password_of(access.owner_dsn))
            await _role(admin, app, _password_of(access.app_dsn))
            await _database(admin, database, owner)
        async with _connected(_with_database(admin_dsn, database)) as admin:
            await admin.execute(
                f"revoke create on schema public from public;"
                f"grant usage, create on schema public to {_name(owner)};"
                f"grant usage on schema public to {_name(app)};"
                f"grant connect on database {_name(database)} to {_name(owner)}, {_name(app)}"
            )
    except asyncpg.InsufficientPrivilegeError as error:
        raise PermanentError(
            "DatabasePrivilegesMissing", user=role_of(admin_dsn), database=database, detail=str(error)
        ) from error


async def _is_prepared(access: Access) -> bool:
    """Say whether both roles get in and may do what they are for."""
    try:
        async with _connected(access.app_dsn) as app:
            await demand_version(app)
            may_use = await app.fetchval("select has_schema_privilege('public', 'usage')")
        async with _connected(access.owner_dsn) as owner:
            may_create = await owner.fetchval("select has_schema_privilege('public', 'create')")
    except PermanentError as error:
        if error.reason == "DatabaseRefused":
            return False
        raise
    return bool(may_use and may_create)


async def demand_version(connection: asyncpg.Connection) -> None:
    """Refuse a server that is older than AgentPod supports.

    Raises:
        PermanentError: ``DatabaseTooOld``.
    """
    found = int(await connection.fetchval("select current_setting('server_version_num')::int")) // 10000
    if found < OLDEST:
        raise PermanentError("DatabaseTooOld", found=found, needed=OLDEST)


async def _any_database(admin_dsn: str, wanted: str) -> str:
    """Find a database to connect to: the wanted one exists only after the first time."""
    try:
        connection = await asyncpg.connect(_with_database(admin_dsn, wanted), timeout=10)
    except asyncpg.InvalidCatalogNameError:
        return "postgres"
    except EXPECTED:
        return wanted  # the next attempt says what is wrong
    await connection.close(timeout=5)
    return wanted


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    with translated():
        connection = await asyncpg.connect(dsn, timeout=10)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


async def _role(admin: asyncpg.Connection, name: str, password: str) -> None:
    exists = await admin.fetchval("select true from pg_roles where rolname = $1", name)
    if not exists:
        await admin.execute(f"create role {_name(name)} login nosuperuser nobypassrls nocreatedb nocreaterole")
        if not await admin.fetchval("select rolsuper from pg_roles where rolname = current_user"):
            # Creating a database for a role takes membership in it.
            await admin.execute(f"grant {_name(name)} to current_user")
    # The server gets the verifier only, so that no log of statements holds the password.
    await admin.execute(f"alter role {_name(name)} password '{scram_verifier(password)}'")


async def _database(admin: asyncpg.Connection, name: str, owner: str) -> None:
    if not await admin.fetchval("select true from pg_database where datname = $1", name):
        await admin.execute(f"create database {_name(name)} owner {_name(owner)} encoding 'UTF8' template template0")


def scram_verifier(password: str, *, salt: bytes | None = None, rounds: int = 4096) -> str:
    """Compute what PostgreSQL stores of a password (SCRAM-SHA-256, RFC 5803)."""
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${rounds}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def _password_of(dsn: str) -> str:
    return unquote(urlsplit(dsn).password or "")


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _with_role(dsn: str, role: str, password: str) -> str:
    parts = urlsplit(dsn)
    where = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role, safe='')}:{quote(password, safe='')}@{where}"))


def _with_database(dsn: str, database: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path="/" + quote(database, safe="")))
