from __future__ import annotations

import pytest

from agentpod_server.api import queries

pytestmark = pytest.mark.asyncio(loop_scope="session")

TENANTS = "/api/v1/tenants"
FORM = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 500},
    "follow": {"type": "boolean"},
    "phase": {"type": "string", "enum": ["running", "stopped"]},
}


async def test_everything_wrong_with_a_query_is_told_at_once(api):
    """Unknown, repeated and wrong parameters: one answer with each of them and its place."""
    answer = await api.get(f"{TENANTS}?limit=many&serch=x&cursor=a&cursor=b&colour=red")
    body = answer.json()
    assert (answer.status_code, body["reason"]) == (400, "BadQuery")
    assert {(one["path"], one["reason"]) for one in body["problems"]} == {
        ("?limit", "InvalidType"),
        ("?serch", "UnknownField"),
        ("?colour", "UnknownField"),
        ("?cursor", "RepeatedParameter"),
    }
    assert set(body["params"]["names"]) == {"limit", "serch", "colour", "cursor"}


@pytest.mark.parametrize("name", ["dry-run", " limit", "", "a.b", "['x']", "0", "$", "?", "?limit", "\u00e9", "x" * 79])
async def test_a_parameter_of_any_name_is_told_as_it_is_written(api, name):
    """What is no plain word stands in the answer as it came, unknown or repeated."""
    answer = await api.get(TENANTS, params=[(name, "1"), (name, "2")])
    body = answer.json()
    assert (answer.status_code, body["params"]) == (400, {"names": [name]})
    assert [one["path"] for one in body["problems"]] == [f"?{name}"] * 2


async def test_an_unknown_parameter_is_answered_with_those_near_it(api):
    """Who mistypes a parameter reads which one was meant, in their language."""
    answer = await api.get(f"{TENANTS}?serch=x", headers={"Accept-Language": "zh-CN"})
    (problem,) = answer.json()["problems"]
    assert "search" in problem["message"]
    assert "There is no field" not in problem["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/version"),
        ("GET", "/api/v1/pods"),
        ("POST", "/api/v1/reconcile"),
        ("POST", "/api/v1/login"),
        ("DELETE", "/api/v1/tokens/none"),
        ("PATCH", f"{TENANTS}/acme/pods/main"),
    ],
)
async def test_no_operation_ignores_a_parameter(api, method, path):
    """Whatever an operation takes, a parameter that it does not know is refused."""
    answer = await api.request(method, f"{path}?dry-run=true", json={"user": "x", "password": "x"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadQuery")


async def test_who_is_not_known_does_not_get_to_the_query(rig):
    """Without a token a wrong query is answered 401: nothing is told to strangers."""
    async with rig.client() as client:
        assert (await client.get(f"{TENANTS}?nonsense=1")).status_code == 401


async def test_a_truth_is_true_or_false(api):
    """Before something is deleted, "cascade" has to be said as it is written in the description."""
    await api.post(TENANTS, json={"slug": "acme"})
    for text in ("yes", "1", "", "null", "TRUE"):
        answer = await api.delete(f"{TENANTS}/acme?cascade={text}")
        assert (answer.status_code, answer.json()["problems"][0]["reason"]) == (400, "InvalidType"), text
    assert (await api.get(f"{TENANTS}/acme")).json()["wanted"] == "running"


async def test_a_number_is_written_in_digits(api):
    """What other readers take for a number is refused, and so is one that no machine holds."""
    for text in ("", " 5", "0x5", "5.0", "1e2", "\u0665", "9" * 5000, "null"):
        answer = await api.get(TENANTS, params={"limit": text})
        assert (answer.status_code, answer.json()["reason"]) == (400, "BadQuery"), text


async def test_a_time_has_a_zone(api, rig):
    """A time that is none, or says nothing of its zone, is refused."""
    await rig.pod(api)
    for text in ("yesterday", "2026-01-01", "2026-01-01T00:00:00", "1767225600", "2026-13-01T00:00:00Z"):
        answer = await api.get(f"{TENANTS}/acme/pods/main/logs", params={"since": text})
        assert (answer.status_code, answer.json()["reason"]) == (400, "BadQuery"), text


async def test_a_text_that_cannot_be_stored_is_in_no_name(api):
    """NUL in a search is refused where it stands."""
    answer = await api.get(f"{TENANTS}?search=a%00b")
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (400, "?search")


async def test_a_right_query_has_nothing_wrong():
    """What the schema allows passes."""
    assert queries.wrong(FORM, [("limit", "500"), ("follow", "false"), ("phase", "running")]) == []


async def test_names_are_repeated_shortened():
    """A name of any length or kind comes back with a bounded place and text."""
    (problem,) = queries.wrong(FORM, [("x" * 5000, "1")])
    assert len(problem.path) <= 80
    assert len(problem.message) < 300


async def test_a_repeated_parameter_is_told_once(api):
    """However often it comes, and however many do, the answer stays short."""
    assert len(queries.wrong({}, [("a", "1")] * 20_000)) == 2
    assert len(queries.wrong({}, [(str(number % 10_000), "1") for number in range(20_000)])) <= 400
