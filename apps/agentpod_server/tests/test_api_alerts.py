from __future__ import annotations

from datetime import timedelta

import pytest
import pytest_asyncio

from agentpod_core import TemporaryError
from agentpod_core.values.alerts import Clear, Raise
from agentpod_core.values.status import Severity
from agentpod_server.records import Role, Scope
from agentpod_server.store import alerts, pods

pytestmark = pytest.mark.asyncio(loop_scope="session")

DOWN = Raise(
    reason="CrashLoop",
    severity=Severity.ERROR,
    params={"cause": "PermanentExit", "cause_params": {"exit_code": 78}},
)
OPS = {"name": "ops", "kind": "fake", "secrets": {"password": "pw"}}


class Stage:
    """A server with a pod in trouble."""

    def __init__(self, rig, api):
        self.rig, self.api = rig, api

    async def change(self, *changes, tenant="acme", pod="main"):
        async with self.rig.database.transaction(Scope()):
            found = await pods.find(tenant, pod) if tenant else None
            if found is None:
                await alerts.change(changes)
            else:
                await alerts.change(changes, tenant_id=found.tenant_id, tenant=tenant, pod_id=found.id, pod=pod)

    async def of(self, tenant, role=Role.OPERATOR):
        return {"authorization": f"Bearer {await self.rig.token_for(role, tenant)}"}

    def until(self, **later):
        return (self.rig.clock.now() + timedelta(**later)).isoformat()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(rig, api):
    """Two tenants with a pod each; the first one's is in trouble."""
    for tenant in ("acme", "globex"):
        assert (await api.post("/api/v1/tenants", json={"slug": tenant})).status_code == 201
        assert (await rig.pod(api, tenant=tenant)).status_code == 201
    made = Stage(rig, api)
    await made.change(DOWN)
    return made


async def test_an_alert_is_listed_with_its_words(stage, api):
    """It says of which pod, since when, what is wrong and what to do, in the reader's language."""
    (found,) = (await api.get("/api/v1/alerts")).json()["items"]

    assert (found["tenant"], found["pod"], found["reason"], found["severity"]) == ("acme", "main", "CrashLoop", "error")
    assert found["title"] == "Crash loop"
    assert "agentpod pod restart acme/main" in found["message"]
    assert (found["cleared_at"], found["silenced"], found["deliveries"]) == (None, False, [])
    assert (await api.get(f"/api/v1/alerts/{found['id']}")).json() == found
    chinese = (await api.get("/api/v1/alerts", headers={"accept-language": "zh"})).json()["items"][0]
    assert chinese["title"] != found["title"]


async def test_alerts_are_filtered(stage, api):
    """By state, least severity, tenant and pod."""
    await stage.change(Raise(reason="MemoryGrowing", severity=Severity.WARNING), tenant="globex")
    await stage.change(Raise(reason="EngineUnreachable", severity=Severity.ERROR), tenant="")
    await stage.change(Clear(reason="EngineUnreachable"), tenant="")
    expected = {
        "": ["EngineUnreachable", "MemoryGrowing", "CrashLoop"],
        "status=open": ["MemoryGrowing", "CrashLoop"],
        "status=closed": ["EngineUnreachable"],
        "severity=error": ["EngineUnreachable", "CrashLoop"],
        "tenant=globex": ["MemoryGrowing"],
        "tenant=acme&pod=main": ["CrashLoop"],
        "tenant=acme&pod=other": [],
    }
    found = {
        query: [one["reason"] for one in (await api.get(f"/api/v1/alerts?{query}")).json()["items"]]
        for query in expected
    }
    assert found == expected
    first = (await api.get("/api/v1/alerts?limit=2")).json()
    rest = (await api.get(f"/api/v1/alerts?limit=2&cursor={first['next']}")).json()
    assert [one["reason"] for one in rest["items"]] == ["CrashLoop"]


