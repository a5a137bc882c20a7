from __future__ import annotations

import asyncio

import httpx
import pytest

from agentpod_server.testing import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

TENANTS = "/api/v1/tenants"
MAIN = f"{TENANTS}/acme/pods/main"


@pytest.mark.parametrize(
    "path", [TENANTS, MAIN, f"{MAIN}/config", "/api/v1/events", "/api/v1/version", "/healthz", "/readyz", "/schema"]
)
async def test_head_answers_as_get_without_the_body(api, rig, path):
    """HEAD gives the status and headers that GET gives, the length of the body too, and no body."""
    await rig.pod(api)
    got, head = await api.get(path), await api.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")

    def lasting(answer: httpx.Response) -> dict[str, str]:
        return {key: value for key, value in answer.headers.items() if key not in {"date", "x-request-id"}}

    assert lasting(head) == lasting(got)


async def test_head_of_what_is_not_there_is_not_found(api):
    """HEAD tells of a missing thing by its status alone."""
    answer = await api.head(f"{TENANTS}/nobody")
    assert (answer.status_code, answer.content) == (404, b"")


async def test_head_of_a_stream_ends_and_leaves_nobody_listening(api, rig):
    """HEAD of what would go on for ever answers at once, and no subscription stays behind."""
    answer = await asyncio.wait_for(api.head("/api/v1/events", headers={"Accept": "text/event-stream"}), 5)
    assert answer.headers["content-type"].startswith("text/event-stream")
    await eventually(lambda: rig.services.hub.subscribers == 0)


async def test_head_is_closed_where_get_is(rig):
    """HEAD needs the token that GET needs."""
    async with rig.client() as client:
        assert (await client.head(TENANTS)).status_code == 401


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (TENANTS, "GET, HEAD, OPTIONS, POST"),
        (MAIN, "DELETE, GET, HEAD, OPTIONS, PATCH"),
        (f"{MAIN}/config", "GET, HEAD, OPTIONS, PATCH, PUT"),
        (f"{MAIN}/stop", "OPTIONS, POST"),
    ],
)
async def test_the_methods_of_an_address_are_told(api, path, methods):
    """OPTIONS, and 405 to a method that is none of them, list all of an address's methods."""
    assert (await api.options(path)).headers["allow"] == methods
    refused = await api.request("TRACE", path)
    assert (refused.status_code, refused.headers["allow"]) == (405, methods)


async def test_an_encoded_slash_is_part_of_a_name(api, rig):
    """A slug with %2F in it is one name that does not exist, not two steps of a path."""
    await rig.pod(api)
    answer = await api.get(f"{TENANTS}/acme%2Fpods")
    assert (answer.status_code, answer.json()["reason"]) == (404, "TenantNotFound")
    lower = await api.get(f"{TENANTS}/acme%2fpods%2fmain")
    assert (lower.status_code, lower.json()["reason"]) == (404, "TenantNotFound")


@pytest.mark.parametrize("path", [f"{TENANTS}/", "/api/v1//tenants", "/api//v1/tenants//"])
async def test_needless_slashes_lead_to_the_same(api, path):
    """A slash too many changes nothing of what is found, and no one is sent elsewhere."""
    await api.post(TENANTS, json={"slug": "acme"})
    answer = await api.get(path)
    assert (answer.status_code, answer.json()) == (200, (await api.get(TENANTS)).json())


async def test_a_range_is_not_served(api):
    """Range is ignored, as HTTP allows: an answer is whole."""
    answer = await api.get("/api/v1/version", headers={"Range": "bytes=0-3"})
    assert (answer.status_code, answer.json()["api"]) == (200, "v1")
