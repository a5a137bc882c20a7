from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agentpod_core import ProbeResult, TemporaryError
from agentpod_core.observed import Probed
from agentpod_core.values.alerts import Raise
from agentpod_core.values.status import Condition, ConditionType, Happening, Phase, PodStatus, Record, Severity
from agentpod_server.dashboard.shown import shown_pod
from agentpod_server.dashboard.testing import Browser, read
from agentpod_server.records import Scope
from agentpod_server.store import alerts, pods
from agentpod_server.store.engine import PostgresStore
from agentpod_server.store.ids import uuid7

pytestmark = pytest.mark.asyncio(loop_scope="session")

NASTY = "<script>alert(1)</script>\"'&"


async def conclude(rig, pod_id: str, phase: Phase, reason: str, **params) -> None:
    """Let the engine have concluded something about a pod."""
    store = PostgresStore(rig.database, listener=rig.listener, hosts=lambda _: (), secret_stores={})
    epoch = await store.lead("test", 10)
    ready = Condition(
        type=ConditionType.READY, status=phase is Phase.RUNNING, reason="Answering", since=datetime.now(UTC)
    )
    status = PodStatus(phase=phase, ready=phase is Phase.RUNNING, reason=reason, params=params, conditions=(ready,))
    happening = Happening(kind="pod", reason=reason, severity=Severity.INFO, params=params)
    await store.save(epoch, pod_id, status=status, record=Record(), happenings=[happening])
    await store.step_down("test")


async def test_an_empty_platform_teaches_the_first_step(browser):
    """Every page of a new platform says what to do first, and links to it."""
    for path in ("/dashboard", "/dashboard/pods", "/dashboard/pods/new"):
        assert "/dashboard/tenants#new" in (await browser.page(path)).links
    await browser.page("/dashboard/tenants")


async def test_every_page_is_safe_and_whole(api, rig, browser):
    """No page has inline code or a foreign address; all have the strict policy, one title, and ids that are unique."""
    made = (await rig.pod(api, secrets={"api_key": "s3cret-value"})).json()
    paths = ["", "/tenants", "/tenants/acme", "/tenants/acme/delete", "/pods", "/pods/new", "/pods/new?type=talker"]
    paths += [f"/pods/{made['id']}{below}" for below in ("", "/logs", "/delete", "/restart", "/stop")]
    for path in [*paths, "/adapters", "/nothing/here"]:
        answer = await browser.get(f"/dashboard{path}")
        page = read(answer, 404 if path.startswith("/nothing") else 200)
        assert page.inline == [], path
        assert all(one.startswith("/dashboard-assets/") for one in page.assets), path
        assert sorted(page.ids) == sorted(set(page.ids)), path
        assert "s3cret-value" not in page.html
        assert page.html.count("<h1") == 1, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        for form in page.forms:
            assert form.method == "get" or form.action == "/language" or "_csrf" in form.names, path


async def test_assets_are_kept_and_open(rig):
    """Style sheets and scripts come without a login and may be kept for ever; nothing else lies there."""
    async with rig.client() as client:
        page = await Browser(client).page("/login")
        for asset in page.assets:
            answer = await client.get(asset)
            assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True), asset
        assert (await client.get("/dashboard-assets/vendor/htmx.LICENSE.txt")).status_code == 200
        for escape in ("../pages.py", "%2e%2e/pages.py", "nothing.js"):
            assert (await client.get(f"/dashboard-assets/{escape}")).status_code == 404


