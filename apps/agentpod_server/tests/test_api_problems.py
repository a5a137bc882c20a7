from __future__ import annotations

import time

import pytest

from agentpod_core import TemporaryError, catalogue
from agentpod_server import logs

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_problem_has_everything_that_a_program_and_a_person_need(api):
    """A problem carries type, title, status, detail, instance, reason, params, repair and the request's id."""
    answer = await api.get("/api/v1/tenants/nobody")
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body == {
        "type": "urn:agentpod:problem:TenantNotFound",
        "title": catalogue.title("TenantNotFound"),
        "status": 404,
        "detail": catalogue.text("TenantNotFound", {"tenant": "nobody"}),
        "instance": "/api/v1/tenants/nobody",
        "reason": "TenantNotFound",
        "params": {"tenant": "nobody"},
        "repair": catalogue.repair("TenantNotFound", {"tenant": "nobody"}),
        "request_id": answer.headers["x-request-id"],
    }


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing", "/api/v1", "/schema/nothing", "/api/v2/tenants"])
async def test_an_unknown_address_is_a_problem_too(rig, path):
    """404 of an address that does not exist is problem+json, with the safe headers."""
    async with rig.client() as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["reason"], answer.json()["params"]) == (404, "NotFound", {"path": path})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]


async def test_a_method_that_an_address_does_not_take_is_a_problem(api):
    """405 names method and path, and says what is allowed."""
    answer = await api.put("/api/v1/tenants", json={})
    assert (answer.status_code, answer.json()["reason"]) == (405, "MethodNotAllowed")
    assert answer.json()["params"] == {"method": "PUT", "path": "/api/v1/tenants"}
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize(
    "body", [b"{", b"nonsense", b'{"slug": "a"} more', b"\xff\xfe", b'{"slug": "\xff"}', b"[" * 50_000]
)
async def test_a_body_that_is_no_json_is_told_so(api, body):
    """Rubbish in the body answers 400 BadJson and is not repeated."""
    answer = await api.post("/api/v1/tenants", content=body)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadJson")
    assert "nonsense" not in answer.text


async def test_a_body_that_is_too_large_is_refused(api):
    """More than 1 MiB answers 413, announced or not."""

    async def chunks():
        for _ in range(20):
            yield b" " * 100_000

    large = await api.post("/api/v1/tenants", content=b" " * (1024 * 1024 + 1))
    assert (large.status_code, large.json()["reason"]) == (413, "BodyTooLarge")
    unannounced = await api.post("/api/v1/tenants", content=chunks())
    assert unannounced.status_code == 413


async def test_what_nobody_expected_answers_500_without_its_words(api, rig, monkeypatch, caplog):
    """An unexpected exception answers 500 with the request's id; its text is in the log alone, with that id."""
    caplog.handler.setFormatter(logs.TextLine())

    async def broken(*_, **__):
        raise ZeroDivisionError("the inside of it")

    monkeypatch.setattr(rig.services.tenants, "get", broken)
    answer = await api.get("/api/v1/tenants/acme", headers={"X-Request-Id": "my-request-1"})
    assert (answer.status_code, answer.json()["reason"]) == (500, "InternalError")
    assert answer.json()["request_id"] == "my-request-1"
    assert "inside" not in answer.text
    assert "inside" in caplog.text
    assert "GET /api/v1/tenants/acme failed request=my-request-1" in caplog.text


async def test_an_unreachable_database_is_a_temporary_problem(api, rig, monkeypatch):
    """A failure that may pass answers 503 and says when to come again."""

    async def unreachable(*_, **__):
        raise TemporaryError("StoreUnreachable", retry_after=2.4)

    monkeypatch.setattr(rig.services.tenants, "get", unreachable)
    answer = await api.get("/api/v1/tenants/acme")
    assert (answer.status_code, answer.json()["reason"], answer.headers["retry-after"]) == (
        503,
        "StoreUnreachable",
        "2",
    )


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN", "zh-CN"),
        ("zh", "zh-CN"),
        ("fr, zh-CN;q=0.8, en;q=0.5", "zh-CN"),
        ("en-GB,en;q=0.9", "en"),
        ("fr", "en"),
        (";;;q=banana", "en"),
    ],
)
async def test_texts_are_in_the_readers_language(api, accepted, language):
    """Accept-Language decides the language of title, detail, repair and messages."""
    answer = await api.get("/api/v1/tenants/nobody", headers={"Accept-Language": accepted})
    assert answer.json()["title"] == catalogue.title("TenantNotFound", language)
    assert answer.headers["content-language"] == language


