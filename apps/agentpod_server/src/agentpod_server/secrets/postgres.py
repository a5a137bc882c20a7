"""The secret store that AgentPod brings along: sealed rows in its own database.

Inside a transaction of the caller's it takes part in it, so that a pod and its secrets come to be
together or not at all; outside it opens one for that tenant.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from agentpod_core import NotFoundError, SecretRef, SecretStore
from agentpod_server.records import Scope
from agentpod_server.secrets.envelope import seal, unseal
from agentpod_server.secrets.keys import KeyRing
from agentpod_server.store import secrets
from agentpod_server.store.database import Database
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.transactions import joined


class PostgresSecretStore(SecretStore):
    """Keeps secrets sealed in PostgreSQL, the newest three versions of each."""

    name: ClassVar[str] = "postgres"
    title: ClassVar[str] = "PostgreSQL"

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    async def put(self, tenant: str, key: str, value: str) -> SecretRef:
        """Store a new version of a secret and give the reference to it."""
        async with self._taking_part(tenant):
            version = await secrets.next_version(tenant, key)
            row = seal(self._keys, secret_id=str(uuid7()), tenant_id=tenant, key=key, version=version, value=value)
            await secrets.add(row)
        return SecretRef(key=key, store=self.name, version=version)

    async def get(self, tenant: str, ref: SecretRef) -> str:
        """Give the value.

        Raises:
            NotFoundError: ``SecretNotFound``.
            PermanentError: ``SecretUnreadable``.
        """
        row = None
        if not tenant or known(tenant) is not None:
            async with self._taking_part(tenant):
                row = await secrets.find(tenant, ref.key, ref.version)
        if row is None:
            raise NotFoundError("SecretNotFound", key=ref.key, version=ref.version)
        return unseal(self._keys, row)

    async def delete(self, tenant: str, key: str) -> None:
        """Forget all versions; one that does not exist is fine."""
        async with self._taking_part(tenant):
            await secrets.delete(tenant, key)

    async def list(self, tenant: str) -> builtins.list[SecretRef]:
        """List the newest reference of every key; never a value."""
        async with self._taking_part(tenant):
            found = await secrets.newest(tenant)
        return [SecretRef(key=key, store=self.name, version=version) for key, version in found]

    @asynccontextmanager
    async def _taking_part(self, tenant: str) -> AsyncIterator[None]:
        """Use the caller's transaction, or one of our own."""
        transaction = joined()
        if transaction is None or transaction.database is not self._database:
            async with self._database.transaction(Scope(tenant_id=tenant or None)):
                yield
            return
        if transaction.scope.tenant_id not in {None, tenant}:
            msg = "the open transaction belongs to another tenant"
            raise RuntimeError(msg)
        yield
