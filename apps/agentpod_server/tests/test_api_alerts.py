from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio

from agentpod_core import TemporaryError
from agentpod_core.values.alerts import Clear, Raise
from agentpod_core.values.status import Severity
from agentpod_server.records import Role, Scope
from agentpod_server.services import config
from agentpod_server.services.alerts import turns
from agentpod_server.store import alerts, leadership, pods, targets

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
    rig.notifier.sent.clear()
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


async def test_it_shows_whose_silence_it_is(stage, api):
    """A tenant's keeps that tenant's notifiers quiet alone, the platform's all; the listing tells them apart."""
    await api.post("/api/v1/alerts/silences", json={"ends_at": stage.until(hours=2)}, headers=await stage.of("globex"))
    await api.post("/api/v1/alerts/silences", json={"ends_at": stage.until(hours=2), "tenant": "globex"})
    found = (await api.get("/api/v1/alerts/silences")).json()["items"]
    assert [(one["owner"], one["tenant"]) for one in found] == [(None, "globex"), ("globex", "globex")]


async def test_a_notifier_is_added_once(stage, api):
    """It is made, shown without its secret, made again as the same, and refused with other content."""
    made = await api.post("/api/v1/notifiers", json=OPS)
    again = await api.post("/api/v1/notifiers", json=OPS)
    other = await api.post("/api/v1/notifiers", json=OPS | {"secrets": {"password": "other"}})

    assert (made.status_code, again.status_code) == (201, 200)
    assert (made.headers["location"], made.headers["etag"]) == ("/api/v1/notifiers/ops", '"1"')
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


async def test_a_test_that_has_no_turn_is_refused_for_the_moment(stage, api, monkeypatch):
    """The answer says when to try again; the notifier is as it was, and the platform's are tested as ever."""
    for body in (OPS, OPS | {"tenant": "acme"}):
        assert (await api.post("/api/v1/notifiers", json=body)).status_code == 201
    before = (await api.get("/api/v1/notifiers/ops?tenant=acme")).json()
    monkeypatch.setattr(turns, "PATIENCE", 0.1)

    async def hangs(*_):
        await asyncio.get_running_loop().create_future()

    with monkeypatch.context() as patch:
        patch.setattr(stage.rig.notifier, "send", hangs)
        calls = [api.post("/api/v1/notifiers/ops/test?tenant=acme") for _ in range(turns.OF_A_TENANT)]
        under_way = [asyncio.create_task(call) for call in calls]
        await asyncio.sleep(0.5)
        refused = await api.post("/api/v1/notifiers/ops/test?tenant=acme")
    good = await api.post("/api/v1/notifiers/ops/test")
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)

    assert (refused.status_code, refused.json()["reason"]) == (503, "NotifierBusy")
    assert refused.headers["retry-after"] == "1"
    assert good.json()["delivered"] is True
    assert (await api.get("/api/v1/notifiers/ops?tenant=acme")).json() == before


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
    # Whoever follows it, the platform's administrator too, finds this one and not the platform's of that name.
    assert made.headers["location"] == "/api/v1/notifiers/ops?tenant=globex"
    assert (await api.get(made.headers["location"])).json() == made.json()
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


def merge(generation):
    """Give the headers of a change."""
    return {"content-type": "application/merge-patch+json", "if-match": f'"{generation}"'}


async def test_a_notifier_is_changed(stage, api):
    """What is named changes, a secret among it; what is not stays; nothing new makes no new generation."""
    await api.post("/api/v1/notifiers", json=OPS)
    change = {"set": {"fails": "hangs"}, "secrets": {"password": "new"}, "min_severity": "error", "reasons": ["Hung"]}
    changed = await api.patch("/api/v1/notifiers/ops", json=change, headers=merge(1))
    assert changed.status_code == 200, changed.text
    assert changed.headers["etag"] == '"2"'
    assert changed.json()["config"] == {"fails": "hangs", "password": {"$secret": True}}
    assert (changed.json()["min_severity"], changed.json()["reasons"]) == ("error", ["Hung"])
    assert await secret_of(stage) == "new"

    again = await api.patch("/api/v1/notifiers/ops", json=change, headers=merge(2))
    assert again.json() == changed.json()
    change = {"config": {"fails": None}, "reasons": None, "min_severity": None}
    back = (await api.patch("/api/v1/notifiers/ops", json=change, headers=merge(2))).json()
    assert (back["config"], back["min_severity"], back["reasons"]) == ({"password": {"$secret": True}}, "warning", [])
    assert await secret_of(stage) == "new"
    told = (await api.get("/api/v1/events")).json()["items"]
    assert [one["reason"] for one in told if one["kind"] == "alert"] == [
        "TargetCreated",
        "TargetChanged",
        "TargetChanged",
    ]


async def secret_of(stage):
    """Give the password that a message to the notifier would be sent with."""
    async with stage.rig.database.transaction(Scope()):
        target = await targets.get("ops")
    (ref,) = config.references(target.settings)
    return await stage.rig.vault.get("", ref)


