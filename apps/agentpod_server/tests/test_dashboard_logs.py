from __future__ import annotations

import asyncio

import pytest

from agentpod_core import CreateContainer, CreateNetwork, CreateVolume, StartContainer
from agentpod_core.values.names import container_name, network_name, owner_labels, volume_name
from agentpod_server.testing import IMAGE, INSTANCE

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def running(rig, api):
    """Make a pod and let the fake engine run its container; gives the pod's page and the container."""
    pod = await rig.record((await rig.pod(api)).json()["id"])
    runtime, name = rig.engine.fake, container_name(INSTANCE, pod.id)
    runtime.engine.images.add(IMAGE)
    labels = owner_labels(INSTANCE, pod_id=pod.id, tenant="acme")
    network = network_name(INSTANCE, pod.lease.number)
    volumes = {one: volume_name(INSTANCE, pod.id, one) for one in ("data", "secrets")}
    for action in (
        CreateNetwork(name=network, tenant="acme", subnet=pod.lease.subnet, gateway=pod.lease.gateway, reason="-"),
        *(CreateVolume(name=one, labels=labels, reason="-") for one in volumes.values()),
        CreateContainer(
            name=name,
            labels=labels,
            workload=(await rig.engine_part(pod.id)).workload,
            volumes=volumes,
            network=network,
            address=pod.address,
            hostname="main-acme",
            reason="-",
        ),
        StartContainer(container=name, reason="-"),
    ):
        await runtime.apply(action, {})
    return f"/dashboard/pods/{pod.id}/logs", runtime.engine.containers[name]


async def test_the_last_lines_are_on_the_page(browser, rig, api):
    """Lines are shown as text: no mark-up of theirs, no colours of a terminal, and only so many as asked for."""
    address, container = await running(rig, api)
    container.output[:] = [b"%d" % number for number in range(600)]
    container.output += [b"<script>alert(1)</script>", b"\x1b[31mred\x1b[0m \x07\xff", "zwölf".encode()]
    page = await browser.page(address)
    assert "<script>alert" not in page.html
    assert "<script>alert(1)</script>\nred \ufffd\nzwölf" in page.text
    assert "\n502\n" not in page.text
    assert "\n503\n" in page.text
    assert "\n103\n" in (await browser.page(f"{address}?tail=500")).text
    assert "\n502\n" not in (await browser.page(f"{address}?tail=12345")).text


async def test_lines_are_followed(browser, rig, api):
    """The stream begins with the last lines, gives each new one, and ends when the server wants to."""
    address, container = await running(rig, api)
    container.output[:] = [b"one", b"\x1b[1mtwo\x1b[m"]
    async with browser.client.stream("GET", f"{address}/stream?tail=1") as response, asyncio.timeout(10):
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        lines = response.aiter_lines()
        assert await anext(lines) == "two"
        container.output.append(b"three")
        container.notify()
        assert await anext(lines) == "three"
        rig.stopping = True
        try:
            assert [line async for line in lines] == []
        finally:
            rig.stopping = False


async def test_a_pod_without_a_container_has_a_page_all_the_same(browser, rig, api):
    """Where nothing runs yet the page says so, and the stream is not there."""
    pod_id = (await rig.pod(api)).json()["id"]
    page = await browser.page(f"/dashboard/pods/{pod_id}/logs")
    assert "no container" in page.text
    assert (await browser.get(f"/dashboard/pods/{pod_id}/logs/stream")).status_code == 404
