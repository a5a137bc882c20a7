from __future__ import annotations

import gzip
import json

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

TENANTS = "/api/v1/tenants"
PODS = f"{TENANTS}/acme/pods"
JSON = {"Content-Type": "application/json"}


async def refusal(api, body: bytes, **headers: str) -> tuple[int, str]:
    """Ask for a tenant with such a body; give status and reason."""
    answer = await api.post(TENANTS, content=body, headers=JSON | headers)
    return answer.status_code, answer.json()["reason"]


async def test_an_object_says_nothing_twice(api, rig):
    """A member that comes twice answers 400 and is named, at any depth; no value wins."""
    twice = await api.post(TENANTS, content=b'{"slug": "one", "slug": "two"}', headers=JSON)
    assert (twice.status_code, twice.json()["reason"]) == (400, "BadJson")
    assert "slug" in twice.json()["detail"]
    await rig.pod(api)
    deep = b'{"name":"x","adapter":"talker","config":{"bots":[{"name":"a","name":"b"}]}}'
    assert (await api.post(PODS, content=deep, headers=JSON)).json()["reason"] == "BadJson"


async def test_unknown_members_are_told_with_their_place_and_what_is_near(api, rig):
    """Each member that nothing knows is refused with its path, and the one that was meant is named."""
    answer = await api.post(TENANTS, json={"slugg": "a", "slug": "a", "colour": "red"})
    problems = {one["path"]: one for one in answer.json()["problems"]}
    assert (answer.status_code, problems.keys()) == (422, {"$.slugg", "$.colour"})
    assert "slug" in problems["$.slugg"]["message"].partition(":")[2]
    answer = await rig.pod(api, config={"greeting": "hi", "bots": [{"name": "a", "token": "t", "tokn": "t"}]})
    assert [one["path"] for one in answer.json()["problems"]] == ["$.config.bots[0].tokn"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "01", "+1", ".5", "0x10", "1" * 5000])
async def test_numbers_are_those_of_json(api, number):
    """What is no JSON number, or none that a machine holds, answers 400."""
    assert await refusal(api, b'{"slug": ' + number.encode() + b"}") == (400, "BadJson")


async def test_a_large_number_is_just_a_wrong_amount(api, rig):
    """A number beyond 64 bits is refused at its place like one that is too large."""
    for number in (2**63, 2**64, 10**30, -(10**30)):
        answer = await rig.pod(api, memory=number, cpus=number)
        assert {one["path"] for one in answer.json()["problems"]} == {"$.memory", "$.cpus"}, number


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xed\xa0\x80"', b'"\xff"', b'"a\nb"'])
async def test_texts_are_unicode(api, text):
    """Half of a surrogate pair, bytes that are no UTF-8, and control characters answer 400."""
    assert await refusal(api, b'{"slug": "a", "name": ' + text + b"}") == (400, "BadJson")


async def test_nul_is_told_where_it_stands(api, rig):
    """Every text with a NUL is named by its path, in the reader's language."""
    body = {"name": "x", "adapter": "talker", "config": {"greeting": "a\0"}, "set": {"a\0": "b"}, "image": "\0"}
    await rig.pod(api)
    answer = await api.post(PODS, json=body, headers={"Accept-Language": "zh"})
    problems = answer.json()["problems"]
    assert answer.status_code == 422
    assert [one["path"] for one in problems] == ["$.config.greeting", "$.set", "$.image"]
    assert {one["reason"] for one in problems} == {"UnstorableText"}
    assert problems[0]["message"].endswith("。")


@pytest.mark.parametrize(
    "media",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/msgpack", "x"],
)
async def test_what_says_that_it_is_no_json_is_refused(api, media):
    """Another media type answers 415 whatever the bytes are; a form of another site is none of ours."""
    assert await refusal(api, b'{"slug": "acme"}', **{"Content-Type": media}) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    "media", ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json", None]
)
async def test_json_is_taken_under_its_names(api, media):
    """JSON may say its charset, be a merge patch, or say nothing of itself."""
    headers = {} if media is None else {"Content-Type": media}
    answer = await api.post(TENANTS, content=b'{"slug": "acme"}', headers=headers)
    assert answer.status_code == 201


async def test_a_compressed_body_is_refused(api):
    """A body with a content coding answers 415: nothing is unpacked."""
    packed = gzip.compress(b'{"slug": "acme"}')
    assert await refusal(api, packed, **{"Content-Encoding": "gzip"}) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize("body", [b"", b" ", b"null", b"[]", b'"acme"', b"1", b"\xef\xbb\xbf{}"])
async def test_a_body_is_an_object(api, body):
    """Nothing, and what is no object, is refused."""
    status, reason = await refusal(api, body)
    assert (status, reason) in {(400, "BadJson"), (422, "InvalidRequest")}


async def test_ten_megabytes_are_refused_before_they_are_read(api):
    """A body of 10 MB answers 413 and says the limit."""
    body = json.dumps({"slug": "acme", "name": "x" * 10_000_000}).encode()
    answer = await api.post(TENANTS, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["reason"]) == (413, "BodyTooLarge")
    assert "1 MiB" in answer.json()["detail"]
