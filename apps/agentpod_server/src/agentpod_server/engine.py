"""The engine of this process as the use cases see it, whether it leads, stands by or only looks."""

from __future__ import annotations

from agentpod_core import Endpoint, Link, Runtime
from agentpod_core.controller import Controller
from agentpod_core.observed import Probed, Trend
from agentpod_core.plan import Plan
from agentpod_core.ports import Links
from agentpod_core.values.names import container_name
from agentpod_core.values.world import ContainerState
from agentpod_server.store.engine import PostgresStore


class ServerEngine:
    """Implements ``agentpod_server.services.engine.Engine`` over a controller that may or may not run."""

    def __init__(
        self, *, instance: str, controller: Controller, runtime: Runtime, store: PostgresStore, links: Links
    ) -> None:
        self._instance = instance
        self._controller = controller
        self._runtime = runtime
        self._store = store
        self._links = links

    @property
    def runtime(self) -> Runtime:
        """The runtime that runs the pods' containers."""
        return self._runtime

    @property
    def epoch(self) -> int | None:
        """The epoch in which this process leads; None while it does not."""
        return self._controller.epoch

    async def plan(self, pod_id: str) -> Plan | None:
        """Give the plan that a pass would follow now; None for a pod that is gone."""
        return await self._controller.plan(pod_id)

    async def look(self, key: str) -> None:
        """Look at a key now, and return once a pass over it has ended."""
        await self._controller.look(key)

    async def nudge(self, *keys: str) -> None:
        """Have the leader look at those keys soon: it hears of them as of any change, wherever it is."""
        await self._store.tell(*keys)

    def probed(self, pod_id: str) -> Probed | None:
        """Give what the agent last answered; None where this process did not ask it."""
        return self._controller.probed(pod_id)

    def trend(self, pod_id: str) -> Trend | None:
        """Give where a pod is heading; None where this process did not measure it."""
        return self._controller.trend(pod_id)

    async def link(self, pod_id: str) -> Link | None:
        """Give a line to a pod's agent; None while it does not run."""
        pod = await self._store.pod(pod_id)
        container = await self._runtime.inspect(container_name(self._instance, pod_id))
        port = pod.workload.main_port() if pod else None
        if pod is None or port is None or container is None:
            return None
        if container.state is not ContainerState.RUNNING or container.address is None:
            return None
        return self._links.link(pod, Endpoint(host=container.address, port=port), container.id)
