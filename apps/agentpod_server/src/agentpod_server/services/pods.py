"""Pods as they are: reading them, wanting them run, stopped, restarted or gone."""

from __future__ import annotations

from typing import Any

import msgspec

from agentpod_core import AgentPodError, ConflictError
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Happening, Phase
from agentpod_server.records import PodRecord, Scope
from agentpod_server.services import config
from agentpod_server.services.cursors import Cursors
from agentpod_server.services.offers import Offers
from agentpod_server.store import audit, events, pod_listings, pods, tenants
from agentpod_server.store.database import Database

_VERBS = {
    Wanted.RUNNING: ("PodStartAsked", "pod.start"),
    Wanted.STOPPED: ("PodStopAsked", "pod.stop"),
    Wanted.DELETED: ("PodDeleteAsked", "pod.delete"),
}


class Pods:
    """The use cases around pods that render nothing."""

    def __init__(self, database: Database, cursors: Cursors, offers: Offers) -> None:
        self._database = database
        self._cursors = cursors
        self._offers = offers

    async def get(self, scope: Scope, tenant: str, name: str) -> PodRecord:
        """Give one pod, or NotFoundError (``TenantNotFound``, ``PodNotFound``)."""
        async with self._database.transaction(scope):
            return await _found(tenant, name)

    async def by_id(self, scope: Scope, pod_id: str) -> PodRecord:
        """Give one pod by its id, or NotFoundError."""
        async with self._database.transaction(scope):
            return await pods.by_id(pod_id)

    async def listing(  # noqa: PLR0913 - the filters of a listing
        self,
        scope: Scope,
        *,
        tenant: str | None = None,
        phase: Phase | None = None,
        adapter: str | None = None,
        search: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[list[PodRecord], str | None]:
        """List pods by tenant and name, with the cursor of the next part.

        Raises:
            NotFoundError: there is no such tenant.
        """
        filters = {"tenant": tenant, "phase": phase, "adapter": adapter, "search": search}
        after = self._cursors.read(scope, "pods", filters, cursor) if cursor else None
        async with self._database.transaction(scope):
            if tenant is not None:
                await tenants.get(tenant)
            page = await pod_listings.listing(
                tenant=tenant, phase=phase, adapter=adapter, search=search, after=after, limit=limit
            )
        following = self._cursors.write(scope, "pods", filters, page.next) if page.next else None
        return list(page.items), following

    async def phases(self, scope: Scope, *, tenant: str | None = None) -> dict[Phase, int]:
        """Count the pods by phase."""
        async with self._database.transaction(scope):
            return await pod_listings.count_by_phase(tenant=tenant)

    async def set_wanted(
        self, scope: Scope, tenant: str, name: str, wanted: Wanted, *, keep_data: bool = False
    ) -> PodRecord:
        """Start, stop or delete a pod; what it is wanted to be already changes nothing.

        Raises:
            ConflictError: it is being deleted (``PodDeleting``).
        """
        async with self._database.transaction(scope):
            before = await _found(tenant, name)
            after = await pods.set_wanted(before.id, wanted, keep_data=keep_data)
            if after.generation != before.generation:
                _note(after, *_VERBS[wanted])
            return after

    async def restart(self, scope: Scope, tenant: str, name: str) -> PodRecord:
        """Count one more restart, which the engine serves.

        Raises:
            ConflictError: it is wanted stopped (``PodIsStopped``) or gone (``PodDeleting``).
        """
        async with self._database.transaction(scope):
            before = await _found(tenant, name)
            if before.spec.wanted is Wanted.STOPPED or before.tenant_wanted is Wanted.STOPPED:
                raise ConflictError("PodIsStopped", tenant=tenant, pod=name)
            spec = msgspec.structs.replace(before.spec, restarts=before.spec.restarts + 1)
            after = await pods.change(before.id, expected=None, spec=spec)
            _note(after, "PodRestartAsked", "pod.restart")
            return after

    def config_of(self, pod: PodRecord) -> tuple[int, dict[str, Any]]:
        """Give the config's version and the config itself with every secret masked.

        Without its adapter, or with one that cannot read it, it is shown as it is stored.
        """
        adapter = self._offers.find_adapter(pod.spec.adapter)
        if adapter is not None:
            try:
                with self._offers.guarded(adapter, "upgrade"):
                    return adapter.config_version, config.shown(adapter, pod.spec)
            except AgentPodError:
                # What went wrong is in the list of plugins; a listing of pods must not fail on one of them.
                return pod.spec.config_version, config.shown(None, pod.spec)
        return pod.spec.config_version, config.shown(None, pod.spec)


async def _found(tenant: str, name: str) -> PodRecord:
    there = await pods.find(tenant, name)
    if there is None:
        await tenants.get(tenant)
        return await pods.get(tenant, name)
    return there


def _note(pod: PodRecord, reason: str, action: str) -> None:
    params = {"tenant": pod.tenant, "pod": pod.name}
    events.append_for(pod, Happening(kind="pod", reason=reason, params=params))
    audit.append(action, f"{pod.tenant}/{pod.name}", tenant_id=pod.tenant_id, params={"generation": pod.generation})