async def test_a_tenant_sees_its_own_alerts(stage, api):
    """What is wrong elsewhere, or with the platform, is none of its business."""
    await stage.change(Raise(reason="EngineUnreachable", severity=Severity.ERROR), tenant="")
    theirs = await stage.of("globex", Role.VIEWER)
    everything = (await api.get("/api/v1/alerts")).json()["items"]

    assert len(everything) == 2
    assert (await api.get("/api/v1/alerts", headers=theirs)).json()["items"] == []
    for one in everything:
        answer = await api.get(f"/api/v1/alerts/{one['id']}", headers=theirs)
        assert (answer.status_code, answer.json()["reason"]) == (404, "AlertNotFound")


async def test_an_alert_is_silenced(stage, api):
    """A silence is made, listed and ended; meanwhile the alert says so."""
    body = {"tenant": "acme", "pod": "main", "ends_at": stage.until(hours=2), "comment": "we know"}
    made = await api.post("/api/v1/alerts/silences", json=body)
    assert made.status_code == 201, made.text
    assert (made.json()["tenant"], made.json()["reason"], made.json()["comment"]) == ("acme", None, "we know")
    assert (await api.get("/api/v1/alerts")).json()["items"][0]["silenced"] is True
    assert (await api.get("/api/v1/alerts/silences")).json()["items"] == [made.json()]

    ended = await api.delete(f"/api/v1/alerts/silences/{made.json()['id']}")

    assert ended.status_code == 204
    assert (await api.get("/api/v1/alerts")).json()["items"][0]["silenced"] is False
    again = await api.delete(f"/api/v1/alerts/silences/{made.json()['id']}")
    assert (again.status_code, again.json()["reason"]) == (404, "SilenceNotFound")
    told = (await api.get("/api/v1/events")).json()["items"]
    assert [one["reason"] for one in told if one["kind"] == "alert"] == ["AlertsSilenced", "SilenceEnded"]


async def test_all_that_is_wrong_with_a_silence_is_told(stage, api):
    """What it is about, until when and why, each with its place."""
    body = {"ends_at": stage.until(days=-1), "comment": "x" * 500}
    answer = await api.post("/api/v1/alerts/silences", json=body)
    assert answer.status_code == 422
    assert [one["path"] for one in answer.json()["problems"]] == ["$", "$.ends_at", "$.comment"]
    answer = await api.post(
        "/api/v1/alerts/silences", json={"ends_at": stage.until(hours=1), "tenant": "acme", "reason": "Nonsense"}
    )
    assert "CrashLoop" in answer.json()["problems"][0]["message"]


async def test_a_tenant_silences_itself_only(stage, api):
    """A tenant's silence is about its own pods, whatever it names."""
    theirs = await stage.of("globex")
    body = {"ends_at": stage.until(hours=2)}
    assert (await api.post("/api/v1/alerts/silences", json=body, headers=theirs)).json()["tenant"] == "globex"
    answer = await api.post("/api/v1/alerts/silences", json=body | {"tenant": "acme"}, headers=theirs)
    assert (answer.status_code, answer.json()["reason"]) == (404, "TenantNotFound")


async def test_a_notifier_is_added_once(stage, api):
    """It is made, shown without its secret, made again as the same, and refused with other content."""
    made = await api.post("/api/v1/notifiers", json=OPS)
    again = await api.post("/api/v1/notifiers", json=OPS)
    other = await api.post("/api/v1/notifiers", json=OPS | {"secrets": {"password": "other"}})

    assert (made.status_code, again.status_code) == (201, 200)
    assert made.headers["location"] == "/api/v1/notifiers/ops"
    assert made.json()["config"] == {"password": {"$secret": True}}
    assert made.json() == again.json() == (await api.get("/api/v1/notifiers/ops")).json()
    assert (await api.get("/api/v1/notifiers")).json()["items"] == [made.json()]
    assert (other.status_code, other.json()["reason"]) == (409, "TargetExists")
    assert other.json()["params"]["differences"] == ["config.password"]


