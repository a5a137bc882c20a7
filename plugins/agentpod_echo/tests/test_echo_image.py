"""The image on a real engine: built by the recipe, run as hardened as every pod is."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from agentpod_core import (
    SECRETS_PATH,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    SecretRef,
    StartContainer,
    StopContainer,
    Volume,
    WriteFiles,
    owner_labels,
)
from agentpod_core.host import KINDS, Host
from agentpod_core.testing import sample_pod
from agentpod_core.values.names import container_name, network_name, volume_name
from agentpod_echo import EchoAdapter, EchoConfig
from agentpod_echo.image import RECIPE

INSTANCE = "echotest"
ADDRESS, SUBNET, GATEWAY = "10.216.8.10", "10.216.8.0/26", "10.216.8.1"
POD = sample_pod(EchoAdapter(), address=ADDRESS, gateway=GATEWAY)
TOKEN = {POD.secrets["token"]: "a-token-of-the-tests"}
CONTAINER = container_name(INSTANCE, POD.id)
NETWORK = network_name(INSTANCE, 1)

pytestmark = [pytest.mark.docker, pytest.mark.slow]


class Ticking:
    """The machine's own time."""

    def now(self):
        return datetime.now(UTC)

    def monotonic(self):
        return time.monotonic()

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


def rendered():
    """Render the workload with the volume for its secret files, as the engine gets it."""
    workload = EchoAdapter().workload(EchoConfig(), POD, None)
    secrets = Volume(name="secrets", path=SECRETS_PATH, backup=False)
    return msgspec.structs.replace(workload, volumes=(*workload.volumes, secrets))


@pytest.fixture
async def runtime(tmp_path):
    """The Docker runtime with nothing of these tests on it, before and after."""
    host = Host()
    only = dict.fromkeys([kind.name for kind in KINDS], ()) | {"runtime": ("docker",)}
    problems = await host.open(folder=tmp_path, instance=INSTANCE, settings=lambda *_: {}, clock=Ticking(), only=only)
    assert problems == []
    runtime = host.runtime("docker")
    await sweep(runtime)
    yield runtime
    await sweep(runtime)
    await host.close()


async def sweep(runtime):
    """Remove whatever these tests make."""
    await runtime.apply(RemoveContainer(container=CONTAINER, reason="test"), {})
    for volume in rendered().volumes:
        await runtime.apply(RemoveVolume(name=volume_name(INSTANCE, POD.id, volume.name), reason="test"), {})
    await runtime.apply(RemoveNetwork(name=NETWORK, reason="test"), {})


async def run(runtime):
    """Make and start the pod's container on whatever is there already."""
    workload = rendered()
    volumes = {volume.name: volume_name(INSTANCE, POD.id, volume.name) for volume in workload.volumes}
    labels = owner_labels(INSTANCE, pod_id=POD.id, tenant=POD.tenant, adapter="echo", spec_hash="x")
    make_network = CreateNetwork(name=NETWORK, tenant=POD.tenant, subnet=SUBNET, gateway=GATEWAY, reason="test")
    await runtime.apply(make_network, {})
    for name in volumes.values():
        volume_labels = owner_labels(INSTANCE, pod_id=POD.id, tenant=POD.tenant)
        await runtime.apply(CreateVolume(name=name, labels=volume_labels, reason="test"), {})
    create = CreateContainer(
        name=CONTAINER,
        labels=labels,
        workload=workload,
        volumes=volumes,
        network=NETWORK,
        address=ADDRESS,
        hostname=POD.hostname,
        reason="test",
    )
    await runtime.apply(create, TOKEN)
    write = WriteFiles(container=CONTAINER, files=workload.files, uid=1000, gid=1000, reason="test")
    await runtime.apply(write, TOKEN)
    await runtime.apply(StartContainer(container=CONTAINER, reason="test"), {})


async def until_ready(client):
    """Wait for the agent to say that it is ready."""
    async with asyncio.timeout(30):
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def test_the_built_image_runs_hardened_and_keeps_its_data(runtime):
    """Built by its recipe, Echo runs without privileges in 64 MiB, stops cleanly, and its data outlives it."""
    await runtime.build(RECIPE, lambda _: None)
    assert await runtime.has_image(RECIPE.image)
    await run(runtime)
    async with httpx.AsyncClient(base_url=f"http://{ADDRESS}:8080", timeout=5, trust_env=False) as client:
        await until_ready(client)
        facts = (await client.get("/whoami")).json()
        assert (facts["address"], facts["peer"], facts["hostname"]) == (ADDRESS, GATEWAY, POD.hostname)
        usage = await client.get("/usage", headers={"authorization": f"Bearer {TOKEN[SecretRef(key='support/token')]}"})
        assert usage.status_code == 200
        assert (await client.post("/notes", json={"text": "remember me"})).status_code == 201
        measured = await runtime.stats(CONTAINER)
        assert measured.memory < EchoAdapter.request * 2

        await runtime.apply(StopContainer(container=CONTAINER, timeout=2, reason="test"), {})
        assert (await runtime.inspect(CONTAINER)).exit_code == 0
        await runtime.apply(RemoveContainer(container=CONTAINER, reason="test"), {})
        await run(runtime)
        await until_ready(client)
        assert (await client.get("/notes")).json() == {"items": ["remember me"]}
        assert (await client.get("/whoami")).json()["starts"] == 2