async def test_a_tenant_and_a_pod_are_made_by_forms(browser, api):
    """What the dashboard makes, the API lists; the pod's page says what is seen of it."""
    page = await browser.page("/dashboard/tenants")
    values = {"tenant.slug": "acme", "tenant.name": "Acme Ltd", "tenant.email": "it@acme.example"}
    answer = await browser.send(page.form("/dashboard/tenants"), values)
    assert answer.headers["location"] == "/dashboard/tenants/acme?done=made"
    page = await browser.page("/dashboard/pods/new?type=talker&tenant=acme")
    form = page.form("/dashboard/pods/new")
    assert ("pod.tenant", "acme") in form.pairs
    values = {
        "pod.name": "support",
        "config.greeting": NASTY,
        "config.api_key": "k-123",
        "config.bots.0.name": "b",
        "config.bots.0.token": "t-1",
        "box.size": "large",
        "box.memory": "2 GiB",
    }
    answer = await browser.send(form, values)
    pod = (await api.get("/api/v1/tenants/acme/pods/support")).json()
    assert answer.headers["location"] == f"/dashboard/pods/{pod['id']}?done=made"
    masked = {"$secret": True}
    assert pod["spec"]["config"] == {"greeting": NASTY, "api_key": masked, "bots": [{"name": "b", "token": masked}]}
    assert (pod["spec"]["size"], pod["spec"]["memory"]) == ("large", 2 * 1024**3)
    page = await browser.page(answer.headers["location"])
    assert "Created." in page.text
    assert "<script>alert" not in page.html
    assert "k-123" not in page.html
    assert f"/dashboard/pods/{pod['id']}/delete" in page.links


async def test_wrong_input_is_told_at_each_field(browser, rig, api):
    """All problems at once, each at its field and in a list that links there; what was typed stays, secrets do not."""
    await rig.pod(api)
    form = (await browser.page("/dashboard/pods/new?type=talker")).form("/dashboard/pods/new")
    values = {
        "pod.name": "Not Good",
        "config.greeting": "x" * 41,
        "config.repeat": "ten",
        "config.api_key": "k-123",
        "box.memory": "lots",
        "box.subdomain": "acme",
    }
    page = read(await browser.send(form, values), 422)
    wrong = ("f-pod.name", "f-config.greeting", "f-config.repeat", "f-box.subdomain", "f-box.memory")
    assert [f"#{one}" for one in wrong] == [link for link in page.links if link.startswith("#f-")]
    assert all(f"{one}-problem" in page.ids for one in wrong)
    assert page.focus == "f-pod.name"
    assert "k-123" not in page.html
    assert "type it again" in page.text
    again = dict(page.form("/dashboard/pods/new").pairs)
    assert (again["config.repeat"], again["pod.name"], again["box.memory"]) == ("ten", "Not Good", "lots")


@pytest.mark.parametrize(
    ("values", "status", "place"),
    [
        ({"pod.name": "main", "config.greeting": "other"}, 409, "f-pod.name-problem"),
        ({"pod.name": "other", "box.subdomain": "acme"}, 409, "f-box.subdomain-problem"),
        ({"pod.name": "other", "config.greeting": "refuse"}, 422, "problems"),
        ({"pod.name": "other", "config.greeting": "break"}, 503, "problems"),
        ({"pod.name": "other", "pod.tenant": "nobody"}, 404, "f-pod.tenant-problem"),
    ],
)
async def test_what_the_server_refuses_is_told_in_the_form(browser, rig, api, values, status, place):
    """A name that is taken, an adapter that refuses or breaks: the form comes back with it and with the values."""
    await rig.pod(api)
    form = (await browser.page("/dashboard/pods/new?type=talker&tenant=acme")).form("/dashboard/pods/new")
    page = read(await browser.send(form, {"config.greeting": "hi"} | values), status)
    assert place in page.ids
    assert "must not be shown" not in page.html


async def test_the_same_pod_again_leads_to_it(browser, rig, api):
    """Sending a form twice makes one pod."""
    made = (await rig.pod(api, config={"greeting": "hi"})).json()
    form = (await browser.page("/dashboard/pods/new?type=talker&tenant=acme")).form("/dashboard/pods/new")
    answer = await browser.send(form, {"pod.name": "main", "config.greeting": "hi"})
    assert answer.headers["location"] == f"/dashboard/pods/{made['id']}?done=there"


async def test_the_form_changes_only_what_was_touched(browser, rig, api):
    """A saved change is one generation; secrets that were not typed stay, and nothing new makes no generation."""
    made = (await rig.pod(api, secrets={"api_key": "k-1"})).json()
    address = f"/dashboard/pods/{made['id']}"
    form = (await browser.page(address)).form(f"{address}/config")
    assert (await browser.send(form)).headers["location"] == f"{address}?done=unchanged"
    answer = await browser.send(form, {"config.greeting": "ho", "box.size": "large"})
    assert answer.headers["location"] == f"{address}?done=saved"
    spec = (await api.get("/api/v1/tenants/acme/pods/main")).json()["spec"]
    assert spec["config"] == {"greeting": "ho", "api_key": {"$secret": True}}
    assert (spec["generation"], spec["size"]) == (2, "large")
    form = (await browser.page(address)).form(f"{address}/config")
    await browser.send(form, {"config.api_key.@clear": "true"})
    assert (await api.get("/api/v1/tenants/acme/pods/main")).json()["spec"]["config"] == {"greeting": "ho"}


