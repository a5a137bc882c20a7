"""What the use cases ask of the engine; whoever builds the server plugs one in."""

from __future__ import annotations

from typing import Protocol

from agentpod_core import Link, Runtime
from agentpod_core.observed import Probed, Trend
from agentpod_core.plan import Plan


class Engine(Protocol):
    """The engine of this process, whether it leads, stands by, or only looks (``agentpod server``)."""

    @property
    def runtime(self) -> Runtime:
        """The runtime that runs the pods' containers."""
        ...

    @property
    def epoch(self) -> int | None:
        """The epoch in which this process leads; None while it does not."""
        ...

    async def plan(self, pod_id: str) -> Plan | None:
        """Give the plan that a pass would follow now, following nothing; None for a pod that is gone."""
        ...

    async def look(self, key: str) -> None:
        """Look at a key now, and return once a pass over it has ended.

        Raises:
            AgentPodError: what the pass ended with; ``NotLeader`` where this process does not lead.
        """
        ...

    async def nudge(self, *keys: str) -> None:
        """Have whatever process leads look at those keys soon.

        Raises:
            TemporaryError: ``StoreUnreachable``.
        """
        ...

    def probed(self, pod_id: str) -> Probed | None:
        """Give what the agent last answered; None where this process did not ask it."""
        ...

    def trend(self, pod_id: str) -> Trend | None:
        """Give where a pod is heading; None where this process did not measure it."""
        ...

    async def link(self, pod_id: str) -> Link | None:
        """Give a line to a pod's agent; None while it does not run."""
        ...
