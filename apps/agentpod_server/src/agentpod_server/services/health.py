"""What is known of the health of agents: the probe's last word, what is asked how often, and where memory is heading.

Only the process that leads asks agents. Any other one knows what was concluded from their answers, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from agentpod_core import Probe
from agentpod_core.observed import Probed, Trend
from agentpod_core.values.status import ConditionType
from agentpod_server.records import PodRecord, Scope
from agentpod_server.services.engine import Engine
from agentpod_server.store import generations
from agentpod_server.store.database import Database


class Word(Struct, frozen=True, kw_only=True):
    """The last word on an agent: its own, or, where another process asks it, what was concluded from that.

    ``alive`` and ``ready`` are None where nobody asked it yet, ``since`` is when this was said first.
    """

    alive: bool | None
    ready: bool | None
    reason: str
    params: dict[str, Any]
    since: datetime | None
    checked_at: datetime | None = None


class Health(Struct, frozen=True, kw_only=True):
    """How one agent is, and all that the engine goes by.

    ``is_well`` is None for a pod that is not wanted to run. ``is_asked_here`` False means that another process asks
    it: then ``probed`` and ``trend`` are None. ``probe`` is None for a workload without one.
    """

    pod: PodRecord
    word: Word
    is_well: bool | None
    is_asked_here: bool
    probe: Probe | None
    probed: Probed | None
    trend: Trend | None


class Healths:
    """The use case of asking how agents are."""

    def __init__(self, database: Database, engine: Engine) -> None:
        self._database = database
        self._engine = engine

    async def of(self, scope: Scope, pods: Sequence[PodRecord]) -> list[Health]:
        """Say how these pods' agents are, in their order."""
        async with self._database.transaction(scope):
            probes = await generations.probes([pod.id for pod in pods])
        return [
            Health(
                pod=pod,
                word=self.word(pod),
                is_well=pod.status.ready if pod.is_wanted else None,
                is_asked_here=self._engine.epoch is not None,
                probe=probes.get(pod.id),
                probed=self._engine.probed(pod.id),
                trend=self._engine.trend(pod.id),
            )
            for pod in pods
        ]

    def word(self, pod: PodRecord) -> Word:
        """Give the last word on a pod's agent."""
        probed = self._engine.probed(pod.id)
        if probed is not None:
            said = probed.result
            return Word(
                alive=said.alive,
                ready=said.ready,
                reason=said.reason,
                params=said.params,
                since=probed.since,
                checked_at=probed.at,
            )
        alive, ready = (pod.status.condition(kind) for kind in (ConditionType.ALIVE, ConditionType.READY))
        concluded = ready or pod.status
        return Word(
            alive=alive.status if alive else None,
            ready=ready.status if ready else None,
            reason=concluded.reason,
            params=concluded.params,
            since=ready.since if ready else None,
        )