async def test_a_change_of_somebody_else_is_not_overwritten(browser, rig, api):
    """A form that was drawn of an older generation is refused, and says so with the values kept."""
    made = (await rig.pod(api)).json()
    address = f"/dashboard/pods/{made['id']}"
    form = (await browser.page(address)).form(f"{address}/config")
    changed = {"config": {"greeting": "theirs"}}
    await api.patch("/api/v1/tenants/acme/pods/main/config", json=changed, headers={"If-Match": '"1"'})
    page = read(await browser.send(form, {"config.greeting": "mine"}), 412)
    assert "problems" in page.ids
    assert address in page.links
    assert ("config.greeting", "mine") in page.form(f"{address}/config").pairs
    assert (await api.get("/api/v1/tenants/acme/pods/main")).json()["spec"]["config"] == {"greeting": "theirs"}


@pytest.mark.parametrize("told", ["", "one", "-1", "\u00b2", "9" * 5000])
async def test_a_form_of_no_generation_changes_nothing(browser, rig, api, told):
    """A number that no form was drawn with is refused like an older generation, for pods and tenants."""
    made = (await rig.pod(api)).json()
    pod, tenant = f"/dashboard/pods/{made['id']}", "/dashboard/tenants/acme"
    form = (await browser.page(pod)).form(f"{pod}/config")
    read(await browser.send(form, {"config.greeting": "mine", "generation": told}), 412)
    form = (await browser.page(tenant)).form(tenant)
    read(await browser.send(form, {"tenant.name": "mine", "generation": told}), 412)


async def test_verbs_ask_first_and_then_do(browser, rig, api):
    """Stop, start, restart and delete are done by the forms of their pages, which name the pod."""
    made = (await rig.pod(api)).json()
    address = f"/dashboard/pods/{made['id']}"

    async def do(verb: str, values=None) -> dict:
        page = await browser.page(f"{address}/{verb}")
        assert "acme/main" in page.text
        answer = await browser.send(page.form(f"{address}/{verb}"), values)
        assert answer.headers["location"] == f"{address}?done={verb}"
        return (await api.get("/api/v1/tenants/acme/pods/main")).json()["spec"]

    assert (await do("restart"))["restarts"] == 1
    assert (await do("stop"))["wanted"] == "stopped"
    assert read(await browser.send((await browser.page(f"{address}/stop")).form(f"{address}/stop")), 303)
    page = await browser.page(address)
    answer = await browser.send(page.form(f"{address}/start"))
    assert answer.headers["location"] == f"{address}?done=start"
    assert (await browser.get(f"{address}/start")).headers["location"] == address
    assert (await do("delete", {"keep_data": "true"}))["wanted"] == "deleted"
    page = await browser.page(address)
    assert f"{address}/delete" not in page.links
    assert page.form(f"{address}/config").names == {"_csrf", "generation"}


async def test_the_open_button_leads_through_the_door(browser, rig, api):
    """Only forms of the pod's own page may lead to its origins, and the door's link comes by a redirect."""
    made = (await rig.pod(api)).json()
    rig.engine.runs(made["id"])
    answer = await browser.get(f"/dashboard/pods/{made['id']}")
    assert "form-action 'self' http://acme.agents.test:8080;" in answer.headers["content-security-policy"]
    form = read(answer).form(f"/dashboard/pods/{made['id']}/open")
    answer = await browser.send(form)
    assert (answer.status_code, answer.headers["location"]) == (303, "http://acme.agents.test:8080/door?pod=main")


