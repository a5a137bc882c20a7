from __future__ import annotations

import asyncio

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_new_tenant_is_created_with_its_address_and_etag(api):
    """Creating a tenant answers 201 with where it is and which generation it has."""
    answer = await api.post("/api/v1/tenants", json={"slug": "acme", "name": "Acme Inc.", "email": "it@acme.test"})
    assert answer.status_code == 201
    assert answer.headers["location"] == "/api/v1/tenants/acme"
    assert answer.headers["etag"] == '"1"'
    body = answer.json()
    assert (body["slug"], body["name"], body["email"]) == ("acme", "Acme Inc.", "it@acme.test")
    assert (body["wanted"], body["generation"], body["pods"]) == ("running", 1, 0)
    assert body["created_at"].endswith("Z")


async def test_the_same_tenant_again_is_the_one_that_exists(api):
    """Creating a tenant twice in the same words answers 200 with the first one."""
    first = await api.post("/api/v1/tenants", json={"slug": "acme"})
    again = await api.post("/api/v1/tenants", json={"slug": "acme"})
    assert again.status_code == 200
    assert again.json() == first.json()


async def test_another_tenant_of_the_same_name_is_refused(api):
    """Creating a tenant whose slug is taken by another answers 409."""
    await api.post("/api/v1/tenants", json={"slug": "acme"})
    answer = await api.post("/api/v1/tenants", json={"slug": "acme", "email": "other@acme.test"})
    assert (answer.status_code, answer.json()["reason"]) == (409, "TenantExists")


async def test_everything_wrong_with_a_tenant_is_told_at_once(api):
    """A tenant with a bad slug, name and address is refused with three problems and their paths."""
    answer = await api.post("/api/v1/tenants", json={"slug": "Ac me", "name": "x" * 201, "email": "nowhere"})
    assert answer.status_code == 422
    assert [one["path"] for one in answer.json()["problems"]] == ["$.slug", "$.name", "$.email"]


