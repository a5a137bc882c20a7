"""Logins and API tokens, over the wire; the only place where values of either may be."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from agentpod_server.records import Role

Label = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
"""What people call a token. It names the actor in logs and events, so it holds nothing that could forge a line."""


class Login(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user's name and password. With ``token_name`` an API token is made instead of a session."""

    user: str
    password: str
    token_name: Label | None = None


class LoginView(Struct, frozen=True, kw_only=True):
    """A session began (its cookie is set; ``csrf`` goes into X-CSRF-Token), or ``token`` was made: shown this once."""

    user: str
    csrf: str | None = None
    token: str | None = None
    expires_at: datetime | None = None


class TokenCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for an API token; with ``tenant`` it sees that tenant alone."""

    name: Label
    role: Role = Role.OPERATOR
    tenant: str | None = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class TokenView(Struct, frozen=True, kw_only=True):
    """An API token; ``token`` is there only in the answer that made it."""

    id: str
    name: str
    prefix: str
    role: Role
    tenant: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    token: str | UnsetType | None = UNSET


class WhoView(Struct, frozen=True, kw_only=True):
    """Who is asking, and with what reach."""

    actor: str
    role: Role
    tenant: str | None