async def test_messages_of_answers_and_problems_are_translated(api, rig):
    """A status, an event and each problem of a list read in Chinese for who asks for it."""
    await rig.pod(api)
    chinese = {"Accept-Language": "zh-CN"}
    status = (await api.get("/api/v1/tenants/acme/pods/main/status", headers=chinese)).json()
    assert status["message"] == catalogue.text("Pending", {}, "zh-CN")
    event = (await api.get("/api/v1/events", headers=chinese)).json()["items"][-1]
    assert event["message"] == catalogue.text("PodCreated", {"tenant": "acme", "pod": "main"}, "zh-CN")
    problem = (await api.post("/api/v1/tenants", json={"slug": "No"}, headers=chinese)).json()["problems"][0]
    assert problem["message"] == catalogue.text("InvalidName", {"value": "No"}, "zh-CN")


@pytest.mark.parametrize("given", ["short", "with space in it", "x" * 65, "new\tline-here"])
async def test_a_request_id_that_is_not_sane_is_replaced(api, given):
    """Only 8 to 64 harmless characters are taken over as the request's id."""
    answer = await api.get("/healthz", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


async def test_the_request_id_is_with_what_the_request_did(api):
    """A sane request id comes back, and is written with the event."""
    answer = await api.post("/api/v1/tenants", json={"slug": "acme"}, headers={"X-Request-Id": "trace-0001"})
    assert answer.headers["x-request-id"] == "trace-0001"
    event = (await api.get("/api/v1/events")).json()["items"][-1]
    assert (event["reason"], event["request_id"], event["actor"]) == ("TenantCreated", "trace-0001", "token:admin")


async def test_answers_carry_the_safe_headers(api):
    """No answer may be framed, sniffed, cached or run scripts."""
    headers = (await api.get("/api/v1/tenants")).headers
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("name", ["%00", "..%2F..", "a%20b", "%F0%9F%A4%96", "A" * 300])
async def test_strange_names_in_addresses_are_not_found(api, name):
    """A path segment that cannot be a name answers 404."""
    for path in (f"/api/v1/tenants/{name}", f"/api/v1/tenants/acme/pods/{name}", f"/api/v1/operations/{name}"):
        assert (await api.get(path)).status_code == 404, path


async def test_texts_that_cannot_be_stored_are_refused(api, rig):
    """A text that the database cannot hold is the request's mistake, not the server's."""
    answer = await rig.pod(api, config={"greeting": "a\u0000b"})
    assert (answer.status_code, answer.json()["reason"]) == (422, "InvalidRequest")
    lone = await api.post("/api/v1/tenants", content=b'{"slug": "acme", "name": "\\ud800"}')
    assert (lone.status_code, lone.json()["reason"]) == (400, "BadJson")


async def test_a_deep_body_is_refused_as_what_it_is(api, rig):
    """Nesting that a walk through the value could not follow answers 400, and nothing else."""
    await rig.pod(api)
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    body = b'{"name":"deep","adapter":"talker","config":' + deep + b"}"
    answer = await api.post("/api/v1/tenants/acme/pods", content=body)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadJson")


@pytest.mark.parametrize("part", ["config", "set", "secrets"])
async def test_a_body_full_of_mistakes_is_answered_soon(api, rig, part):
    """A megabyte of unknown fields is no way to stop the server for everybody: what is told is bounded."""
    await rig.pod(api)
    body = {"name": "many", "adapter": "talker", part: {f"field{number}": "x" for number in range(30_000)}}
    began = time.process_time()
    answer = await api.post("/api/v1/tenants/acme/pods", json=body)
    assert time.process_time() - began < 1.5
    assert answer.status_code == 422
    assert len(answer.json()["problems"]) <= 200


async def test_a_path_forges_no_line_of_the_log(api, caplog):
    """Whatever is in a path, the log has one line for one request, without control characters."""
    with caplog.at_level("DEBUG"):
        await api.post("/api/v1/x%0a2026-01-01 INFO root: forged%1b[31m")
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("agentpod_server")]
    (line,) = [line for line in ours if "forged" in line]
    assert line.isprintable()


async def test_nothing_is_at_an_address_with_nul_in_it(api):
    """A NUL in a path is in no name, so nothing is there."""
    answer = await api.get("/api/v1/tenants/%00")
    assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")


async def test_a_host_that_is_none_is_named(api):
    """A Host header that names no host answers 400 and says which header it was."""
    answer = await api.get("/api/v1/version", headers={"Host": "a b"})
    assert (answer.status_code, answer.json()["params"]) == (400, {"names": ["Host"]})
