"""Prepares a PostgreSQL server for AgentPod: two roles without privileges and a database of ours.

The owner role migrates, the app role works; both are under row-level security. The role given to
begin with is used for nothing else. Everything here may be repeated.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

import asyncpg

from agentpod_core.errors import AgentPodError, PermanentError, TemporaryError
from agentpod_server.store.access import Access, database_of, password_of, role_of, with_database
from agentpod_server.store.failures import EXPECTED
from agentpod_server.store.instance import demand_ours
from agentpod_server.store.reach import CONNECT_SECONDS, connected, demand_usable, demand_utf8

_LOCK = 4_702_111_234_474_983_746
_MENDED_BY_THE_ADMIN = ("DatabaseRefused", "DatabasePrivilegesMissing")


async def prepare(admin_dsn: str, access: Access, *, instance: str) -> None:
    """Make or mend roles, passwords, database and grants; where all is well, nothing is asked of the admin.

    So the privileges are needed the first time only.

    Raises:
        TemporaryError: ``DatabaseUnreachable``; ``StoreBusy``.
        PermanentError: ``DatabasePrivilegesMissing`` when the role given may not create roles or databases;
            ``DatabaseOfAnotherInstance``, and nothing was changed; ``DatabaseRoleTooStrong``;
            ``DatabaseNotPrepared``; all that ``reach`` has to say.
    """
    try:
        await _demand_prepared(access)
    except PermanentError as error:
        if error.reason not in _MENDED_BY_THE_ADMIN:
            raise
    else:
        return
    database = database_of(access.app_dsn)
    try:
        await _prepare(admin_dsn, access, database, instance)
    except asyncpg.InsufficientPrivilegeError as error:
        raise _privileges_missing(role_of(admin_dsn), database, str(error)) from error
    except asyncpg.InternalServerError as error:  # tuple concurrently updated: the other half of a server was faster
        raise TemporaryError("StoreBusy", detail=str(error)) from error
    except asyncpg.PostgresError as error:
        raise PermanentError("DatabaseNotPrepared", database=database, problem=str(error)) from error
    try:
        await _demand_prepared(access)
    except PermanentError as error:
        if error.reason == "DatabasePrivilegesMissing":
            raise _privileges_missing(role_of(admin_dsn), database, str(error.params["problem"])) from error
        raise


async def _prepare(admin_dsn: str, access: Access, database: str, instance: str) -> None:
    owner, app = role_of(access.owner_dsn), role_of(access.app_dsn)
    there = await _any_database(admin_dsn, database)
    async with connected(with_database(admin_dsn, there)) as admin:
        await demand_usable(admin)
        # Session level: the database itself cannot be created inside a transaction.
        await admin.execute("select pg_advisory_lock($1)", _LOCK)
        if there == database:
            await demand_utf8(admin, database)
            await demand_ours(admin, instance)
        await _role(admin, owner, password_of(access.owner_dsn))
        await _role(admin, app, password_of(access.app_dsn))
        await _database(admin, database, owner)
    async with connected(with_database(admin_dsn, database)) as admin:
        await admin.execute(
            f"revoke create on schema public from public;"
            f"grant usage, create on schema public to {_name(owner)};"
            f"grant usage on schema public to {_name(app)};"
            f"grant connect on database {_name(database)} to {_name(owner)}, {_name(app)}"
        )


async def _demand_prepared(access: Access) -> None:
    """Return when both roles get in and may do what they are for, and no more."""
    async with connected(access.app_dsn) as app:
        await demand_usable(app)
        await demand_utf8(app, database_of(access.app_dsn))
        await _demand_weak(app)
        if not await app.fetchval("select has_schema_privilege('public', 'usage')"):
            raise _privileges_missing(role_of(access.app_dsn), database_of(access.app_dsn), "USAGE on schema public")
    async with connected(access.owner_dsn) as owner:
        await _demand_weak(owner)
        if not await owner.fetchval("select has_schema_privilege('public', 'create')"):
            raise _privileges_missing(
                role_of(access.owner_dsn), database_of(access.owner_dsn), "CREATE on schema public"
            )


async def _demand_weak(connection: asyncpg.Connection) -> None:
    """Refuse a role that row-level security does not hold: somebody else made it, for something else."""
    user = await connection.fetchval(
        "select rolname from pg_roles where rolname = current_user and (rolsuper or rolbypassrls)"
    )
    if user is not None:
        raise PermanentError("DatabaseRoleTooStrong", user=user)


def _privileges_missing(user: str, database: str, problem: str) -> AgentPodError:
    return PermanentError("DatabasePrivilegesMissing", user=user, database=database, problem=problem)


async def _any_database(admin_dsn: str, wanted: str) -> str:
    """Find a database to connect to: the wanted one exists only after the first time."""
    try:
        connection = await asyncpg.connect(with_database(admin_dsn, wanted), timeout=CONNECT_SECONDS)
    except asyncpg.InvalidCatalogNameError:
        return "postgres"
    except EXPECTED:
        return wanted  # the next attempt says what is wrong
    await connection.close(timeout=5)
    return wanted


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


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
