from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from agentpod_core import CreateContainer, CreateNetwork, CreateVolume, StartContainer
from agentpod_core.observed import Probed
from agentpod_core.values.names import container_name, network_name, owner_labels, volume_name
from agentpod_core.values.reports import ProbeResult
from agentpod_server.testing import IMAGE, INSTANCE, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAIN = "/api/v1/tenants/acme/pods/main"


async def running(rig, api) -> str:
    """Make a pod and let the fake engine run its container; gives the pod's id."""
    pod_id = (await rig.pod(api)).json()["id"]
    pod = await rig.record(pod_id)
    runtime = rig.engine.fake
    runtime.engine.images.add(IMAGE)
    labels = owner_labels(INSTANCE, pod_id=pod_id, tenant="acme")
    network = network_name(INSTANCE, pod.lease.number)
    lease = pod.lease
    volume = volume_name(INSTANCE, pod_id, "data")
    secrets = volume_name(INSTANCE, pod_id, "secrets")
    name = container_name(INSTANCE, pod_id)
    workload = (await rig.engine_part(pod_id)).workload
    for action in (
        CreateNetwork(name=network, tenant="acme", subnet=lease.subnet, gateway=lease.gateway, reason="-"),
        CreateVolume(name=volume, labels=labels, reason="-"),
        CreateVolume(name=secrets, labels=labels, reason="-"),
        CreateContainer(
            name=name,
            labels=labels,
            workload=workload,
            volumes={"data": volume, "secrets": secrets},
            network=network,
            address=pod.address,
            hostname="main-acme",
            reason="-",
        ),
        StartContainer(container=name, reason="-"),
    ):
        await runtime.apply(action, {})
    return pod_id


def container(rig, pod_id):
    """Give the fake engine's container of a pod."""
    return rig.engine.fake.engine.containers[container_name(INSTANCE, pod_id)]


async def test_the_status_is_the_one_of_the_pod(api, rig):
    """The status alone is what the pod's answer holds."""
    pod = (await rig.pod(api)).json()
    assert (await api.get(f"{MAIN}/status")).json() == pod["status"]


async def test_the_plan_says_what_would_be_done_and_why(api, rig):
    """A plan lists its actions with target and reason, and nothing is done."""
    pod = (await rig.pod(api)).json()
    plan = (await api.get(f"{MAIN}/plan")).json()
    assert (plan["key"], plan["tenant"], plan["pod"]) == (f"pod:{pod['id']}", "acme", "main")
    assert plan["actions"] == [
        {
            "action": "start-container",
            "target": container_name(INSTANCE, pod["id"]),
            "reason": "it does not run",
            "message": "it does not run",
        }
    ]
    assert rig.engine.fake.engine.applied == []


async def test_reconcile_asks_for_passes_over_pods_and_tenants(api, rig):
    """Without dry_run the keys are nudged: of one pod, or everything."""
    pod_id = (await rig.pod(api)).json()["id"]
    await rig.pod(api, tenant="beta")
    one = (await api.post("/api/v1/reconcile", json={"tenant": "acme", "pod": "main"})).json()
    assert one == {"dry_run": False, "passes": 1, "items": []}
    assert rig.engine.nudged[1] == f"pod:{pod_id}"
    assert rig.engine.nudged[0].startswith("tenant:")
    assert (await api.post("/api/v1/reconcile", json={})).json()["passes"] == 2
    assert rig.engine.nudged[2:] == ["resync"]


async def test_a_dry_run_gives_the_plans_and_asks_for_nothing(api, rig):
    """With dry_run the plans come back and no key is nudged."""
    await rig.pod(api)
    body = (await api.post("/api/v1/reconcile", json={"dry_run": True})).json()
    assert (body["dry_run"], body["passes"], body["items"][0]["pod"]) == (True, 1, "main")
    assert rig.engine.nudged == []


async def test_reconcile_of_nothing_is_not_found(api):
    """A tenant or pod that does not exist answers 404."""
    assert (await api.post("/api/v1/reconcile", json={"tenant": "nobody"})).status_code == 404
    answer = await api.post("/api/v1/reconcile", json={"pod": "main"})
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "$.tenant")


async def test_health_is_the_probes_last_word(api, rig):
    """Health says when the agent was asked, how long it took, and what it said; null before."""
    pod_id = (await rig.pod(api)).json()["id"]
    before = (await api.get(f"{MAIN}/health")).json()
    assert (before["alive"], before["ready"], before["checked_at"]) == (None, None, None)
    result = ProbeResult(alive=True, ready=False, reason="NotReady", seconds=0.25)
    at = datetime(2030, 1, 1, tzinfo=UTC)
    rig.engine.answers[pod_id] = Probed(result=result, failures=1, at=at, started_at=None)
    health = (await api.get(f"{MAIN}/health")).json()
    assert (health["alive"], health["ready"], health["reason"], health["seconds"]) == (True, False, "NotReady", 0.25)
    assert health["checked_at"] == "2030-01-01T00:00:00Z"


