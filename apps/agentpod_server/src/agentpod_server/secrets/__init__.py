"""Secrets at rest: sealed by a key that lies outside the database."""

from __future__ import annotations

from agentpod_server.secrets.keys import Key, KeyRing
from agentpod_server.secrets.postgres import PostgresSecretStore

__all__ = ["Key", "KeyRing", "PostgresSecretStore"]
