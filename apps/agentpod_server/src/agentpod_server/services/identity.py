"""Who is asking: passwords, sessions of browsers, and API tokens. Nothing here knows cookies or headers."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from agentpod_core import AgentPodError, Clock, ConfigError, NotFoundError, Problem
from agentpod_server.records import ApiTokenRecord, Role, Scope, SessionRecord, UserRecord
from agentpod_server.services.attempts import Attempts
from agentpod_server.services.passwords import Passwords
from agentpod_server.services.stays import Stay, Stays
from agentpod_server.store import audit, identity, tenants
from agentpod_server.store.database import Database

TOKEN_PREFIX = "ap_"  # noqa: S105 - a marker, no secret
_IDLE = timedelta(hours=12)
_LONGEST = timedelta(days=7)
_RENEW_BELOW = timedelta(hours=6)
_SHORTEST_PASSWORD = 8
_LONGEST_PASSWORD = 1024


class Caller(Struct, frozen=True, kw_only=True):
    """Somebody who was recognised: what they are called, what they may do, and how far they see.

    By what they were recognised is in ``token``, the id of a token, or ``session``, the hash of a session's id.
    """

    actor: str
    role: Role
    tenant_id: str | None = None
    language: str = ""
    token: str = ""
    session: str = ""

    def scope(self, request_id: str) -> Scope:
        """Give the scope for one request of theirs."""
        return Scope(tenant_id=self.tenant_id, actor=self.actor, request_id=request_id)


class NewSession(Struct, frozen=True, kw_only=True):
    """A session that just began; ``raw_id`` goes into the cookie and nowhere else."""

    raw_id: str
    caller: Caller
    expires_at: datetime

    def __repr__(self) -> str:
        return f"NewSession(caller={self.caller!r})"


class Identity:
    """Recognises callers and lets them in and out."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords | None = None) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords or Passwords()
        self._attempts = Attempts(clock)
        self._stays = Stays(self._welcome)

    # -------------------------------------------------------------------------------------- users

    async def create_admin(self, password: str, *, login: str = "admin") -> bool:
        """Make the first user of an empty platform; False where there are users already."""
        hashed = await self._passwords.hash(password)
        async with self._database.transaction(_SYSTEM):
            if await identity.users():
                return False
            await identity.create_user(login=login, password_hash=hashed, role=Role.ADMIN)
            audit.append("user.create", login)
            return True

    async def set_password(self, scope: Scope, login: str, password: str) -> None:
        """Change a user's password; all of their sessions end.

        Raises:
            ConfigError: it is too short or too long.
            NotFoundError: there is no such user.
        """
        if not _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
            problem = Problem(
                path="$.password", reason="WeakPassword", params={"least": _SHORTEST_PASSWORD}, message="too short"
            )
            raise ConfigError([problem], reason="InvalidRequest")
        hashed = await self._passwords.hash(password)
        async with self._database.transaction(scope):
            user = await identity.user(login)
            if user is None:
                raise NotFoundError("UserNotFound", user=login)
            await identity.set_password(user.id, hashed)
            audit.append("user.password", login)

    # ----------------------------------------------------------------------------------- sessions

    async def login(self, login: str, password: str, *, address: str, request_id: str) -> NewSession:
        """Begin a session, with an id of its own whatever the browser sent.

        Raises:
            AgentPodError: ``WrongCredentials``; it is not said which part was wrong.
            TemporaryError: ``TooManyLogins``.
        """
        user = await self._checked(login, password, address=address, request_id=request_id)
        raw_id = secrets.token_urlsafe(32)
        expires_at = self._clock.now() + _IDLE
        async with self._database.transaction(_scope(user, request_id)):
            await identity.start_session(user.id, raw_id=raw_id, expires_at=expires_at)
            audit.append("session.start", user.login, tenant_id=user.tenant_id)
        return NewSession(raw_id=raw_id, caller=_of_user(user), expires_at=expires_at)

    async def by_session(self, raw_id: str) -> Caller | None:
        """Recognise a browser; a session that is used lives on, at most for a week."""
        async with self._database.transaction(_SYSTEM):
            session = await identity.session(raw_id)
            if session is None or self._clock.now() >= session.created_at + _LONGEST:
                return None
            await self._renew(raw_id, session)
            return msgspec.structs.replace(_of_user(session.user), session=identity.hashed(raw_id))

    async def logout(self, raw_id: str) -> None:
        """End a session; one that is over already is fine."""
        async with self._database.transaction(_SYSTEM):
            await identity.end_session(raw_id)

    async def sweep(self) -> None:
        """Drop the sessions that are over."""
        async with self._database.transaction(_SYSTEM):
            await identity.drop_expired_sessions()

    # ------------------------------------------------------------------------------------- tokens

    async def token_login(self, login: str, password: str, *, name: str, address: str, request_id: str) -> str:
        """Make an API token for somebody who knows a password; errors as in ``login``."""
        user = await self._checked(login, password, address=address, request_id=request_id)
        async with self._database.transaction(_scope(user, request_id)):
            record, value = await identity.create_token(name=name, role=user.role, tenant_id=user.tenant_id)
            audit.append("token.create", record.name, tenant_id=user.tenant_id)
        return value

    async def create_token(
        self, scope: Scope, *, name: str, role: Role, tenant: str | None = None, expires_at: datetime | None = None
    ) -> tuple[ApiTokenRecord, str]:
        """Make an API token; its value is in this answer and nowhere else.

        Raises:
            NotFoundError: there is no such tenant.
        """
        async with self._database.transaction(scope):
            tenant_id = (await tenants.get(tenant)).id if tenant else scope.tenant_id
            made = await identity.create_token(name=name, role=role, tenant_id=tenant_id, expires_at=expires_at)
            audit.append("token.create", name, tenant_id=tenant_id)
            return made

    async def tokens(self, scope: Scope) -> list[tuple[ApiTokenRecord, str | None]]:
        """List the API tokens, each with its tenant's slug."""
        async with self._database.transaction(scope):
            found = await identity.tokens()
            slugs = {one: (await tenants.by_id(one)).slug for one in {token.tenant_id for token in found} if one}
        return [(token, slugs.get(token.tenant_id or "")) for token in found]

    async def revoke_token(self, scope: Scope, token_id: str) -> None:
        """End a token.

        Raises:
            NotFoundError: there is no such token.
        """
        async with self._database.transaction(scope):
            await identity.revoke_token(token_id)
            audit.append("token.revoke", token_id)

    async def by_token(self, value: str) -> Caller | None:
        """Recognise a program by its token."""
        if not value.startswith(TOKEN_PREFIX):
            return None
        async with self._database.transaction(_SYSTEM):
            token = await identity.token(value)
        if token is None:
            return None
        return Caller(actor=f"token:{token.name}", role=token.role, tenant_id=token.tenant_id, token=token.id)

    # -------------------------------------------------------------------------------------- stays

    def staying(self, caller: Caller) -> AbstractAsyncContextManager[Stay[Caller]]:
        """Give what says, while the block runs, whether a caller would not be let in any more.

        It says so within 15 seconds of the end of their token, session, user or tenant.
        """
        return self._stays.begin(caller)

    async def _welcome(self, callers: Collection[Caller]) -> set[Caller]:
        tokens = {one.token for one in callers if one.token}
        sessions = {one.session for one in callers if one.session}
        async with self._database.transaction(_SYSTEM):
            if tokens:
                tokens = await identity.valid_tokens(tokens)
            if sessions:
                sessions = await identity.valid_sessions(sessions, begun_after=self._clock.now() - _LONGEST)
        return {one for one in callers if one.token in tokens or one.session in sessions}

    # ------------------------------------------------------------------------------------- inside

    async def _checked(self, login: str, password: str, *, address: str, request_id: str) -> UserRecord:
        self._attempts.admit(address, login)
        self._attempts.failed(address, login)
        async with self._database.transaction(_SYSTEM):
            found = await identity.credentials(login)
        user, stored = found or (None, None)
        if len(password) > _LONGEST_PASSWORD:
            password, stored = "", None
        if not await self._passwords.is_right(password, stored) or user is None:
            async with self._database.transaction(Scope(actor="anonymous", request_id=request_id)):
                audit.append("login.failed", login[:80], params={"address": address})
            raise AgentPodError("WrongCredentials")
        self._attempts.succeeded(address, login)
        return user

    async def _renew(self, raw_id: str, session: SessionRecord) -> None:
        now = self._clock.now()
        if session.expires_at - now < _RENEW_BELOW:
            expires_at = min(now + _IDLE, session.created_at + _LONGEST)
            await identity.update_session(raw_id, data=session.data, expires_at=expires_at)


def csrf_token(raw_id: str) -> str:
    """Give the token that unsafe requests of a session must carry; it says nothing about the session's id."""
    return hmac.digest(raw_id.encode(), b"agentpod csrf", hashlib.sha256).hex()


def is_csrf_token(raw_id: str, given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(csrf_token(raw_id).encode(), given.encode())


_SYSTEM = Scope(actor="system")


def _scope(user: UserRecord, request_id: str) -> Scope:
    return Scope(tenant_id=user.tenant_id, actor=f"user:{user.login}", request_id=request_id)


def _of_user(user: UserRecord) -> Caller:
    return Caller(actor=f"user:{user.login}", role=user.role, tenant_id=user.tenant_id, language=user.language)
