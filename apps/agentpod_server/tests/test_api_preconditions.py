from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from agentpod_server.api.preconditions import PATTERN

pytestmark = pytest.mark.asyncio(loop_scope="session")

TENANT = "/api/v1/tenants/acme"
MAIN = f"{TENANT}/pods/main"
CHANGES = [("PATCH", TENANT), ("PATCH", MAIN), ("PATCH", f"{MAIN}/config"), ("PUT", f"{MAIN}/config")]


def change(path: str) -> dict:
    """Give a body that changes something, for either kind of thing."""
    return {"name": "Other"} if path == TENANT else {"config": {"greeting": "other"}}


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def pod(api, rig):
    """Make what is to be changed, both at generation 1."""
    await rig.pod(api)


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_a_change_without_its_generation_is_refused(api, method, path):
    """PUT and PATCH without If-Match answer 428 and change nothing."""
    answer = await api.request(method, path, json=change(path))
    assert (answer.status_code, answer.json()["reason"]) == (428, "PreconditionRequired")
    assert (await api.get(path)).headers["etag"] == '"1"'


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_a_change_for_another_generation_is_refused(api, method, path):
    """If-Match that names another generation, or none at all, answers 412 and changes nothing."""
    for tag in ('"2"', 'W/"2"', '"0", "2"', '"abc"', '""', '"01"'):
        answer = await api.request(method, path, json=change(path), headers={"If-Match": tag})
        assert (answer.status_code, answer.json()["reason"]) == (412, "GenerationMismatch"), tag
    assert (await api.get(path)).headers["etag"] == '"1"'


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', "*", '"7", "1"', '"x" , W/"1"'])
async def test_a_change_for_the_present_generation_is_made(api, method, path, tag):
    """The ETag, weakened or among others, or a star lets a change pass."""
    answer = await api.request(method, path, json=change(path), headers={"If-Match": tag})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"'), answer.text


async def test_an_if_match_that_cannot_be_read_is_told_so(api):
    """A header that is no list of entity tags answers 400 and names itself."""
    for tag in ("", "1", "banana", '"1', '"1";', '"1" "2"', "*, *", 'w/"1"', ",", '"1",,"2"', '"1 "', "*" * 5000):
        answer = await api.patch(TENANT, json={"name": "x"}, headers={"If-Match": tag})
        assert (answer.status_code, answer.json()["params"]) == (400, {"names": ["If-Match"]}), tag


async def test_a_header_that_comes_twice_is_one_list(api):
    """Several If-Match lines mean what one line with all of them means."""
    headers = [("If-Match", '"9"'), ("If-Match", '"1"')]
    answer = await api.patch(TENANT, json={"name": "x"}, headers=headers)
    assert answer.status_code == 200


async def test_one_of_two_who_change_the_same_generation_does(api):
    """Concurrent changes for one generation: one is made, the others answer 412."""
    answers = await asyncio.gather(
        *(api.patch(TENANT, json={"name": f"name {number}"}, headers={"If-Match": '"1"'}) for number in range(6))
    )
    assert sorted(one.status_code for one in answers) == [200, 412, 412, 412, 412, 412]


async def test_the_present_generation_is_told_to_who_comes_late(api):
    """412 says which generation there is and which were meant."""
    answer = await api.patch(MAIN, json={}, headers={"If-Match": '"8", "9"'})
    assert answer.json()["params"] == {"expected": [8, 9], "actual": 1}


async def test_the_pattern_is_read_by_others_in_the_same_way():
    """The published pattern is anchored and holds only what JSON Schema's dialect has."""
    assert PATTERN.startswith("^")
    assert PATTERN.endswith("$")
    assert "(?P" not in PATTERN
