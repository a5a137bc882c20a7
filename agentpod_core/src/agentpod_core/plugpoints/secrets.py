"""The plug point for where secrets are kept."""

from __future__ import annotations

from abc import abstractmethod

from agentpod_core.plugpoints.context import Impure
from agentpod_core.values.workload import SecretRef


class SecretStore(Impure):
    """Keeps secrets encrypted. ``tenant`` is the tenant's id, or empty for the platform itself; a key is unique in it.

    Keys are any text, values too, empty or 100,000 characters long. Older versions can still be read.
    No value appears in a repr, a log or an error.
    """

    @abstractmethod
    async def put(self, tenant: str, key: str, value: str) -> SecretRef:
        """Store a new version of a secret and give the reference to it."""

    @abstractmethod
    async def get(self, tenant: str, ref: SecretRef) -> str:
        """Give the value.

        Raises:
            NotFoundError: there is no such secret or version in that tenant (``SecretNotFound``).
            PermanentError: it cannot be decrypted (``SecretUnreadable``).
        """

    @abstractmethod
    async def delete(self, tenant: str, key: str) -> None:
        """Forget all versions; one that does not exist is fine."""

    @abstractmethod
    async def list(self, tenant: str) -> list[SecretRef]:
        """List the newest reference of every key; never a value."""