async def test_stats_are_measured_while_the_pod_runs(api, rig):
    """Stats give millicores and bytes of a running pod, and say when it does not run."""
    await rig.pod(api)
    assert (await api.get(f"{MAIN}/stats")).json()["running"] is False
    await running(rig, api)
    stats = (await api.get(f"{MAIN}/stats")).json()
    usage = rig.engine.fake.engine.usage
    assert (stats["running"], stats["cpu"], stats["memory"]) == (True, usage.cpu, usage.memory)
    assert stats["memory_limit"] == 128 * 1024**2


async def test_logs_are_lines_of_text(api, rig):
    """Logs come as text, all or the last lines."""
    pod_id = await running(rig, api)
    container(rig, pod_id).output[:] = [b"one", "zw\u00f6lf".encode(), b"three"]
    answer = await api.get(f"{MAIN}/logs")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == "one\nzw\u00f6lf\nthree\n"
    assert (await api.get(f"{MAIN}/logs", params={"tail": 1})).text == "three\n"
    assert (await api.get(f"{MAIN}/logs", params={"tail": 0})).text == ""
    assert (await api.get(f"{MAIN}/logs", params={"tail": -1})).status_code == 400


async def test_logs_of_a_pod_without_a_container_are_not_found(api, rig):
    """Where there is no container yet the answer is 404, before anything was streamed."""
    await rig.pod(api)
    answer = await api.get(f"{MAIN}/logs")
    assert (answer.status_code, answer.json()["reason"]) == (404, "PodHasNoContainer")


async def test_logs_are_followed_until_the_server_wants_to_exit(api, rig):
    """A followed log gives new lines as they come and ends when the server wants to exit."""
    pod_id = await running(rig, api)
    found = container(rig, pod_id)
    found.output[:] = [b"one"]
    async with api.stream("GET", f"{MAIN}/logs", params={"follow": "true"}) as response:
        lines = response.aiter_lines()
        async with asyncio.timeout(5):
            assert await anext(lines) == "one"
            found.output.append(b"two")
            found.notify()
            assert await anext(lines) == "two"
            rig.stopping = True
            try:
                assert [line async for line in lines] == []
            finally:
                rig.stopping = False


async def test_head_of_quiet_logs_ends_and_leaves_nobody_following(api, rig):
    """HEAD of output that is followed is over with its headers, though no line ever comes."""
    found = container(rig, await running(rig, api))
    found.output.clear()
    before = asyncio.all_tasks()
    answer = await asyncio.wait_for(api.head(f"{MAIN}/logs", params={"follow": "true"}), 5)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    await eventually(lambda: not [one for one in asyncio.all_tasks() - before if "text_lines" in repr(one)], 3)
    await eventually(lambda: not [one for one in asyncio.all_tasks() - before if "_next" in repr(one)], 3)


async def test_an_open_door_is_a_link_that_works_once(api, rig):
    """Opening a running pod gives the link that its agent made, below the pod's address."""
    pod_id = (await rig.pod(api)).json()["id"]
    waiting = await api.post(f"{MAIN}/open")
    assert (waiting.status_code, waiting.json()["reason"]) == (503, "PodNotRunning")
    rig.engine.runs(pod_id)
    door = (await api.post(f"{MAIN}/open")).json()
    assert door == {"url": "http://acme.agents.test:8080/door?pod=main", "expires_at": "2030-01-01T00:00:00Z"}


async def test_a_stopped_pod_has_no_open_door(api, rig):
    """Opening a pod that is wanted stopped answers 409 and says to start it."""
    await rig.pod(api)
    await api.post(f"{MAIN}/stop")
    answer = await api.post(f"{MAIN}/open")
    assert (answer.status_code, answer.json()["reason"]) == (409, "PodIsStopped")


@pytest.mark.parametrize("what", ["status", "health", "stats", "logs", "plan", "config"])
async def test_nothing_is_found_of_a_pod_that_does_not_exist(api, what):
    """Every view of an unknown pod answers 404."""
    await api.post("/api/v1/tenants", json={"slug": "acme"})
    answer = await api.get(f"{MAIN}/{what}")
    assert (answer.status_code, answer.json()["reason"]) == (404, "PodNotFound")


async def test_an_unreachable_engine_is_a_temporary_problem(api, rig):
    """When the engine does not answer, so does the API: 503, with the reason."""
    await running(rig, api)
    rig.engine.fake.engine.reachable = False
    answer = await api.get(f"{MAIN}/stats")
    assert (answer.status_code, answer.json()["reason"]) == (503, "EngineUnreachable")
