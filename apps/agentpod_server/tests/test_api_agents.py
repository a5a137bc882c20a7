from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agentpod_core import CreateContainer, CreateNetwork, CreateVolume, StartContainer, TemporaryError
from agentpod_core.observed import Probed, Trend
from agentpod_core.ports import Sample
from agentpod_core.values.names import container_name, network_name, owner_labels, volume_name
from agentpod_core.values.reports import ProbeResult
from agentpod_server.records import Scope
from agentpod_server.services import passes, stays
from agentpod_server.store import history
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
    """The status alone is what the pod's answer holds, and how available the pod was."""
    pod = (await rig.pod(api)).json()
    status = (await api.get(f"{MAIN}/status")).json()
    assert status | {"availability": None} == pod["status"]
    assert set(status["availability"]) == {"today", "this_month", "last_month"}


async def test_the_plan_says_what_would_be_done_and_why(api, rig):
    """A plan lists its actions with target and reason, and nothing is done."""
    pod = (await rig.pod(api)).json()
    plan = (await api.get(f"{MAIN}/plan")).json()
    assert (plan["key"], plan["tenant"], plan["pod"]) == (f"pod:{pod['id']}", "acme", "main")
    assert plan["actions"] == [
        {
            "action": "start-container",
            "target": container_name(INSTANCE, pod["id"]),
            "reason": "NotRunning",
            "message": "The agent does not run.",
        }
    ]
    assert rig.engine.fake.engine.applied == []


async def looked(api, **body) -> dict:
    """Ask for passes and wait until they were had; gives the operation."""
    answer = await api.post("/api/v1/reconcile", json=body)
    assert answer.status_code == 202
    found: dict = {}

    async def is_over() -> bool:
        nonlocal found
        found = (await api.get(answer.headers["location"])).json()
        return found["status"] in {"succeeded", "failed"}

    await eventually(is_over)
    return found


async def test_reconcile_ends_when_the_leader_has_looked(api, rig):
    """Without dry_run the answer is an operation, which the leader ends once every pass has."""
    pod_id = (await rig.pod(api)).json()["id"]
    await rig.pod(api, tenant="beta")
    one = await looked(api, tenant="acme", pod="main")
    assert (one["status"], one["kind"], one["target"]) == ("succeeded", "reconcile", "acme/main")
    assert rig.engine.looked[1:] == [f"pod:{pod_id}", "routes"]
    assert rig.engine.looked[0].startswith("tenant:")
    rig.engine.looked.clear()
    everything = await looked(api)
    assert (everything["target"], everything["progress"]["line"]) == ("all", "2/2")
    assert sum(key.startswith("pod:") for key in rig.engine.looked) == 2


async def test_a_look_that_fails_says_why(api, rig):
    """A pass that the engine cut short is the operation's error; the others are had all the same."""
    pod_id = (await rig.pod(api)).json()["id"]
    await rig.pod(api, tenant="beta")
    rig.engine.troubles[f"pod:{pod_id}"] = TemporaryError("EngineUnreachable")
    ended = await looked(api)
    assert (ended["status"], ended["error"]["reason"]) == ("failed", "EngineUnreachable")
    assert sum(key.startswith("pod:") for key in rig.engine.looked) == 2


async def test_all_that_failed_is_told(api, rig):
    """A tenant without a network and a pod that cannot start: both are told, and everybody else was looked at."""
    await rig.pod(api, name="first")
    second = (await rig.pod(api, name="second")).json()["id"]
    other = (await rig.pod(api, tenant="beta")).json()
    acme = (await rig.record(second)).tenant_id
    rig.engine.troubles[f"tenant:{acme}"] = TemporaryError("EngineUnreachable", cause="no answer")
    rig.engine.troubles[f"pod:{second}"] = TemporaryError("EngineRefused", problem="no space left")
    ended = await looked(api)
    assert (ended["status"], ended["error"]["reason"]) == ("failed", "PassesFailed")
    assert [(one["subject"], one["reason"]) for one in ended["error"]["params"]["failures"]] == [
        ("acme", "EngineUnreachable"),
        ("acme/second", "EngineRefused"),
    ]
    assert "acme/second" in ended["error"]["message"]
    assert f"pod:{other['id']}" in rig.engine.looked
    assert len(rig.engine.looked) == 6


