"""What becomes of an answer on its whole way: from the agent's socket over a real link and a real probe to a status."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from raw_agents import raw_agent

from agentpod_core import Port, Probe, Workload
from agentpod_core.controller import Controller, Pace, Parts
from agentpod_core.embedding import SystemClock
from agentpod_core.plan import Timings
from agentpod_core.testing import FakeRouter, FakeRuntime, FakeStore
from agentpod_core.values.status import ConditionType
from agentpod_http_probe import HttpProbe
from agentpod_server.links import LIMIT, AgentLinks

SCALE = 0.01
HUGE = 10 * 1024 * 1024
PROBE = Probe(probe="http", settings={"path": "/readyz"}, interval=10.0, timeout=10.0, start_deadline=86400.0)
WORKLOAD = Workload(image="fake:1", ports=(Port(name="http", number=8080),), probe=PROBE)


class Store(FakeStore):
    """Says when a pod is not ready for that reason."""

    def __init__(self, reason):
        super().__init__()
        self._reason = reason
        self.said = asyncio.Event()

    async def save(self, epoch, pod_id, *, status, **rest):
        await super().save(epoch, pod_id, status=status, **rest)
        if (ready := status.condition(ConditionType.READY)) and ready.reason == self._reason:
            self.said.set()


class Loopback(AgentLinks):
    """Links that lead to an agent on loopback, wherever the pod is said to be."""

    def __init__(self, runtime, store, agent):
        super().__init__(runtime, store.secret)
        self._agent = agent

    def link(self, pod, endpoint, container):
        return super().link(pod, self._agent, container)


async def test_a_pod_whose_answer_is_huge_says_so_in_its_status():
    """Of ten megabytes the link reads its limit, the probe finds it too large, and that is why the pod is not ready."""
    store, runtime = Store("AnswerTooLarge"), FakeRuntime("linksabc")
    pod_id = await store.add_pod(await store.add_tenant("acme"), "main", workload=WORKLOAD)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {HUGE}\r\n\r\n".encode()
    async with raw_agent(head + b"a" * HUGE) as agent:
        controller = Controller(
            Parts(
                instance="linksabc",
                store=store,
                runtime=runtime,
                router=FakeRouter(),
                clock=SystemClock(),
                timings=Timings().scaled(SCALE),
            ),
            holder="one",
            probe=lambda _: HttpProbe(),
            links=Loopback(runtime, store, agent),
            pace=Pace(resync=0.2, scale=SCALE),
        )
        task = asyncio.create_task(controller.run())
        try:
            async with asyncio.timeout(60):
                await store.said.wait()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    status = (await store.pod(pod_id)).status
    ready, alive = (status.condition(one) for one in (ConditionType.READY, ConditionType.ALIVE))
    assert (ready.status, ready.params) == (False, {"path": "/readyz", "limit": LIMIT})
    assert (status.ready, alive.status) == (False, True)
