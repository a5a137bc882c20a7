"""The core alone: one agent on Docker, without server or database.

It makes an agent, kills it, sees it healed, and removes it. Run: ``.venv/bin/python examples/core_alone.py``
"""

import asyncio
import os
import tempfile
from pathlib import Path

import httpx

from agentpod_core import Reply, TemporaryError
from agentpod_core.embedding import Controller, Host, MemoryStore, Parts, SystemClock, Wanted, container_name

INSTANCE = os.environ.get("INSTANCE", "corealon")  # 8 characters; what lacks this label is never touched
ADDRESSES = os.environ.get("ADDRESSES", "10.253.0.0/24")  # that nothing else on this machine uses


class Link:
    """Asks one agent by plain HTTP, the only way that its probe takes."""

    def __init__(self, endpoint):
        self.base = f"http://{endpoint.host}:{endpoint.port}"

    async def http(self, method, path, *, timeout, **_):
        try:
            async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
                return Reply(status=(await client.request(method, self.base + path)).status_code)
        except httpx.TransportError:
            raise TemporaryError("Unreachable") from None


class Links:
    def link(self, pod, endpoint, container):
        return Link(endpoint)


async def main(folder):
    host, store, clock = Host(), MemoryStore(address_range=ADDRESSES), SystemClock()
    settings = {"runtime": {"protect_host": False}}  # packet filters take root, and would outlive this program
    only = {"runtime": ["docker"], "probe": ["http"], "router": []}
    await host.open(
        instance=INSTANCE, folder=folder, clock=clock, settings=lambda kind, _: settings.get(kind, {}), only=only
    )
    docker, echo = host.runtime("docker"), host.agent("echo")
    await docker.build(echo.recipe(), print)

    parts = Parts(instance=INSTANCE, store=store, runtime=docker, clock=clock)
    controller = Controller(parts, holder="me", probe=host.probe, links=Links())
    async with controller.running(), asyncio.timeout(120):
        tenant = await store.add_tenant("acme")
        pod = await store.create_pod(tenant, "support", echo, echo.config_type(greeting="All alone."))
        await store.until(lambda: store.status(pod).ready)
        print("ready at", (await store.pod(pod)).address)

        await (await asyncio.create_subprocess_exec("docker", "kill", container_name(INSTANCE, pod))).wait()
        await store.until(lambda: not store.status(pod).ready)
        await store.until(lambda: store.status(pod).ready)
        print("healed:", *(told.happening.reason for told in store.told))

        await store.want_pod(pod, Wanted.DELETED)
        await store.want_tenant(tenant, Wanted.DELETED)
        await store.until(lambda: store.is_empty)
        print("removed")
    await host.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as own:
        asyncio.run(main(Path(own)))
