"""Long work as data: reading operations, and doing them in the process that leads, one of each kind at a time.

An operation that was running when its process ended is taken up again by the next leader, so what an
executor does must be safe to do again from the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Protocol

from agentpod_core import AgentPodError, ConfigError, ConflictError, NotFoundError, Severity
from agentpod_core.values.status import Happening
from agentpod_server.persisting import insist, repeat
from agentpod_server.records import Failure, OperationRecord, OperationStatus, Progress, Scope
from agentpod_server.services.cursors import Cursors
from agentpod_server.services.engine import Engine
from agentpod_server.store import events, operations
from agentpod_server.store.database import Database


class Report(Protocol):
    """Told what the work is doing: a line, and the percent done where that can be said."""

    def __call__(self, line: str, percent: float | None = None) -> None:
        """Take note; the last word counts."""
        ...


Executor = Callable[[OperationRecord, Report], Coroutine[Any, Any, dict[str, Any]]]
"""Does the work and gives its result; raises AgentPodError where it fails."""

_PACE = 0.5
_LONGEST_LINE = 400

_log = logging.getLogger(__name__)


class Operations:
    """Reads operations."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    async def get(self, scope: Scope, operation_id: str) -> OperationRecord:
        """Give one operation, or NotFoundError."""
        async with self._database.transaction(scope):
            return await operations.get(operation_id)

    async def listing(
        self,
        scope: Scope,
        *,
        kind: str | None = None,
        status: OperationStatus | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[list[OperationRecord], str | None]:
        """List operations, the newest first, with the cursor of the next part."""
        filters = {"kind": kind, "status": status}
        after = self._cursors.read(scope, "operations", filters, cursor) if cursor else None
        async with self._database.transaction(scope):
            page = await operations.listing(status=status, kind=kind, after=after, limit=limit)
        following = self._cursors.write(scope, "operations", filters, page.next) if page.next else None
        return list(page.items), following


class OperationRunner:
    """Does pending operations while this process leads; ``wake`` makes it look at once.

    Each kind has its turn for itself: what takes a moment does not wait for what takes minutes.
    """

    def __init__(self, database: Database, engine: Engine, executors: Mapping[str, Executor]) -> None:
        self._database = database
        self._engine = engine
        self._executors = executors
        self._woken = {kind: asyncio.Event() for kind in (*executors, None)}

    def wake(self) -> None:
        """Look for work now."""
        for woken in self._woken.values():
            woken.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as lanes:
            for kind in self._woken:
                what = f"operations {kind or 'of no kind'}"
                lanes.create_task(repeat(what, partial(self._turn, kind)), name=what)

    async def _turn(self, kind: str | None) -> None:
        """Do an operation of a kind, or (None) of one that nobody knows; without one wait until there may be."""
        if await self._one(kind):
            return
        woken = self._woken[kind]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * _PACE):
                await woken.wait()
        woken.clear()

    async def _one(self, kind: str | None) -> bool:
        """Do the oldest operation there is; False without one, or without the lead."""
        epoch = self._engine.epoch
        if epoch is None:
            return False
        async with self._database.transaction(_SYSTEM):
            operation = await operations.claim(epoch, *([kind] if kind else self._executors), is_other=kind is None)
        if operation is None:
            return False
        _log.info("operation %s (%s %s) begins", operation.id, operation.kind, operation.target)
        result, failure = await self._do(operation, epoch)
        if result is None and failure is None:
            return False
        await self._finish(operation, epoch, result or {}, failure)
        return True

    async def _do(self, operation: OperationRecord, epoch: int) -> tuple[dict[str, Any] | None, Failure | None]:
        """Do the work; (None, None) when the lead was lost meanwhile and the work is somebody else's."""
        executor = self._executors.get(operation.kind)
        if executor is None:
            return None, Failure(reason="UnknownOperation", params={"kind": operation.kind})
        latest: list[Progress] = []

        def report(line: str, percent: float | None = None) -> None:
            latest[:] = [Progress(percent=percent, line=line[:_LONGEST_LINE])]

        work = asyncio.create_task(executor(operation, report), name=f"operation {operation.id}")
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=_PACE)
                if self._engine.epoch != epoch or not await self._is_noted(operation, epoch, latest):
                    return None, None
            # One that cancelled itself is no wish to end of ours.
            return (None, _broke(operation)) if work.cancelled() else (work.result(), None)
        except AgentPodError as error:
            if error.reason == "NotLeader":
                return None, None
            return None, Failure(reason=error.reason, params=error.params)
        except Exception:  # noqa: BLE001 - an executor may break in any way; the operation has to end
            _log.exception("operation %s (%s) failed", operation.id, operation.kind)
            return None, _broke(operation)
        finally:
            work.cancel()
            await asyncio.wait({work})

    async def _is_noted(self, operation: OperationRecord, epoch: int, latest: list[Progress]) -> bool:
        """Write the newest line, if there is one; False when the work is another leader's by now, or nobody's."""
        if not latest:
            return True
        newest = latest.pop()
        try:
            async with self._database.transaction(_SYSTEM):
                await operations.progress(operation.id, newest, epoch=epoch)
        except (ConflictError, NotFoundError):
            return False
        except AgentPodError as error:
            # The work itself does not need the database; a later line will be written.
            _log.info("progress of operation %s was not written: %s", operation.id, error)
        return True

    async def _finish(
        self, operation: OperationRecord, epoch: int, result: dict[str, Any], failure: Failure | None
    ) -> None:
        """Write the outcome, as often as it takes: work that was done must not be done again."""

        async def write() -> None:
            nonlocal result, failure
            try:
                async with self._database.transaction(Scope(actor=operation.created_by)):
                    await operations.finish(operation.id, result=result, error=failure, epoch=epoch)
                    happening = _happening(operation, failure)
                    events.append(happening, tenant_id=operation.tenant_id, tenant=operation.tenant)
            except ConflictError:
                _log.info("operation %s is done again by another leader, whose outcome counts", operation.id)
            except NotFoundError:
                _log.info("operation %s went with its tenant", operation.id)
            except ConfigError:
                # It holds what cannot be stored; that it has ended can be.
                result, failure = {}, _broke(operation)
                raise

        await insist(f"the outcome of operation {operation.id}", write)


_SYSTEM = Scope(actor="system")


def _broke(operation: OperationRecord) -> Failure:
    return Failure(reason="OperationBroke", params={"kind": operation.kind})


def _happening(operation: OperationRecord, failure: Failure | None) -> Happening:
    params = {"operation": operation.id, "kind": operation.kind, "target": operation.target}
    if failure is None:
        return Happening(kind="operation", reason="OperationSucceeded", params=params)
    return Happening(
        kind="operation",
        reason="OperationFailed",
        severity=Severity.ERROR,
        params=params | {"cause": failure.reason, "cause_params": failure.params},
    )