async def deliver(stage):
    """Send all that is due, as the server does that leads."""
    async with stage.rig.database.transaction(Scope()):
        stage.rig.engine.leads = await leadership.take("test", 60)
    await stage.rig.services.delivery.drain()


async def test_a_secret_is_cleared(stage, api):
    """What has no secret any more keeps none behind."""
    await api.post("/api/v1/notifiers", json=OPS)
    cleared = await api.patch("/api/v1/notifiers/ops", json={"config": {"password": None}}, headers=merge(1))
    assert cleared.json()["config"] == {}
    assert await stage.rig.vault.list("") == []


async def test_nobody_changes_what_somebody_else_changed(stage, api):
    """A change names the generation that it is made for."""
    await api.post("/api/v1/notifiers", json=OPS)
    assert (await api.patch("/api/v1/notifiers/ops", json={"paused": True}, headers=merge(1))).status_code == 200
    late = await api.patch("/api/v1/notifiers/ops", json={"paused": False}, headers=merge(1))
    assert (late.status_code, late.json()["reason"]) == (412, "GenerationMismatch")
    blind = await api.patch(
        "/api/v1/notifiers/ops", json={"paused": False}, headers={"content-type": "application/merge-patch+json"}
    )
    assert (blind.status_code, blind.json()["reason"]) == (428, "PreconditionRequired")


async def test_all_that_is_wrong_with_a_change_is_told(stage, api):
    """Every mistake comes with its place, the notifier's own too, and nothing is changed."""
    await api.post("/api/v1/notifiers", json=OPS)
    change = {"set": {"odd": "1"}, "reasons": ["Nonsense"]}
    answer = await api.patch("/api/v1/notifiers/ops", json=change, headers=merge(1))
    assert {one["path"] for one in answer.json()["problems"]} == {"$.config.odd", "$.reasons"}
    answer = await api.patch("/api/v1/notifiers/ops", json={"secrets": {"password": "a b"}}, headers=merge(1))
    assert [one["path"] for one in answer.json()["problems"]] == ["$.config.password"]
    assert (await api.get("/api/v1/notifiers/ops")).json()["generation"] == 1


async def test_only_administrators_change_notifiers(stage, api):
    """And a tenant's only its own."""
    await api.post("/api/v1/notifiers", json=OPS)
    operator, admin = await stage.of("acme", Role.OPERATOR), await stage.of("acme", Role.ADMIN)
    answers = [
        await api.patch("/api/v1/notifiers/ops", json={"paused": True}, headers=merge(1) | who)
        for who in (operator, admin)
    ]
    assert [one.status_code for one in answers] == [403, 404]


async def test_what_a_paused_notifier_is_to_be_told_waits(stage, api):
    """Nothing is lost by a change: it was told once, and hears of the rest when it goes on."""
    await api.post("/api/v1/notifiers", json={"name": "ops", "kind": "fake"})
    await deliver(stage)
    await api.patch("/api/v1/notifiers/ops", json={"paused": True}, headers=merge(1))
    await stage.change(Raise(reason="MemoryGrowing", severity=Severity.WARNING), tenant="globex")
    await deliver(stage)
    assert [one.reason for one in stage.rig.notifier.sent] == ["CrashLoop"]
    waiting, arrived = (await api.get("/api/v1/notifiers/ops/deliveries")).json()["items"]
    assert (waiting["reason"], waiting["state"], waiting["tenant"]) == ("MemoryGrowing", "pending", "globex")
    assert (arrived["reason"], arrived["state"], arrived["attempts"]) == ("CrashLoop", "delivered", 1)

    await api.patch("/api/v1/notifiers/ops", json={"paused": False}, headers=merge(2))
    await deliver(stage)
    assert [one.reason for one in stage.rig.notifier.sent] == ["CrashLoop", "MemoryGrowing"]


async def test_what_failed_is_tried_at_once_after_a_change(stage, api):
    """Whoever corrected an address does not wait for the next try."""
    await api.post("/api/v1/notifiers", json={"name": "ops", "kind": "fake", "set": {"fails": "unreachable"}})
    await deliver(stage)
    assert (await api.get("/api/v1/notifiers/ops")).json()["trouble"] is not None
    changed = await api.patch("/api/v1/notifiers/ops", json={"config": {"fails": None}}, headers=merge(1))
    assert changed.json()["trouble"] is None
    await deliver(stage)
    assert [one.reason for one in stage.rig.notifier.sent] == ["CrashLoop"]


async def test_a_tenant_sees_what_its_own_notifiers_were_told(stage, api):
    """Of those of others it sees nothing."""
    await api.post("/api/v1/notifiers", json={"name": "ops", "kind": "fake"})
    await api.post("/api/v1/notifiers", json={"name": "mine", "kind": "fake", "tenant": "acme"})
    await deliver(stage)
    theirs = await stage.of("acme", Role.VIEWER)
    (found,) = (await api.get("/api/v1/notifiers/mine/deliveries", headers=theirs)).json()["items"]
    assert (found["pod"], found["title"]) == ("main", "Crash loop")
    assert (await api.get("/api/v1/notifiers/ops/deliveries", headers=theirs)).status_code == 404
