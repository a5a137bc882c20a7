"""Tells a person of what is wrong with the platform as a whole: an engine that is away, containers without a pod.

What is open is in the store. Each leader reads it when it begins, now and then, and after a report whose end it does
not know: so nothing is told twice, whoever leads, and nothing stays open for ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from agentpod_core.errors import AgentPodError
from agentpod_core.ports import Store
from agentpod_core.values.alerts import AlertChange, Clear, Raise
from agentpod_core.values.status import Happening, Severity

UNREACHABLE = "EngineUnreachable"
ORPHANS = "OrphanContainers"
NAMED = 100
"""So many containers are named, each with an event; what is beyond is counted."""


class PlatformAlerts:
    """Speaks for the leader of one epoch."""

    def __init__(self, store: Store, epoch: int) -> None:
        self.epoch = epoch
        self._store = store
        self._open: dict[str, Raise] | None = None
        self._named: set[str] = set()

    def doubt(self) -> None:
        """Read anew what is open: a report that got no answer may have been written later than that was looked at."""
        self._open = None

    async def engine_missed(self, runtime: str, error: AgentPodError) -> None:
        """Tell that the engine is away."""
        if UNREACHABLE in await self._opened():
            return
        params = {**error.params, "runtime": runtime, "cause": error.reason}
        news = Happening(kind="system", reason=UNREACHABLE, severity=Severity.ERROR, params=params)
        await self._report([news], Raise(reason=UNREACHABLE, severity=Severity.ERROR, params=params))

    async def engine_found(self) -> None:
        """Take that back."""
        if UNREACHABLE in await self._opened():
            await self._report([], Clear(reason=UNREACHABLE))

    async def orphans(self, names: Collection[str], is_there: Callable[[str], Awaitable[bool]]) -> None:
        """Tell of containers that belong to no pod, each once for as long as there are any.

        Of one that was not named yet is asked first ``is_there``: its pod may have been deleted since they were listed.
        """
        opened = await self._opened()
        named: list[str] = []
        gone = 0
        for name in sorted(names):
            if len(named) == NAMED:
                break
            if name in self._named or await is_there(name):
                named.append(name)
            else:
                gone += 1
        if not named:
            if ORPHANS in opened:
                await self._report([], Clear(reason=ORPHANS))
            self._named.clear()
            return
        params = {"names": named, "count": len(names) - gone}
        if ORPHANS in opened and opened[ORPHANS].params == params:
            return
        news = [
            Happening(kind="system", reason="OrphanContainer", severity=Severity.WARNING, params={"name": name})
            for name in named
            if name not in self._named
        ]
        await self._report(news, Raise(reason=ORPHANS, severity=Severity.WARNING, params=params))
        self._named.update(named)

    async def _opened(self) -> dict[str, Raise]:
        if self._open is None:
            found = {one.reason: one for one in await self._store.platform_alerts() if not one.subject}
            self._named = self._named | set(found[ORPHANS].params["names"]) if ORPHANS in found else set()
            self._open = found
        return self._open

    async def _report(self, news: Sequence[Happening], change: AlertChange) -> None:
        opened, self._open = await self._opened(), None
        await self._store.report(news, alerts=(change,), epoch=self.epoch)
        if isinstance(change, Raise):
            opened[change.reason] = change
        else:
            del opened[change.reason]
        self._open = opened