async def test_all_that_is_wrong_with_a_notifier_is_told(stage, api):
    """Every mistake comes with its place; a kind that is not there with those that are."""
    body = {"name": "No", "kind": "fake", "config": {"odd": 1}, "reasons": ["Nonsense"]}
    answer = await api.post("/api/v1/notifiers", json=body)
    assert answer.status_code == 422
    assert {one["path"] for one in answer.json()["problems"]} == {"$.name", "$.config.odd", "$.reasons"}
    answer = await api.post("/api/v1/notifiers", json={"name": "ops", "kind": "pigeon"})
    assert [one["reason"] for one in answer.json()["problems"]] == ["UnknownNotifier"]


async def test_the_kinds_of_notifiers_have_schemas(stage, api):
    """Whoever wants to add one learns what it has to be told."""
    (kind,) = (await api.get("/api/v1/notifier-kinds")).json()["items"]
    assert kind["name"] == "fake"
    assert set(kind["schema"]["properties"]) == {"fails", "password"}


async def test_a_notifier_is_tested(stage, api):
    """The answer says what came of it, and so does the notifier from then on."""
    await api.post("/api/v1/notifiers", json={"name": "ops", "kind": "fake"})
    await api.post("/api/v1/notifiers", json={"name": "bad", "kind": "fake", "set": {"fails": "unreachable"}})

    good = (await api.post("/api/v1/notifiers/ops/test")).json()
    bad = (await api.post("/api/v1/notifiers/bad/test")).json()

    assert (good["delivered"], good["trouble"]) == (True, None)
    assert (bad["delivered"], bad["trouble"]["reason"]) == (False, TemporaryError("Unreachable").reason)
    assert (await api.get("/api/v1/notifiers/bad")).json()["trouble"] == bad["trouble"]
    assert stage.rig.notifier.sent[-1].reason == "TestAlert"


async def test_a_notifier_is_removed(stage, api):
    """It is gone, with its secrets."""
    await api.post("/api/v1/notifiers", json=OPS)
    assert (await api.delete("/api/v1/notifiers/ops")).status_code == 204
    answer = await api.get("/api/v1/notifiers/ops")
    assert (answer.status_code, answer.json()["reason"]) == (404, "TargetNotFound")
    assert await stage.rig.vault.list("") == []


async def test_tenants_have_notifiers_of_their_own(stage, api):
    """A tenant's administrator adds, sees and removes its own; the platform's finds it by the tenant's name."""
    theirs = await stage.of("globex", Role.ADMIN)
    await api.post("/api/v1/notifiers", json=OPS)
    made = await api.post("/api/v1/notifiers", json=OPS, headers=theirs)

    assert (made.status_code, made.json()["tenant"]) == (201, "globex")
    assert [one["tenant"] for one in (await api.get("/api/v1/notifiers", headers=theirs)).json()["items"]] == ["globex"]
    assert [one["tenant"] for one in (await api.get("/api/v1/notifiers")).json()["items"]] == [None, "globex"]
    assert (await api.get("/api/v1/notifiers/ops?tenant=globex")).json()["tenant"] == "globex"
    answer = await api.delete("/api/v1/notifiers/ops", headers=await stage.of("acme", Role.ADMIN))
    assert answer.status_code == 404
    assert (await api.delete("/api/v1/notifiers/ops", headers=theirs)).status_code == 204
    assert [one["tenant"] for one in (await api.get("/api/v1/notifiers")).json()["items"]] == [None]


async def test_who_may_only_look_adds_nothing(stage, api):
    """Viewers read; operators silence and test; administrators decide who is told."""
    viewer, operator = await stage.of("acme", Role.VIEWER), await stage.of("acme", Role.OPERATOR)
    body = {"ends_at": stage.until(hours=1)}
    assert (await api.post("/api/v1/alerts/silences", json=body, headers=viewer)).status_code == 403
    assert (await api.post("/api/v1/alerts/silences", json=body, headers=operator)).status_code == 201
    assert (await api.post("/api/v1/notifiers", json=OPS, headers=operator)).status_code == 403
