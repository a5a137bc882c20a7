from __future__ import annotations

import pytest

from agentpod_server.dashboard.testing import Browser, read
from agentpod_server.records import Role, Scope
from agentpod_server.store import identity, tenants
from agentpod_server.testing import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="session")

NASTY = "<script>alert(1)</script>\"'&"


async def someone(rig, login: str, role: Role, tenant: str | None = None) -> None:
    """Make a user who has the tests' password."""
    hashed = await rig.services.identity._passwords.hash(PASSWORD)
    async with rig.database.transaction(Scope()):
        tenant_id = (await tenants.get(tenant)).id if tenant else None
        await identity.create_user(login=login, password_hash=hashed, role=role, tenant_id=tenant_id)


async def test_a_viewer_sees_and_changes_nothing(rig, api):
    """A viewer gets no button that they may not press, and there is no way around that."""
    made = (await rig.pod(api)).json()
    address = f"/dashboard/pods/{made['id']}"
    await someone(rig, "vera", Role.VIEWER)
    async with rig.client() as client:
        viewer = Browser(client)
        await viewer.log_in("vera")
        page = await viewer.page(address)
        assert {form.action for form in page.forms} == {"/language", "/logout", f"{address}/config"}
        assert page.form(f"{address}/config").names == {"_csrf", "generation"}
        assert not [link for link in page.links if link.endswith(("/delete", "/stop", "/restart", "/new"))]
        sent = {"_csrf": dict(page.form("/logout").pairs)["_csrf"]}
        for path in (f"{address}/stop", f"{address}/config", "/dashboard/tenants", "/dashboard/pods/new"):
            answer = await client.post(path, data=sent, headers={"Origin": rig.url})
            assert answer.status_code == 403, path
        for path in (f"{address}/stop", "/dashboard/pods/new", "/dashboard/tenants/acme/delete"):
            assert (await viewer.get(path)).status_code == 403, path
        assert (await viewer.send(page.form("/logout"))).status_code == 303


async def test_a_tenants_user_sees_that_tenant_alone(rig, api):
    """Pods, tenants and events of others are not there, by listing, id or name; nor is the form for tenants."""
    await rig.pod(api)
    other = (await rig.pod(api, tenant="globex", name="elsewhere")).json()
    await someone(rig, "ann", Role.ADMIN, "acme")
    async with rig.client() as client:
        user = Browser(client)
        await user.log_in("ann")
        for path in ("", "/pods", "/tenants", "/pods/new?type=talker"):
            page = await user.page(f"/dashboard{path}")
            assert "globex" not in page.html
            assert "elsewhere" not in page.html
        assert [form.action for form in (await user.page("/dashboard/tenants")).forms if form.method == "post"] == [
            "/language",
            "/logout",
        ]
        for path in (f"/pods/{other['id']}", f"/pods/{other['id']}/logs", "/pods/globex/elsewhere", "/tenants/globex"):
            await user.page(f"/dashboard{path}", 404)
        assert (await user.get(f"/dashboard/pods/{other['id']}/row")).text == ""


async def test_tenants_are_changed_stopped_and_deleted(browser, rig, api):
    """A tenant's page renames it, stops its pods, starts them, and deletes it with them."""
    await rig.pod(api)
    address = "/dashboard/tenants/acme"
    page = await browser.page(address)
    answer = await browser.send(page.form(address), {"tenant.name": NASTY, "tenant.email": ""})
    assert answer.headers["location"] == f"{address}?done=saved"
    page = await browser.page(address)
    assert NASTY in page.text
    assert "<script>alert" not in page.html
    stale = await browser.send(page.form(address), {"tenant.email": "not one"})
    assert "f-tenant.email-problem" in read(stale, 422).ids
    for verb, wanted in (("stop", "stopped"), ("start", "running")):
        form = (await browser.page(f"{address}/stop" if verb == "stop" else address)).form(f"{address}/{verb}")
        assert (await browser.send(form)).headers["location"] == f"{address}?done={verb}"
        assert (await api.get("/api/v1/tenants/acme")).json()["wanted"] == wanted
    form = (await browser.page(f"{address}/delete")).form(f"{address}/delete")
    assert (await browser.send(form)).headers["location"] == "/dashboard/tenants?done=delete"
    assert (await api.get("/api/v1/tenants/acme")).json()["wanted"] == "deleted"


async def test_a_tenant_that_is_there_is_refused_at_its_name(browser, rig, api):
    """Another tenant of the same short name is a problem of that field."""
    await rig.pod(api)
    form = (await browser.page("/dashboard/tenants")).form("/dashboard/tenants")
    page = read(await browser.send(form, {"tenant.slug": "acme", "tenant.name": "Other"}), 409)
    assert "f-tenant.slug-problem" in page.ids
