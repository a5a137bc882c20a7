"""Secrets of pods and targets: put away when they come in, made where an adapter wants some, dropped when unused.

Keys are by the pod's id, so pods of one tenant cannot meet. No value leaves this module but for the
one store that keeps it.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Mapping
from typing import Any

from agentpod_core import AgentAdapter, NotFoundError, PermanentError, SecretRef, SecretStore
from agentpod_core.schema import paths
from agentpod_server.services import config


class Vault:
    """Keeps secrets. Works inside the caller's transaction where the store is the database's."""

    def __init__(self, store: SecretStore, stores: Mapping[str, SecretStore]) -> None:
        self._store = store
        self._stores = stores

    @property
    def is_transactional(self) -> bool:
        """Whether new secrets vanish by themselves with a transaction that fails."""
        return self._store.name == "postgres"

    async def put(
        self, tenant_id: str, owner: str, texts: Mapping[str, str], stored: dict[str, Any] | None = None
    ) -> dict[str, SecretRef]:
        """Store the secrets of a config, by dotted path; ``owner`` is what its keys begin with.

        What is stored already keeps its reference.
        """
        refs: dict[str, SecretRef] = {}
        for path, text in texts.items():
            old = _at(stored or {}, path)
            keep = old is not None and await self._is(tenant_id, old, text)
            refs[path] = old if keep and old else await self._store.put(tenant_id, _key(owner, path), text)
        return refs

    async def material(self, tenant_id: str, stored: Any) -> dict[SecretRef, str]:
        """Give the values of all secrets that stored settings refer to.

        Raises:
            NotFoundError: ``SecretNotFound``.
            PermanentError: ``UnknownSecretStore``; ``SecretUnreadable``.
        """
        found = {}
        for ref in config.references(stored):
            if ref.store not in self._stores:
                raise PermanentError("UnknownSecretStore", name=ref.store, known=sorted(self._stores))
            found[ref] = await self._stores[ref.store].get(tenant_id, ref)
        return found

    async def generate(
        self, tenant_id: str, pod_id: str, adapter: AgentAdapter[Any], *, besides: Collection[str] = ()
    ) -> dict[str, SecretRef]:
        """Make a new value for each secret that the adapter wants made, but for those that are there."""
        return {
            name: await self._store.put(tenant_id, f"pod/{pod_id}/generated/{name}", secrets.token_urlsafe(32))
            for name in adapter.generated_secrets
            if name not in besides
        }

    async def differing(self, tenant_id: str, texts: Mapping[str, str], stored: dict[str, Any]) -> list[str]:
        """List the paths whose texts are not what the stored config's references lead to."""
        found = [(path, text, _at(stored, path)) for path, text in texts.items()]
        return [path for path, text, ref in found if ref is None or not await self._is(tenant_id, ref, text)]

    async def drop_unused(self, tenant_id: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Forget the secrets that the older config had and the newer one has no more."""
        kept = {(ref.store, ref.key) for ref in config.references(after)}
        for ref in config.references(before):
            if (ref.store, ref.key) not in kept and ref.store in self._stores:
                await self._stores[ref.store].delete(tenant_id, ref.key)

    async def drop_all(self, tenant_id: str, refs: list[SecretRef]) -> None:
        """Forget secrets whose pod did not come to be; for stores that know nothing of transactions."""
        for ref in refs:
            await self._stores[ref.store].delete(tenant_id, ref.key)

    async def _is(self, tenant_id: str, ref: SecretRef, text: str) -> bool:
        store = self._stores.get(ref.store)
        try:
            known = await store.get(tenant_id, ref) if store else None
        except NotFoundError:
            known = None
        return known is not None and hmac.compare_digest(known.encode(), text.encode())


def _key(owner: str, path: str) -> str:
    key = f"{owner}/{path}"
    if any(part.isdigit() for part in paths.split(path)):
        # An item of a list may move and take its reference along; what comes to its place needs a key of its own.
        return f"{key}/{secrets.token_hex(4)}"
    return key


def _at(value: Any, path: str) -> SecretRef | None:
    for key in paths.split(path):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    found = config.references(value) if isinstance(value, dict) else []
    return found[0] if len(found) == 1 else None
