from __future__ import annotations

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIG = "/api/v1/tenants/acme/pods/main/config"
BOTS = [{"name": "a", "token": "t-aaa"}, {"name": "b", "token": "t-bbb"}]


async def secret(rig, pod_id: str, number: int) -> str:
    """Read the value that one of the pod's secret files leads to."""
    workload = (await rig.engine_part(pod_id)).workload
    pod = await rig.record(pod_id)
    return await rig.vault.get(pod.tenant_id, workload.files[number].parts[0])


async def test_a_config_is_shown_with_its_secrets_masked(api, rig):
    """Reading a config shows every secret that is set as a mask, in lists too."""
    await rig.pod(api, config={"greeting": "hi", "bots": BOTS}, secrets={"api_key": "k-123"})
    answer = await api.get(CONFIG)
    assert answer.headers["etag"] == '"1"'
    assert answer.json() == {
        "adapter": "talker",
        "config_version": 1,
        "generation": 1,
        "config": {
            "greeting": "hi",
            "api_key": {"$secret": True},
            "bots": [{"name": "a", "token": {"$secret": True}}, {"name": "b", "token": {"$secret": True}}],
        },
    }


async def test_what_was_read_can_be_written_back(api, rig):
    """PUT of what GET gave changes nothing and keeps every secret."""
    await rig.pod(api, config={"greeting": "hi", "bots": BOTS}, secrets={"api_key": "k-123"})
    shown = (await api.get(CONFIG)).json()["config"]
    answer = await api.put(CONFIG, json={"config": shown}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')


async def test_put_replaces_the_whole_config(api, rig):
    """PUT drops what it does not mention, the secret's stored value included."""
    await rig.pod(api, config={"greeting": "hi", "repeat": 3}, secrets={"api_key": "k-123"})
    tenant_id = (await api.get("/api/v1/tenants/acme")).json()["id"]
    answer = await api.put(CONFIG, json={"config": {"greeting": "ho"}}, headers={"If-Match": '"1"'})
    assert answer.json()["config"] == {"greeting": "ho"}
    assert [ref.key.rpartition("/")[2] for ref in await rig.vault.list(tenant_id)] == ["token"]


async def test_a_secret_follows_its_item_through_a_list(api, rig):
    """Items of a list may be removed and added; each mask keeps the secret of the item it was read from."""
    pod = (await rig.pod(api, config={"greeting": "hi", "bots": BOTS})).json()
    mask = {"$secret": True}
    moved = [{"name": "b", "token": mask}, {"name": "c", "token": "t-ccc"}]
    answer = await api.put(CONFIG, json={"config": {"greeting": "hi", "bots": moved}}, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    assert [await secret(rig, pod["id"], number) for number in (1, 2)] == ["t-bbb", "t-ccc"]


async def test_patch_merges_and_null_takes_away(api, rig):
    """PATCH keeps what it does not mention; null removes a field, a secret too."""
    pod = (await rig.pod(api, config={"greeting": "hi", "repeat": 3}, secrets={"api_key": "k-123"})).json()
    kept = await api.patch(CONFIG, json={"config": {"repeat": None}}, headers={"If-Match": '"1"'})
    assert kept.json()["config"] == {"greeting": "hi", "api_key": {"$secret": True}}
    assert await secret(rig, pod["id"], 1) == "k-123"
    gone = await api.patch(CONFIG, json={"config": {"api_key": None}}, headers={"If-Match": '"2"'})
    assert gone.json()["config"] == {"greeting": "hi"}


async def test_patch_takes_texts_and_secrets_by_path(api, rig):
    """PATCH with `set` and `secrets` lays them over the config that is there."""
    pod = (await rig.pod(api)).json()
    body = {"set": {"repeat": "4"}, "secrets": {"api_key": "k-999"}}
    answer = await api.patch(CONFIG, json=body, headers={"If-Match": "*"})
    assert answer.json()["config"] == {"greeting": "hi", "repeat": 4, "api_key": {"$secret": True}}
    assert await secret(rig, pod["id"], 1) == "k-999"


async def test_a_mask_with_nothing_behind_it_is_no_value(api, rig):
    """A mask for a required secret that was never set is a problem with its place."""
    body = {"greeting": "hi", "bots": [{"name": "a", "token": {"$secret": True}}]}
    answer = await rig.pod(api, config=body)
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "$.config.bots[0].token")


@pytest.mark.parametrize("key", ["pod/other/config/api_key", "x"])
async def test_a_reference_to_a_stored_secret_is_refused(api, rig, key):
    """Nobody can point at a secret that is stored, be it their own."""
    stolen = {"key": key, "store": "postgres", "version": 1}
    answer = await rig.pod(api, config={"greeting": "hi", "api_key": stolen})
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "$.config.api_key")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_wrong_config_changes_nothing(api, rig, method):
    """A config with mistakes answers 422 with all of them, and the pod stays as it was."""
    await rig.pod(api)
    body = {"config": {"greeting": "", "repeat": 99}}
    answer = await api.request(method, CONFIG, json=body, headers={"If-Match": "*"})
    assert [one["path"] for one in answer.json()["problems"]] == ["$.config.greeting", "$.config.repeat"]
    assert (await api.get(CONFIG)).json()["generation"] == 1


async def test_no_answer_and_no_log_holds_a_secret(api, rig, caplog):
    """A secret's value is in no answer, no event and no log line, also when requests fail."""
    caplog.set_level("DEBUG")
    value = "sk-verysecretvalue"
    answers = [await rig.pod(api, secrets={"api_key": value})]
    bodies = (
        {"config": {"greeting": value * 9, "api_key": value}},
        {"set": {"api_key": value}},
        {"config": {"bots": [{"name": 5, "token": value}]}},
        {"config": {"greeting": "break", "api_key": value}},
        {"config": {"api_key": [value]}},
    )
    answers += [await api.patch(CONFIG, json=body, headers={"If-Match": "*"}) for body in bodies]
    answers.append(await api.post("/api/v1/tenants/acme/pods", content=f'{{"name": "{value}'))
    paths = (CONFIG, "/api/v1/pods", "/api/v1/events", "/api/v1/tenants/acme/pods/main/plan")
    answers += [await api.get(path) for path in paths]
    logged = [caplog.handler.format(record) for record in caplog.records if not record.name.startswith("http")]
    assert len(logged) > 1
    assert not [text for text in [*(answer.text for answer in answers), *logged] if value in text]
