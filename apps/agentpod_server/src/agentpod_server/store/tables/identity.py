"""Who may come in, and secrets."""

from __future__ import annotations

from piccolo.columns import JSONB, UUID, Bytea, ForeignKey, Integer, OnDelete, Text, Timestamptz, Varchar
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from agentpod_server.store.piccolo_engine import ENGINE
from agentpod_server.store.tables.pods import Tenants


class Users(Table, tablename="users", db=ENGINE):
    """People who can log in; without a tenant they see all of them."""

    id = UUID(primary_key=True, default=None)
    login = Varchar(length=120, unique=True, default=None)
    email = Text(default="")
    password_hash = Text(default=None)
    role = Varchar(length=16, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=True, default=None)
    language = Varchar(length=16, default="")
    created_at = Timestamptz(default=TimestamptzNow())
    updated_at = Timestamptz(default=TimestamptzNow())


class Sessions(Table, tablename="sessions", db=ENGINE):
    """Browsers that are logged in; ``hash`` is of the session's id, which nobody can read back."""

    hash = Varchar(length=64, primary_key=True, default=None)
    user_id = ForeignKey(Users, on_delete=OnDelete.cascade, null=False, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=True, default=None)
    data = JSONB(default="{}")
    created_at = Timestamptz(default=TimestamptzNow())
    expires_at = Timestamptz(default=None, index=True)


class ApiTokens(Table, tablename="api_tokens", db=ENGINE):
    """Bearer tokens by the hash of their value."""

    id = UUID(primary_key=True, default=None)
    hash = Varchar(length=64, unique=True, default=None)
    name = Text(default="")
    hint = Varchar(length=16, default="")
    role = Varchar(length=16, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=True, default=None)
    created_by = Text(default="")
    created_at = Timestamptz(default=TimestamptzNow())
    expires_at = Timestamptz(null=True, default=None)
    used_at = Timestamptz(null=True, default=None)


class Secrets(Table, tablename="secrets", db=ENGINE):
    """Encrypted secrets, a row per version: the data key wrapped by the key ``key_id``, and the value.

    Those without a tenant are the platform's own.
    """

    id = UUID(primary_key=True, default=None)
    tenant_id = ForeignKey(Tenants, on_delete=OnDelete.cascade, null=True, default=None)
    key = Text(default=None)
    version = Integer(default=None)
    key_id = Varchar(length=8, default=None)
    wrapped = Bytea(default=None)
    sealed = Bytea(default=None)
    created_at = Timestamptz(default=TimestamptzNow())
