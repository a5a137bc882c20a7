"""Passes that somebody asks for: an operation, so that whichever process leads has them, and says when it did.

What fails is told with all the rest that failed, and what takes long is left to the engine, which is at it anyway:
neither keeps anybody else's passes waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from agentpod_core import AgentPodError, TemporaryError
from agentpod_core.ports import ROUTES, pod_key, tenant_key
from agentpod_server.records import OperationRecord, Scope
from agentpod_server.services.agents import Agents
from agentpod_server.services.engine import Engine
from agentpod_server.services.operations import Report
from agentpod_server.store import audit, operations, tenants
from agentpod_server.store.database import Database

RECONCILE = "reconcile"

PATIENCE = 30.0
"""Once no pass has ended for so many seconds nobody waits for those that are left."""
_MOST_NAMED = 100
_IN_A_SENTENCE = 5


class _Looks(Struct, kw_only=True):
    """What came of looks at keys, by the names that people know."""

    ended: int = 0
    troubles: dict[str, AgentPodError] = {}
    unfinished: list[str] = []


class Passes:
    """The use case of looking at pods now."""

    def __init__(self, database: Database, engine: Engine, agents: Agents) -> None:
        self._database = database
        self._engine = engine
        self._agents = agents

    async def ask(self, scope: Scope, *, tenant: str | None, pod: str | None) -> OperationRecord:
        """Have the leader look at a pod, those of a tenant, or all that the scope sees, and at their networks.

        Raises:
            NotFoundError: there is no such tenant.
        """
        target = "/".join(name for name in (tenant, pod) if name) or "all"
        async with self._database.transaction(scope):
            tenant_id = (await tenants.get(tenant)).id if tenant else scope.tenant_id
            made = await operations.create(
                RECONCILE,
                target,
                params={"tenant_id": tenant_id, "tenant": tenant, "pod": pod},
                tenant_id=tenant_id,
                tenant=tenant or "",
            )
            audit.append("reconcile", target, tenant_id=scope.tenant_id)
            return made

    async def do_reconcile(self, operation: OperationRecord, report: Report) -> dict[str, Any]:
        """Look; what executes operations of the kind ``reconcile``. What fails is looked at again by the engine."""
        asked = operation.params
        scope = Scope(actor=operation.created_by, tenant_id=asked["tenant_id"])
        pods = await self._agents.chosen(scope, tenant=asked["tenant"], pod=asked["pod"])
        found = _Looks()
        await self._look({tenant_key(one.tenant_id): one.tenant for one in pods}, found)

        done = 0

        def progress(ended: int) -> None:
            nonlocal done
            done = ended
            report(f"{done}/{len(pods)}", 100 * done / len(pods))

        await self._look({pod_key(one.id): f"{one.tenant}/{one.name}" for one in pods}, found, progress)
        await self._look({ROUTES: "routes"}, found)
        if found.troubles:
            raise _told(found)
        named = found.unfinished[:_MOST_NAMED]
        if named:
            report(f"{done}/{len(pods)}, still at: {', '.join(named)}")
        return {"passes": len(pods), "ended": done, "unfinished": named}

    async def _look(
        self, names: Mapping[str, str], found: _Looks, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """Look at all these keys, and wait for as long as now and then one of the passes ends."""
        ended: asyncio.Queue[str] = asyncio.Queue()

        async def one(key: str) -> None:
            try:
                await self._engine.look(key)
            except AgentPodError as error:
                found.troubles[names[key]] = error
            ended.put_nowait(key)

        left = dict(names)
        async with asyncio.TaskGroup() as looks:
            tasks = [looks.create_task(one(key)) for key in names]
            try:
                while left:
                    async with asyncio.timeout(PATIENCE):
                        key = await ended.get()
                    del left[key]
                    found.ended += 1
                    progress(len(names) - len(left))
            except TimeoutError:
                for task in tasks:
                    task.cancel()
        found.unfinished += left.values()


def _told(found: _Looks) -> AgentPodError:
    """Make one error of all; the only one stays as it is, and so does that others lead by now."""
    troubles = list(found.troubles.items())
    for _, error in troubles:
        if error.reason == "NotLeader" or len(troubles) == 1:
            return error
    failures = [{"subject": name, "reason": one.reason, "params": one.params} for name, one in troubles[:_MOST_NAMED]]
    _, first = troubles[0]
    told = {
        "failed": len(troubles),
        "passes": found.ended,
        "subjects": [name for name, _ in troubles[:_IN_A_SENTENCE]],
        "cause": first.reason,
        "failures": failures,
    }
    return TemporaryError("PassesFailed", **first.params | told)