@pytest.mark.parametrize("body", [{}, {"slug": 3}, {"slug": "acme", "colour": "red"}, [], "acme"])
async def test_a_body_of_the_wrong_shape_is_refused(api, body):
    """A body that is no tenant answers 422 and names what is wrong."""
    answer = await api.post("/api/v1/tenants", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (422, "InvalidRequest")
    assert answer.json()["problems"]


async def test_bodies_are_strict(api):
    """A number where a text belongs is not read as a text."""
    answer = await api.post("/api/v1/tenants", json={"slug": "acme", "name": 5})
    assert [one["path"] for one in answer.json()["problems"]] == ["$.name"]


async def test_a_missing_body_is_refused(api):
    """A request without a body answers 400 and says that it is empty."""
    answer = await api.post("/api/v1/tenants")
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadJson")
    assert "empty" in answer.json()["detail"]


async def test_one_of_many_who_ask_for_the_same_tenant_at_once_makes_it(api):
    """Concurrent equal requests make one tenant; all get it."""
    answers = await asyncio.gather(*(api.post("/api/v1/tenants", json={"slug": "acme"}) for _ in range(5)))
    assert sorted(one.status_code for one in answers) == [200, 200, 200, 200, 201]
    assert len({one.json()["id"] for one in answers}) == 1


async def test_an_unknown_tenant_is_not_found(api):
    """Reading a tenant that does not exist answers 404 with its name."""
    answer = await api.get("/api/v1/tenants/nobody")
    assert (answer.status_code, answer.json()["reason"]) == (404, "TenantNotFound")
    assert answer.json()["params"] == {"tenant": "nobody"}


async def test_a_change_needs_the_generation_it_is_made_for(api):
    """PATCH without If-Match answers 428, with an old one 412, with the present one it is done."""
    await api.post("/api/v1/tenants", json={"slug": "acme"})
    patch = {"email": "it@acme.test"}
    assert (await api.patch("/api/v1/tenants/acme", json=patch)).status_code == 428
    stale = await api.patch("/api/v1/tenants/acme", json=patch, headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json()["reason"]) == (412, "GenerationMismatch")
    done = await api.patch("/api/v1/tenants/acme", json=patch, headers={"If-Match": '"1"'})
    assert (done.status_code, done.json()["email"], done.headers["etag"]) == (200, "it@acme.test", '"2"')


async def test_null_in_a_merge_patch_goes_back_to_the_default(api):
    """PATCH with null for the name makes the name the slug again; what is absent stays."""
    await api.post("/api/v1/tenants", json={"slug": "acme", "name": "Acme", "email": "it@acme.test"})
    body = (await api.patch("/api/v1/tenants/acme", json={"name": None}, headers={"If-Match": "*"})).json()
    assert (body["name"], body["email"]) == ("acme", "it@acme.test")


async def test_stop_and_start_change_what_is_wanted(api):
    """The verbs stop and start are idempotent and change what is wanted of a tenant."""
    await api.post("/api/v1/tenants", json={"slug": "acme"})
    stopped = await api.post("/api/v1/tenants/acme/stop")
    assert (stopped.status_code, stopped.json()["wanted"], stopped.json()["generation"]) == (200, "stopped", 2)
    assert (await api.post("/api/v1/tenants/acme/stop")).json()["generation"] == 2
    assert (await api.post("/api/v1/tenants/acme/start")).json()["wanted"] == "running"


async def test_a_tenant_with_pods_is_deleted_only_with_them(api, rig):
    """DELETE of a tenant with pods answers 409; with cascade tenant and pods are wanted gone."""
    await rig.pod(api)
    refused = await api.delete("/api/v1/tenants/acme")
    assert (refused.status_code, refused.json()["reason"]) == (409, "TenantHasPods")
    gone = await api.delete("/api/v1/tenants/acme", params={"cascade": "true"})
    assert (gone.status_code, gone.json()["wanted"]) == (202, "deleted")
    assert (await api.get("/api/v1/tenants/acme/pods/main")).json()["spec"]["wanted"] == "deleted"
    assert (await api.post("/api/v1/tenants", json={"slug": "acme"})).json()["reason"] == "TenantDeleting"


async def test_a_tenants_status_counts_its_pods(api, rig):
    """The status says how many pods there are, in which phase, and how each is in a sentence."""
    await rig.pod(api)
    body = (await api.get("/api/v1/tenants/acme/status")).json()
    assert (body["total"], body["ready"], body["phases"]) == (1, 0, {"pending": 1})
    assert body["pods"][0]["name"] == "main"
    assert body["pods"][0]["message"]


async def test_a_listing_is_read_part_by_part(api):
    """Following `next` gives every tenant once, in order."""
    slugs = ["ant", "bee", "cat", "dog", "eel"]
    for slug in slugs:
        await api.post("/api/v1/tenants", json={"slug": slug})
    seen, cursor = [], None
    for _ in range(10):
        page = (await api.get("/api/v1/tenants", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [one["slug"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == slugs


async def test_a_cursor_is_good_for_its_own_listing_only(api):
    """A cursor that was changed, or used with another filter or listing, answers 400."""
    for slug in ("ant", "bee"):
        await api.post("/api/v1/tenants", json={"slug": slug})
    cursor = (await api.get("/api/v1/tenants", params={"limit": 1})).json()["next"]
    wrong = [
        ("/api/v1/tenants", {"cursor": cursor[:-2] + "xx"}),
        ("/api/v1/tenants", {"cursor": "rubbish"}),
        ("/api/v1/tenants", {"cursor": "!"}),
        ("/api/v1/tenants", {"cursor": cursor, "search": "a"}),
        ("/api/v1/pods", {"cursor": cursor}),
    ]
    for path, params in wrong:
        answer = await api.get(path, params=params)
        assert (answer.status_code, answer.json()["reason"]) == (400, "BadCursor"), params


@pytest.mark.parametrize("limit", ["0", "501", "-1", "many"])
async def test_a_limit_out_of_bounds_is_refused(api, limit):
    """A limit that is no number from 1 to 500 answers 400 and names the parameter."""
    answer = await api.get("/api/v1/tenants", params={"limit": limit})
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadQuery")
    assert answer.json()["params"] == {"names": ["limit"]}
