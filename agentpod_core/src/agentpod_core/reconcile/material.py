"""Finds the secrets that an action names, just before it is applied."""

from __future__ import annotations

from agentpod_core.errors import NotFoundError, PermanentError
from agentpod_core.ports import Store
from agentpod_core.values.actions import Action, CreateContainer, RunOnce, WriteFiles
from agentpod_core.values.workload import SecretRef


def references(action: Action) -> set[SecretRef]:
    """List the secrets that an action needs."""
    if isinstance(action, WriteFiles):
        return {part for file in action.files for part in file.parts if isinstance(part, SecretRef)}
    if isinstance(action, CreateContainer | RunOnce):
        return {value for value in action.workload.env.values() if isinstance(value, SecretRef)}
    return set()


async def material(store: Store, tenant_id: str, action: Action) -> dict[SecretRef, str]:
    """Fetch the values of an action's secrets.

    Raises:
        PermanentError: ``SecretMissing``, one of them is in no store.
    """
    values: dict[SecretRef, str] = {}
    for ref in references(action):
        try:
            values[ref] = await store.secret(tenant_id, ref)
        except NotFoundError as error:
            raise PermanentError("SecretMissing", key=ref.key) from error
    return values
