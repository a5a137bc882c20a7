"""Long work as data: reading operations, and doing them in the process that leads, one of each kind at a time.

An operation that was running when its process ended is taken up again by the next leader, so what an
executor does must be safe to do again from the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from agentpod_core import AgentPodError, ConflictError, Severity, TemporaryError
from agentpod_core.values.status import Happening
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
                lanes.create_task(self._lane(kind), name=f"operations {kind or 'of no kind'}")

    async def _lane(self, kind: str | None) -> None:
        """Do the operations of a kind, or (None) those of the kinds that nobody knows."""
        woken = self._woken[kind]
        while True:
            try:
                worked = await self._one(kind)
            except TemporaryError as error:
                _log.info("operations wait for the database: %s", error)
                worked = False
            if not worked:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), 2 * _PACE)
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
            return work.result(), None
        except AgentPodError as error:
            return None, Failure(reason=error.reason, params=error.params)
        except Exception:  # noqa: BLE001 - an executor may break in any way; the operation has to end
            _log.exception("operation %s (%s) failed", operation.id, operation.kind)
            return None, Failure(reason="OperationBroke", params={"kind": operation.kind})
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await work

    async def _is_noted(self, operation: OperationRecord, epoch: int, latest: list[Progress]) -> bool:
        """Write the newest line, if there is one; False when the work is another leader's by now."""
        if not latest:
            return True
        newest = latest.pop()
        try:
            async with self._database.transaction(_SYSTEM):
                await operations.progress(operation.id, newest, epoch=epoch)
        except TemporaryError as error:
            # The work itself does not need the database; a later line will be written.
            _log.info("progress of operation %s was not written: %s", operation.id, error)
        except ConflictError:
            return False
        return True

    async def _finish(
        self, operation: OperationRecord, epoch: int, result: dict[str, Any], failure: Failure | None
    ) -> None:
        """Write the outcome, as often as it takes: work that was done must not be done again."""
        while True:
            try:
                async with self._database.transaction(Scope(actor=operation.created_by)):
                    await operations.finish(operation.id, result=result, error=failure, epoch=epoch)
                    events.append(_happening(operation, failure), tenant=operation.tenant)
            except TemporaryError as error:
                _log.info("the outcome of operation %s waits for the database: %s", operation.id, error)
                await asyncio.sleep(_PACE)
            except ConflictError:
                # Another leader does it again, and its outcome will count.
                return
            else:
                return


_SYSTEM = Scope(actor="system")


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
