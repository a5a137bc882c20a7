"""Who may come in: users, their sessions, and API tokens, under one name."""

from __future__ import annotations

from agentpod_server.store.api_tokens import create_token, revoke_token, token, tokens, valid_tokens
from agentpod_server.store.sessions import (
    drop_expired_sessions,
    end_session,
    end_sessions,
    hashed,
    session,
    start_session,
    update_session,
    valid_sessions,
)
from agentpod_server.store.users import create_user, credentials, delete_user, set_password, user, users

__all__ = [
    "create_token",
    "create_user",
    "credentials",
    "delete_user",
    "drop_expired_sessions",
    "end_session",
    "end_sessions",
    "hashed",
    "revoke_token",
    "session",
    "set_password",
    "start_session",
    "token",
    "tokens",
    "update_session",
    "user",
    "users",
    "valid_sessions",
    "valid_tokens",
]