async def test_names_of_old_lead_to_ids(browser, rig, api):
    """Addresses with tenant and pod redirect, pages below too; what is not there is a page that says so."""
    made = (await rig.pod(api)).json()
    wanted = f"/dashboard/pods/{made['id']}"
    assert (await browser.get("/dashboard/pods/acme/main")).headers["location"] == wanted
    logs = (await rig.pod(api, name="logs", config={"greeting": "hi"})).json()
    assert (await browser.get("/dashboard/pods/acme/logs")).headers["location"] == f"/dashboard/pods/{logs['id']}"
    for path in ("/acme/nobody", "/nobody/main", "/not-an-id", "/01a1fc0d-a5c8-7f23-a396-89408a7850d5"):
        assert "/dashboard" in (await browser.page(f"/dashboard/pods{path}", 404)).links


async def test_listings_filter_and_search(browser, rig, api):
    """Pods are grouped by tenant; filters narrow them, and finding none says so."""
    first = (await rig.pod(api)).json()
    await rig.pod(api, tenant="globex", name="support")
    await conclude(rig, first["id"], Phase.DEGRADED, "Degraded", failures=3)
    page = await browser.page("/dashboard/pods")
    assert page.text.index("acme") < page.text.index("main") < page.text.index("support")
    cases = {"q=supp": "support", "phase=degraded": "main", "tenant=globex": "support"}
    for query, name in cases.items():
        found = await browser.page(f"/dashboard/pods?{query}")
        assert [link for link in found.ids if link.startswith("link-")] != []
        assert f">{name}</a>" in found.html
        assert f">{'main' if name == 'support' else 'support'}</a>" not in found.html, query
    for query in ("q=nothing", "phase=blocked", "tenant=nobody", "adapter=none", "phase=nonsense&q=nothing"):
        assert "/dashboard/pods" in (await browser.page(f"/dashboard/pods?{query}")).links
    assert (await browser.get("/dashboard/pods?cursor=broken")).status_code == 400


async def test_the_overview_shows_what_is_open(browser, rig, api):
    """Alerts of the platform and of pods that look well stand first; a pod in a bad phase is named once."""
    ids = [(await rig.pod(api, name=name)).json()["id"] for name in ("well", "ill")]
    await conclude(rig, ids[1], Phase.CRASH_LOOP, "CrashLoop", failures=4)
    raised = Raise(reason="OutOfMemory", severity=Severity.ERROR, params={"child": True})
    async with rig.database.transaction(Scope()):
        await alerts.change([Raise(reason="DiskNearlyFull", severity=Severity.WARNING, params={"path": NASTY})])
        for pod_id, name in zip(ids, ("well", "ill"), strict=True):
            found = await pods.by_id(pod_id)
            await alerts.change([raised], tenant_id=found.tenant_id, tenant="acme", pod_id=pod_id, pod=name)

    page = await browser.page("/dashboard")

    assert "Disk nearly full" in page.text
    assert NASTY not in page.html
    assert page.html.count("Out of memory") == 1
    assert "/dashboard/pods/acme/well" in page.links
    assert "Nothing is wrong." not in page.text


async def test_the_overview_counts_and_names_what_is_wrong(browser, rig, api):
    """Counts by phase, the reason of what is wrong, and what happened, the newest first."""
    made = (await rig.pod(api)).json()
    await rig.pod(api, name="fine")
    await conclude(rig, made["id"], Phase.CRASH_LOOP, "CrashLoop", failures=4, exit_code=1)
    page = await browser.page("/dashboard")
    assert "/dashboard/pods?phase=crash-loop" in page.links
    assert "failed 4 times in a row" in page.text
    assert page.text.index("failed 4 times") < page.text.index("was created")


async def test_a_pods_health_is_told(browser, rig, api):
    """The last answer of the probe and its time stand in the list and on the page."""
    made = (await rig.pod(api)).json()
    result = ProbeResult(alive=True, ready=False, reason="NotReady", params={"status": 503})
    rig.engine.answers[made["id"]] = Probed(
        result=result, at=datetime.now(UTC), failures=1, started_at=datetime.now(UTC)
    )
    for path in ("/dashboard/pods", f"/dashboard/pods/{made['id']}"):
        assert "not ready (status 503)" in (await browser.page(path)).text