async def test_a_pass_that_takes_long_holds_up_nobody(api, rig, monkeypatch):
    """Passes are had beside one another, and one that does not end is left to the engine and named."""
    monkeypatch.setattr(passes, "PATIENCE", 0.3)
    slow = (await rig.pod(api, name="slow")).json()["id"]
    await rig.pod(api, name="quick")
    looked_at, look = rig.engine.looked, rig.engine.look

    async def patient(key: str) -> None:
        await look(key)
        if key == f"pod:{slow}":
            await asyncio.Event().wait()

    monkeypatch.setattr(rig.engine, "look", patient)
    ended = await looked(api, tenant="acme")
    assert (ended["status"], ended["progress"]["line"]) == ("succeeded", "1/2, still at: acme/slow")
    kept = await rig.services.operations.get(Scope(), ended["id"])
    assert kept.result == {"passes": 2, "ended": 1, "unfinished": ["acme/slow"]}
    assert ended["result"] == kept.result
    assert looked_at[-1] == "routes"


async def test_what_is_kept_of_a_look_does_not_grow_with_the_platform(api, rig):
    """The operation names what was asked for, not every pod that is there."""
    for name in ("one", "two", "three"):
        await rig.pod(api, name=name)
    ended = await looked(api)
    kept = await rig.services.operations.get(Scope(), ended["id"])
    assert kept.params == {"tenant_id": None, "tenant": None, "pod": None}


async def test_a_tenants_token_looks_at_its_own(api, rig):
    """Everything, to who sees one tenant, is that tenant."""
    mine = (await rig.pod(api)).json()["id"]
    await rig.pod(api, tenant="beta")
    scope = Scope(tenant_id=(await rig.record(mine)).tenant_id, actor="test")
    await rig.services.passes.ask(scope, tenant=None, pod=None)
    rig.services.runner.wake()
    await eventually(lambda: "routes" in rig.engine.looked)
    assert [key for key in rig.engine.looked if key.startswith("pod:")] == [f"pod:{mine}"]


async def test_a_look_waits_for_nobodys_image(api, rig, monkeypatch):
    """While an image is being built, which takes minutes, a look is had at once."""
    building = asyncio.Event()

    async def slow(*_):
        await building.wait()

    monkeypatch.setattr(rig.engine.fake, "build", slow)
    await rig.pod(api)
    await api.post("/api/v1/images", json={"adapter": "talker"})
    assert (await looked(api))["status"] == "succeeded"
    building.set()


async def test_a_dry_run_gives_the_plans_and_asks_for_nothing(api, rig):
    """With dry_run the plans come back and no key is nudged."""
    await rig.pod(api)
    body = (await api.post("/api/v1/reconcile", json={"dry_run": True})).json()
    assert (body["dry_run"], body["passes"], body["items"][0]["pod"]) == (True, 1, "main")
    assert (rig.engine.looked, body["operation"]) == ([], None)


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


async def test_health_tells_all_that_the_engine_goes_by(api, rig):
    """Since when, how often in a row, when next, by which thresholds, and where its memory is heading."""
    pod_id = (await rig.pod(api)).json()["id"]
    at = datetime(2030, 1, 1, tzinfo=UTC)
    rig.engine.answers[pod_id] = Probed(
        result=ProbeResult(alive=False, ready=False, reason="Timeout", seconds=5.0),
        failures=4,
        silences=2,
        waited=33.0,
        at=at,
        since=at - timedelta(seconds=30),
        next_at=at + timedelta(seconds=10),
        started_at=None,
    )
    rig.engine.trends[pod_id] = Trend(memory=800, limit=1000, growth=2.0, full_in=100.0, is_quiet=True, is_busy=False)
    health = (await api.get(f"{MAIN}/health")).json()
    assert {name: health[name] for name in ("failures", "silences", "waited", "since", "next_at")} == {
        "failures": 4,
        "silences": 2,
        "waited": 33.0,
        "since": "2029-12-31T23:59:30Z",
        "next_at": "2030-01-01T00:00:10Z",
    }
    assert health["probe"] == {
        "name": "always",
        "interval": 10.0,
        "timeout": 5.0,
        "failures": 3,
        "start_interval": 0.5,
        "start_deadline": 60.0,
    }
    assert health["memory"] == {"used": 800, "limit": 1000, "growth": 2, "full_in": 100.0}
    assert (health["tenant"], health["pod"], health["well"], health["asked_here"]) == ("acme", "main", False, True)


