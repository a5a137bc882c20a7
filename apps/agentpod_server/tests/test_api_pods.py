from __future__ import annotations

import asyncio

import pytest

from agentpod_server.testing import TalkerAdapter

pytestmark = pytest.mark.asyncio(loop_scope="session")

PODS = "/api/v1/tenants/acme/pods"


async def test_a_pod_is_created_with_everything_it_gets_by_itself(api, rig):
    """Creating a pod answers 201 with its spec, a pending status and its addresses."""
    await api.post("/api/v1/tenants", json={"slug": "acme"})
    body = {"name": "support", "adapter": "talker", "config": {"greeting": "hi"}, "size": "large", "memory": "2GiB"}
    answer = await api.post(PODS, json=body | {"cpus": "0.5"})
    assert answer.status_code == 201, answer.text
    pod = answer.json()
    assert answer.headers["location"] == f"{PODS}/support"
    assert answer.headers["etag"] == '"1"'
    spec = pod["spec"]
    assert (spec["subdomain"], spec["wanted"], spec["generation"]) == ("support-acme", "running", 1)
    assert (spec["size"], spec["memory"], spec["cpus"]) == ("large", 2 * 1024**3, 500)
    assert (pod["status"]["phase"], pod["status"]["observed_generation"]) == ("pending", 0)
    assert pod["urls"] == ["http://support-acme.agents.test:8080"]


async def test_a_pod_named_main_has_the_tenants_own_subdomain(api, rig):
    """The default subdomain of the pod `main` is the tenant's slug."""
    assert (await rig.pod(api)).json()["spec"]["subdomain"] == "acme"


async def test_raw_texts_become_values_by_the_schema(api, rig):
    """`set` is laid over the config and read as what the schema wants."""
    answer = await rig.pod(api, set={"repeat": "3", "greeting": "hello"})
    assert answer.json()["spec"]["config"] == {"greeting": "hello", "repeat": 3}