async def test_the_health_of_what_nobody_wants_is_no_warning(browser, rig, api):
    """A pod whose tenant was stopped is not well, and nothing is wrong with that."""
    made = (await rig.pod(api)).json()
    result = ProbeResult(alive=False, ready=False, reason="Refused")
    rig.engine.answers[made["id"]] = Probed(
        result=result, at=datetime.now(UTC), failures=1, started_at=datetime.now(UTC)
    )
    assert shown_pod(rig.services, await rig.record(made["id"]), "en").health.tone == "warn"
    await api.post("/api/v1/tenants/acme/stop")
    assert shown_pod(rig.services, await rig.record(made["id"]), "en").health.tone == "idle"


async def test_a_row_and_the_live_part_come_alone(browser, rig, api):
    """Scripts ask for a row or the live part; those of a pod that is gone take themselves away."""
    made = (await rig.pod(api)).json()
    row = await browser.get(f"/dashboard/pods/{made['id']}/row")
    assert row.text.lstrip().startswith(f'<tr id="pod-{made["id"]}"')
    live = await browser.get(f"/dashboard/pods/{made['id']}/live")
    assert live.text.lstrip().startswith('<div id="pod-live"')
    gone = "01a1fc0d-a5c8-7f23-a396-89408a7850d5"
    assert (await browser.get(f"/dashboard/pods/{gone}/row")).text == ""
    assert "deleted" in (await browser.get(f"/dashboard/pods/{gone}/live")).text


async def test_adapters_and_plugins_are_listed(browser):
    """Kinds of agents with a link to make one, and the plugins that offer them."""
    page = await browser.page("/dashboard/adapters")
    assert "/dashboard/pods/new?type=talker" in page.links
    assert "agent: talker" in page.text


async def test_pages_speak_chinese(rig, api):
    """A page in Chinese has Chinese words for what the core concluded too."""
    made = (await rig.pod(api)).json()
    async with rig.client(None, **{"Accept-Language": "zh-CN"}) as client:
        visitor = Browser(client)
        await visitor.log_in()
        page = await visitor.page(f"/dashboard/pods/{made['id']}")
        assert "等待中" in page.text
        form = (await visitor.page("/dashboard/pods/new?type=talker")).form("/dashboard/pods/new")
        page = read(await visitor.send(form, {"config.repeat": "99"}), 422)
        assert "不得大于 9。" in page.text


async def test_a_pod_without_its_plugin_is_still_shown(browser, rig, api, monkeypatch):
    """With the adapter gone, the page shows the config as it is, masked, and says why there is no form."""
    made = (await rig.pod(api, secrets={"api_key": "k-1"})).json()
    monkeypatch.setattr(rig.host, "_offers", {})
    page = await browser.page(f"/dashboard/pods/{made['id']}")
    assert "talker" in page.text
    assert '"greeting": "hi"' in page.text
    assert "k-1" not in page.html


async def test_the_page_shows_the_plan_with_reasons(browser, rig, api):
    """What a pass would do and why, and what it waits for, stand on the pod's page."""
    made = (await rig.pod(api)).json()
    page = await browser.page(f"/dashboard/pods/{made['id']}")
    assert "Start the container" in page.text
    assert "The agent does not run." in page.text
    assert "Other agents are starting" in page.text


async def test_a_page_without_a_plan_is_still_a_page(browser, rig, api, monkeypatch):
    """While the engine does not answer, the rest of the page is there."""
    made = (await rig.pod(api)).json()

    async def away(_):
        raise TemporaryError("EngineUnreachable")

    monkeypatch.setattr(rig.engine, "plan", away)
    page = await browser.page(f"/dashboard/pods/{made['id']}")
    assert "Start the container" not in page.text
    assert "Conditions" in page.text


async def test_availability_is_on_the_pages_of_pod_and_tenant(browser, rig, api):
    """A pod that answered has numbers on both pages; one that never did says from when they count."""
    made = (await rig.pod(api)).json()
    path = f"/dashboard/pods/{made['id']}"
    assert "counted from the first answer on" in (await browser.page(path)).text
    async with rig.database.transaction(Scope()) as transaction:
        await transaction.execute(
            "insert into availability (id, tenant_id, tenant, pod_id, pod, at, state)"
            " select $1, tenant_id, tenant, id, name, date_trunc('month', now()), 'ready' from pods where id = $2",
            uuid7(),
            made["id"],
        )
    for page in (path, "/dashboard/tenants/acme"):
        assert "100 % this month" in (await browser.page(page)).text
