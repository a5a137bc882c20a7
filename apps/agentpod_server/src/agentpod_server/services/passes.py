"""Passes that somebody asks for: an operation, so that whichever process leads has them, and says when it did."""

from __future__ import annotations

import asyncio
from typing import Any

from agentpod_core import AgentPodError
from agentpod_core.ports import ROUTES, pod_key, tenant_key
from agentpod_server.records import OperationRecord, PodRecord, Scope
from agentpod_server.services.engine import Engine
from agentpod_server.services.operations import Report
from agentpod_server.store import audit, operations
from agentpod_server.store.database import Database

RECONCILE = "reconcile"

_AT_ONCE = 16


class Passes:
    """The use case of looking at pods now."""

    def __init__(self, database: Database, engine: Engine) -> None:
        self._database = database
        self._engine = engine

    async def ask(self, scope: Scope, some: list[PodRecord], *, tenant: str | None, pod: str | None) -> OperationRecord:
        """Have the leader look at those pods and at their tenants' networks."""
        target = "/".join(name for name in (tenant, pod) if name) or "all"
        ids = {one.tenant: one.tenant_id for one in some}
        params = {
            "tenants": list(ids.values()),
            "pods": [one.id for one in some],
        }
        async with self._database.transaction(scope):
            made = await operations.create(
                RECONCILE,
                target,
                params=params,
                tenant_id=ids.get(tenant or "") or scope.tenant_id,
                tenant=tenant or "",
            )
            audit.append("reconcile", target, tenant_id=scope.tenant_id)
            return made

    async def do_reconcile(self, operation: OperationRecord, report: Report) -> dict[str, Any]:
        """Look; what executes operations of the kind ``reconcile``. One that fails is looked at again by itself."""
        tenants, pods = operation.params["tenants"], operation.params["pods"]
        for tenant_id in tenants:
            await self._engine.look(tenant_key(tenant_id))
        done, troubles = 0, list[AgentPodError]()
        waiting = asyncio.Semaphore(_AT_ONCE)

        async def one(pod_id: str) -> None:
            nonlocal done
            async with waiting:
                try:
                    await self._engine.look(pod_key(pod_id))
                except AgentPodError as error:
                    troubles.append(error)
            done += 1
            report(f"{done}/{len(pods)}", 100 * done / len(pods))

        await asyncio.gather(*map(one, pods))
        if troubles:
            raise troubles[0]
        await self._engine.look(ROUTES)
        return {"passes": len(pods)}
