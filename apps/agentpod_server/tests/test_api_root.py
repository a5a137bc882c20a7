from __future__ import annotations

import re

import pytest

from agentpod_core import TemporaryError
from agentpod_server import logs

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_living_process_says_so_to_everybody(rig):
    """/healthz answers without a token."""
    async with rig.client() as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_readiness_is_told_part_by_part(rig, monkeypatch):
    """/readyz answers 200 when all parts work and 503 naming the one that does not."""
    async with rig.client() as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "checks": {"database": "ok"}})

        def unreachable(*_):
            raise TemporaryError("StoreUnreachable")

        monkeypatch.setattr(rig.database, "transaction", unreachable)
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "checks": {"database": "StoreUnreachable"}}


async def test_metrics_are_for_this_machine_and_for_tokens(rig):
    """/metrics answers loopback, and through the proxy only whoever has a token."""
    async with rig.client() as client:
        assert (await client.get("/metrics")).text == "agentpod_up 1\n"
        through = {"X-Forwarded-For": "203.0.113.5"}
        assert (await client.get("/metrics", headers=through)).status_code == 401
        bearer = through | {"Authorization": f"Bearer {rig.token}"}
        assert (await client.get("/metrics", headers=bearer)).status_code == 200


async def test_the_version_names_server_and_instance(api, rig):
    """/version says which server this is."""
    assert (await api.get("/api/v1/version")).json() == {"version": "0.0.0", "api": "v1", "instance": "testapi2"}


async def test_the_page_of_the_api_needs_nothing_from_elsewhere(rig):
    """The page and all that it names come from this server, under a policy that forbids anything else."""
    async with rig.client() as client:
        page = await client.get("/schema")
        assert page.headers["content-type"].startswith("text/html")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert (
            "unsafe-inline" not in page.headers["content-security-policy"].partition("script-src")[2].partition(";")[0]
        )
        addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert not [one for one in addresses if "//" in one]
        for address in addresses:
            if address.startswith("/"):
                assert (await client.get(address)).status_code == 200, address
        outside = await client.get("/schema-assets/../shapes.py")
        assert outside.status_code == 404


async def test_requests_are_counted_and_logged_with_their_id(rig, api, caplog):
    """Each request is a line at debug or info with its id, and a number by method and status."""
    caplog.handler.setFormatter(logs.TextLine("%(levelname)s %(message)s"))
    labels = {"method": "POST", "status": "422"}
    counted = rig.parts.telemetry.registry.get_sample_value

    def count() -> float:
        return counted("agentpod_request_seconds_count", labels) or 0.0

    before = count()
    with caplog.at_level("DEBUG"):
        await api.post("/api/v1/tenants", json={}, headers={"X-Request-Id": "my-request-2"})
        answer = await api.get("/api/v1/tenants", headers={"X-Request-Id": "no\tgood"})
    assert count() == before + 1
    assert "INFO POST /api/v1/tenants 422 request=my-request-2" in caplog.text
    assert f"DEBUG GET /api/v1/tenants 200 request={answer.headers['x-request-id']}" in caplog.text
    assert len(answer.headers["x-request-id"]) == 32
