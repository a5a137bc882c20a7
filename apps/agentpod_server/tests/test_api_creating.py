from __future__ import annotations

import asyncio

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

TENANTS = "/api/v1/tenants"


@pytest.mark.parametrize(
    ("other", "differences"),
    [
        ({"name": "Other"}, ["name"]),
        ({"email": "x@y.test"}, ["email"]),
        ({"name": "Other", "email": "x@y.test"}, ["email", "name"]),
    ],
)
async def test_another_tenant_of_the_same_slug_is_told_in_what_it_differs(api, other, differences):
    """409 names the members that differ, in params and words."""
    await api.post(TENANTS, json={"slug": "acme"})
    answer = await api.post(TENANTS, json={"slug": "acme"} | other)
    assert (answer.status_code, answer.json()["reason"]) == (409, "TenantExists")
    assert sorted(answer.json()["params"]["differences"]) == differences
    assert all(one in answer.json()["detail"] for one in differences)


@pytest.mark.parametrize(
    ("other", "differences"),
    [
        ({"config": {"greeting": "ho"}}, ["config.greeting"]),
        ({"config": {"greeting": "hi", "repeat": 2}}, ["config.repeat"]),
        ({"secrets": {"api_key": "k-124"}}, ["config.api_key"]),
        ({"secrets": {}}, ["config.api_key"]),
        ({"config": {"greeting": "hi", "bots": [{"name": "a", "token": "t"}]}}, ["config.bots"]),
        ({"size": "large", "memory": "1GiB", "cpus": 100}, ["cpus", "memory", "size"]),
        ({"subdomain": "elsewhere", "image": "talker:2"}, ["image", "subdomain"]),
    ],
)
async def test_another_pod_of_the_same_name_is_told_in_what_it_differs(api, rig, other, differences):
    """409 names the places that differ and never what stands there."""
    body = {"secrets": {"api_key": "k-123"}}
    await rig.pod(api, **body)
    answer = await rig.pod(api, **(body | other))
    assert (answer.status_code, answer.json()["params"]["differences"]) == (409, differences)
    assert "k-12" not in answer.text


async def test_a_pod_made_in_other_words_is_the_same(api, rig):
    """A default that is written out beside the config, or a human form of an amount, makes no other pod."""
    made = await rig.pod(api, memory="1GiB", size="default")
    again = await rig.pod(api, memory=1024**3, size="default", config={"greeting": "hi"}, subdomain="acme")
    assert (made.status_code, again.status_code) == (201, 200)


async def test_what_exists_is_answered_as_it_is_now(api, rig):
    """200 for an equal request has the present ETag and no Location."""
    await rig.pod(api)
    await api.post(f"{TENANTS}/acme/pods/main/stop")
    again = await rig.pod(api)
    assert (again.status_code, again.headers["etag"]) == (200, '"2"')
    assert "location" not in again.headers


async def test_many_who_ask_for_different_tenants_of_one_slug_get_one(api):
    """Concurrent different requests for one slug: one 201, and 409 for the others."""
    names = [f"Name {number}" for number in range(6)]
    answers = await asyncio.gather(*(api.post(TENANTS, json={"slug": "acme", "name": name}) for name in names))
    assert sorted(one.status_code for one in answers) == [201, 409, 409, 409, 409, 409]
    assert {tuple(one.json()["params"]["differences"]) for one in answers if one.status_code == 409} == {("name",)}


async def test_many_who_ask_for_different_pods_of_one_name_get_one(api, rig):
    """Concurrent different requests for one name: one 201, and 409 for the others."""
    await api.post(TENANTS, json={"slug": "acme"})
    answers = await asyncio.gather(*(rig.pod(api, config={"greeting": f"hi {number}"}) for number in range(6)))
    assert sorted(one.status_code for one in answers) == [201, 409, 409, 409, 409, 409], [one.text for one in answers]