async def test_the_same_pod_again_is_the_one_that_exists(api, rig):
    """Creating a pod twice in the same words, secrets too, answers 200 with the first one."""
    first = await rig.pod(api, secrets={"api_key": "k-123"})
    again = await rig.pod(api, secrets={"api_key": "k-123"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


@pytest.mark.parametrize(
    "other",
    [
        {"secrets": {"api_key": "k-124"}},
        {"config": {"greeting": "ho"}},
        {"size": "large"},
        {"secrets": {}},
        {"subdomain": "elsewhere"},
    ],
)
async def test_another_pod_of_the_same_name_is_refused(api, rig, other):
    """Creating a pod whose name is taken by one with other content, or another secret, answers 409."""
    body = {"secrets": {"api_key": "k-123"}}
    await rig.pod(api, **body)
    answer = await rig.pod(api, **(body | other))
    assert (answer.status_code, answer.json()["reason"]) == (409, "PodExists")


async def test_a_pod_that_was_stopped_since_is_still_the_same(api, rig):
    """What happened to a pod after its creation does not make the same request another pod."""
    await rig.pod(api)
    await api.post(f"{PODS}/main/stop")
    assert (await rig.pod(api)).status_code == 200


async def test_one_of_many_who_ask_for_the_same_pod_at_once_makes_it(api, rig):
    """Concurrent equal requests make one pod; all get it."""
    await api.post("/api/v1/tenants", json={"slug": "acme"})
    answers = await asyncio.gather(*(rig.pod(api, secrets={"api_key": "k-1"}) for _ in range(5)))
    assert sorted(one.status_code for one in answers) == [200, 200, 200, 200, 201], [one.text for one in answers]
    assert len({one.json()["id"] for one in answers}) == 1


async def test_a_taken_subdomain_is_refused_naming_the_holder(api, rig):
    """A subdomain that another pod has answers 409 and names that pod."""
    await rig.pod(api)
    answer = await rig.pod(api, name="other", subdomain="acme")
    assert (answer.status_code, answer.json()["reason"]) == (409, "SubdomainTaken")
    assert answer.json()["params"]["holder"] == "acme/main"


async def test_a_refused_pod_leaves_nothing_behind(api, rig):
    """A pod that is refused late leaves no row and no secret."""
    await rig.pod(api)
    await rig.pod(api, name="other", subdomain="acme", secrets={"api_key": "k-1"})
    tenant = (await api.get("/api/v1/tenants/acme")).json()
    assert tenant["pods"] == 1
    keys = [ref.key for ref in await rig.vault.list(tenant["id"])]
    assert len(keys) == 1
    assert keys[0].endswith("/generated/token")


async def test_everything_wrong_with_a_pod_is_told_at_once(api, rig):
    """Name, config, secret in `set`, size, memory, cpus, image, wanted and host: all in one answer, with paths."""
    await rig.pod(api)
    answer = await rig.pod(
        api,
        name="No Name",
        config={"greeting": "", "repeat": "3", "colour": "red", "bots": [{"name": "b"}]},
        set={"api_key": "visible"},
        secrets={"nested.thing": "4"},
        subdomain="acme",
        size="huge",
        memory="much",
        cpus=-1,
        image="No Image!",
        wanted="deleted",
    )
    assert (answer.status_code, answer.json()["reason"]) == (422, "InvalidConfig")
    found = {(one["path"], one["reason"]) for one in answer.json()["problems"]}
    assert found >= {
        ("$.name", "InvalidName"),
        ("$.config.greeting", "TooShort"),
        ("$.config.repeat", "InvalidType"),
        ("$.config.colour", "UnknownField"),
        ("$.config.bots[0].token", "MissingField"),
        ("$.config.api_key", "SecretInSet"),
        ("$.config.nested.thing", "NotASecret"),
        ("$.subdomain", "SubdomainTaken"),
        ("$.size", "UnknownSize"),
        ("$.memory", "InvalidMemory"),
        ("$.cpus", "InvalidCpus"),
        ("$.image", "InvalidImage"),
        ("$.wanted", "NotAChoice"),
    }
    assert "visible" not in answer.text
    assert all(one["message"] for one in answer.json()["problems"])


async def test_an_unknown_adapter_is_told_with_those_that_are_known(api, rig):
    """A pod of an adapter that nobody offers is refused together with its other problems."""
    answer = await rig.pod(api, adapter="talkr", memory="x")
    problems = {one["path"]: one for one in answer.json()["problems"]}
    assert answer.status_code == 422
    assert problems["$.adapter"]["reason"] == "UnknownAdapter"
    assert "talker" in problems["$.adapter"]["message"]
    assert "$.memory" in problems


async def test_what_the_adapter_refuses_has_its_place_in_the_request(api, rig):
    """A problem that only the adapter sees is told with the path below config."""
    answer = await rig.pod(api, config={"greeting": "refuse"})
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "$.config.greeting")


async def test_an_adapter_that_breaks_is_named_and_its_words_are_not_shown(api, rig):
    """An exception of a plugin answers 503 with the plugin's name and nothing of its text."""
    answer = await rig.pod(api, config={"greeting": "break"})
    assert (answer.status_code, answer.json()["reason"]) == (503, "PluginFailed")
    assert "must not be shown" not in answer.text
    assert (await api.get(f"{PODS}/main")).status_code == 404


@pytest.mark.parametrize(
    ("greeting", "places"),
    [("unprobed", ["$.probe"]), ("nonsense", ["$.probe.interval", "$.probe.timeout", "$.probe.failures"])],
)
async def test_a_workload_whose_probe_makes_no_sense_is_refused(api, rig, greeting, places):
    """An adapter that asks for an unknown probe, or in no time, makes no pod that could never become ready."""
    answer = await rig.pod(api, config={"greeting": greeting})
    assert (answer.status_code, answer.json()["reason"]) == (500, "BadWorkload")
    assert [one.partition(": ")[0] for one in answer.json()["params"]["problems"].split("; ")] == places
    assert (await api.get(f"{PODS}/main")).json()["reason"] == "PodNotFound"


async def test_a_pod_of_an_unknown_tenant_is_not_found(api):
    """Creating a pod in a tenant that does not exist answers 404, whatever else is wrong."""
    answer = await api.post("/api/v1/tenants/nobody/pods", json={"name": "main", "adapter": "nothing"})
    assert (answer.status_code, answer.json()["reason"]) == (404, "TenantNotFound")


async def test_reading_an_unknown_pod_says_whether_tenant_or_pod_is_missing(api):
    """404 names the tenant where that is missing, and the pod otherwise."""
    assert (await api.get(f"{PODS}/main")).json()["reason"] == "TenantNotFound"
    await api.post("/api/v1/tenants", json={"slug": "acme"})
    assert (await api.get(f"{PODS}/main")).json()["reason"] == "PodNotFound"


async def test_pods_are_listed_and_filtered(api, rig):
    """Pods are listed across tenants and by tenant, phase and adapter."""
    await rig.pod(api)
    await rig.pod(api, tenant="beta")

    async def names(path: str, **params: str) -> list[str]:
        answer = await api.get(path, params=params)
        return [f"{one['tenant']}/{one['name']}" for one in answer.json()["items"]]

    assert await names("/api/v1/pods") == ["acme/main", "beta/main"]
    assert await names("/api/v1/pods", tenant="beta") == ["beta/main"]
    assert await names("/api/v1/pods", phase="running") == []
    assert await names("/api/v1/pods", phase="pending", adapter="talker") == ["acme/main", "beta/main"]
    assert await names(PODS) == ["acme/main"]
    assert (await api.get("/api/v1/pods", params={"phase": "happy"})).json()["params"] == {"names": ["phase"]}
    assert (await api.get("/api/v1/pods", params={"tenant": "nobody"})).status_code == 404


async def test_stop_start_and_restart_are_data(api, rig):
    """The verbs make new generations; stop twice makes one, a restart of a stopped pod is refused."""
    await rig.pod(api)
    stopped = await api.post(f"{PODS}/main/stop")
    assert (stopped.json()["spec"]["wanted"], stopped.headers["etag"]) == ("stopped", '"2"')
    assert (await api.post(f"{PODS}/main/stop")).headers["etag"] == '"2"'
    assert (await api.post(f"{PODS}/main/restart")).json()["reason"] == "PodIsStopped"
    assert (await api.post(f"{PODS}/main/start")).json()["spec"]["wanted"] == "running"
    assert (await api.post(f"{PODS}/main/restart")).json()["spec"]["restarts"] == 1


async def test_a_deleted_pod_cannot_be_brought_back(api, rig):
    """DELETE answers 202 and wants the pod gone; nothing can be asked of it any more."""
    await rig.pod(api)
    gone = await api.delete(f"{PODS}/main", params={"keep_data": "true"})
    assert (gone.status_code, gone.json()["spec"]["wanted"]) == (202, "deleted")
    assert (await api.delete(f"{PODS}/main")).status_code == 202
    for verb in ("start", "restart", "rotate-token"):
        assert (await api.post(f"{PODS}/main/{verb}")).json()["reason"] == "PodDeleting", verb
    assert (await rig.pod(api)).json()["reason"] == "PodDeleting"


async def test_a_pod_is_changed_by_a_merge_patch(api, rig):
    """PATCH changes what it names, keeps what it does not, and null goes back to the default."""
    await rig.pod(api, size="large", memory=1024**3)
    patch = {"config": {"repeat": 2}, "memory": None, "cpus": "2", "image": "talker:2"}
    answer = await api.patch(f"{PODS}/main", json=patch, headers={"If-Match": '"1"'})
    assert answer.status_code == 200, answer.text
    spec = answer.json()["spec"]
    assert spec["config"] == {"greeting": "hi", "repeat": 2}
    assert (spec["size"], spec["memory"], spec["cpus"], spec["image"]) == ("large", None, 2000, "talker:2")
    assert spec["generation"] == 2


async def test_a_patch_that_changes_nothing_makes_no_generation(api, rig):
    """A patch with what is there already keeps the generation, so no agent is disturbed."""
    await rig.pod(api, secrets={"api_key": "k-123"})
    patch = {"config": {"greeting": "hi", "api_key": "k-123"}, "wanted": "running"}
    answer = await api.patch(f"{PODS}/main", json=patch, headers={"If-Match": "*"})
    assert answer.headers["etag"] == '"1"'


async def test_a_patch_needs_the_generation_it_is_made_for(api, rig):
    """PATCH without If-Match answers 428, with an old one 412."""
    await rig.pod(api)
    assert (await api.patch(f"{PODS}/main", json={})).json()["reason"] == "PreconditionRequired"
    stale = await api.patch(f"{PODS}/main", json={"size": "nonsense"}, headers={"If-Match": '"9"'})
    assert (stale.status_code, stale.json()["reason"]) == (412, "GenerationMismatch")


async def test_name_and_adapter_are_for_life(api, rig):
    """A patch that names another adapter is refused."""
    await rig.pod(api)
    answer = await api.patch(f"{PODS}/main", json={"adapter": "other"}, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "$.adapter")


async def test_a_new_subdomain_changes_the_addresses(api, rig):
    """A patched subdomain is taken over into addresses and workload, and a taken one is refused."""
    await rig.pod(api)
    await rig.pod(api, name="other")
    moved = await api.patch(f"{PODS}/main", json={"subdomain": "desk"}, headers={"If-Match": "*"})
    assert moved.json()["urls"] == ["http://desk.agents.test:8080"]
    workload = (await rig.engine_part(moved.json()["id"])).workload
    assert workload.env["ORIGINS"] == "http://desk.agents.test:8080"
    taken = await api.patch(f"{PODS}/main", json={"subdomain": "other-acme"}, headers={"If-Match": "*"})
    assert (taken.status_code, taken.json()["reason"]) == (409, "SubdomainTaken")
    reserved = await api.patch(f"{PODS}/main", json={"subdomain": "agentpod"}, headers={"If-Match": "*"})
    assert reserved.json()["problems"][0]["path"] == "$.subdomain"


async def test_a_rotated_token_is_a_new_version_in_a_new_generation(api, rig):
    """Rotating makes a new secret that the workload refers to."""
    pod = (await rig.pod(api)).json()
    before = (await rig.engine_part(pod["id"])).workload
    answer = await api.post(f"{PODS}/main/rotate-token")
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    after = (await rig.engine_part(pod["id"])).workload
    assert before.files[0].parts[0].version + 1 == after.files[0].parts[0].version


async def test_a_newer_adapter_gets_the_secret_that_it_asks_for(api, rig, monkeypatch):
    """A pod that was made without a generated secret gets it with its next generation, once, and keeps those it has."""
    rendered, given = TalkerAdapter.workload, []

    def workload(self, config, pod, package):
        given.append(pod.secrets)
        return rendered(self, config, pod, package)

    monkeypatch.setattr(TalkerAdapter, "workload", workload)
    await rig.pod(api)
    monkeypatch.setattr(TalkerAdapter, "generated_secrets", ("token", "seal"))
    for greeting in ("Grüezi", "Servus"):
        changes = {"config": {"greeting": greeting}}
        answer = await api.patch(f"{PODS}/main", json=changes, headers={"If-Match": "*"})
        assert answer.status_code == 200, answer.text
    first, second, third = given
    assert (set(second), second["token"], third) == ({"token", "seal"}, first["token"], second)


async def test_size_and_overrides_reach_the_workload(api, rig):
    """The limits of the workload are the size's, with memory and processors overridden."""
    pod = (await rig.pod(api, size="large", cpus=100)).json()
    resources = (await rig.engine_part(pod["id"])).workload.resources
    assert (resources.memory, resources.cpus) == (1024**3, 100)