async def test_a_server_that_does_not_lead_says_so(api, rig):
    """Where another process asks the agents, what only that one knows is null, and that it is so is said."""
    await rig.pod(api)
    rig.engine.leads = None
    health = (await api.get(f"{MAIN}/health")).json()
    unknown = ("seconds", "checked_at", "next_at", "failures", "silences", "waited", "memory")
    assert ([health[name] for name in unknown], health["asked_here"]) == ([None] * 7, False)
    assert health["probe"]["interval"] == 10.0


async def test_the_health_of_all_pods_is_listed(api, rig):
    """All pods, or those of a tenant; one that is to stand still is neither well nor ill."""
    await rig.pod(api)
    await rig.pod(api, tenant="globex", name="other")
    await api.post("/api/v1/tenants/globex/pods/other/stop")
    found = (await api.get("/api/v1/health")).json()["items"]
    assert [(one["tenant"], one["pod"], one["well"]) for one in found] == [
        ("acme", "main", False),
        ("globex", "other", None),
    ]
    of_one = (await api.get("/api/v1/health", params={"tenant": "globex"})).json()
    assert ([one["pod"] for one in of_one["items"]], of_one["next"]) == (["other"], None)
    assert (await api.get("/api/v1/health", params={"tenant": "nobody"})).status_code == 404


@pytest.mark.parametrize(("since", "step"), [("1h", 60), ("24h", 600), ("30d", 3600)])
async def test_stats_look_back(api, rig, since, step):
    """With a span the answer has what was measured in it, and gaps where nothing was; storage is the last one known."""
    pod_id = (await rig.pod(api)).json()["id"]
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    samples = [
        Sample(pod_id=pod_id, at=now - timedelta(minutes=age), cpu=100, memory=7, limit=9, storage=age, restarts=1)
        for age in (40, 0)
    ]
    async with rig.database.transaction(Scope(actor="test")):
        await history.add(samples)
    stats = (await api.get(f"{MAIN}/stats", params={"since": since})).json()
    assert (stats["running"], stats["step"], stats["storage"]) == (False, step, 0)
    assert sum(one["restarts"] for one in stats["history"]) == 2
    assert stats["history"][-1] | {"at": None, "restarts": None} == {
        "at": None,
        "cpu": 100,
        "cpu_max": 100,
        "memory": 7,
        "memory_max": 7,
        "memory_limit": 9,
        "storage": 0,
        "restarts": None,
    }
    assert (await api.get(f"{MAIN}/stats")).json()["history"] == []


@pytest.mark.parametrize(
    ("since", "reason"),
    [(since, "BadQuery") for since in ("", "1", "0h", "-1h", "1y", "1h30m")]
    + [(since, "BadPeriod") for since in ("36d", "99999d", "1h\n")],
)
async def test_nobody_looks_back_to_what_is_not_kept(api, rig, since, reason):
    """A span that is none, or longer than anything is kept, is refused and named."""
    await rig.pod(api)
    answer = await api.get(f"{MAIN}/stats", params={"since": since})
    assert (answer.status_code, answer.json()["reason"]) == (400, reason)
    assert answer.json()["params"]["names"] == ["since"]


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


async def test_logs_are_followed_while_the_token_holds(api, rig, monkeypatch):
    """The output of a pod goes on to nobody whose token was revoked meanwhile."""
    monkeypatch.setattr(stays, "EVERY", 0.05)
    container(rig, await running(rig, api)).output[:] = [b"one"]
    token = await rig.token_for(tenant="acme")
    path = f"{MAIN}/logs?follow=true"
    async with asyncio.timeout(60), rig.client(token) as client, client.stream("GET", path) as response:
        lines = response.aiter_lines()
        assert await anext(lines) == "one"
        await rig.services.identity.revoke_token(Scope(), (await rig.services.identity.by_token(token)).token)
        assert [line async for line in lines] == []


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
