from __future__ import annotations

import httpx
import pytest

from agentpod_server.api.auth import SESSION_COOKIE
from agentpod_server.dashboard.door import HOME, safe
from agentpod_server.dashboard.testing import Browser, read
from agentpod_server.testing import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_front_leads_to_the_login_and_then_to_the_dashboard(rig):
    """Nobody is led to the login, somebody to the overview, and the login is passed by who is in."""
    async with rig.client() as client:
        visitor = Browser(client)
        assert (await visitor.get("/")).headers["location"] == "/login"
        answer = await visitor.log_in()
        assert (answer.status_code, answer.headers["location"]) == (303, HOME)
        assert (await visitor.get("/")).headers["location"] == HOME
        assert (await visitor.get("/login")).headers["location"] == HOME
        await visitor.page(HOME)


async def test_who_is_not_in_is_led_to_the_login_and_back(rig):
    """A page's address survives the login; a page that a script asks for is a bare refusal."""
    async with rig.client() as client:
        visitor = Browser(client)
        answer = await visitor.get("/dashboard/pods?q=a%26b")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/dashboard/pods%3Fq%3Da%2526b")
        form = (await visitor.page(answer.headers["location"])).form("/login")
        answer = await visitor.send(form, {"user": "admin", "password": PASSWORD})
        assert answer.headers["location"] == "/dashboard/pods?q=a%26b"
    async with rig.client() as client:
        part = await client.get("/dashboard/pods", headers={"HX-Request": "true", "Accept": "text/html"})
        assert (part.status_code, part.headers["hx-redirect"]) == (401, "/login?next=/dashboard")
        assert (await client.get("/dashboard/live", headers={"Accept": "text/event-stream"})).status_code == 401


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/dashboardevil",
        "/dashboard\\@evil.example",
        "/dashboard/\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "",
        "/login",
        "/dashboard/" + "x" * 3000,
    ],
)
async def test_the_login_leads_to_no_other_place(browser, address):
    """Only the dashboard's own addresses are gone back to."""
    assert safe(address) == HOME


async def test_a_wrong_login_says_so_and_keeps_the_name(rig):
    """It is not said which part was wrong; too many tries have to wait, and that is said too."""
    async with rig.client() as client:
        visitor = Browser(client)
        for _ in range(5):
            page = read(await visitor.log_in(password="wrong"), 401)
            assert "User name or password are wrong." in page.text
            assert ("user", "admin") in page.form("/login").pairs
            assert "wrong" not in dict(page.form("/login").pairs).values()
        answer = await visitor.log_in()
        assert int(answer.headers["retry-after"]) > 0
        assert "too many attempts" in read(answer, 429).text


async def test_the_login_form_is_the_browsers_own(rig):
    """A login that another site sends, or that comes without the form's cookie, is refused."""
    async with rig.client() as client:
        visitor = Browser(client)
        form = (await visitor.page("/login")).form("/login")
        values = {"user": "admin", "password": PASSWORD}
        assert (await visitor.send(form, values, Origin="https://evil.example")).status_code == 403
        assert (await visitor.send(form, values, **{"Sec-Fetch-Site": "cross-site"})).status_code == 403
        client.cookies.clear()
        assert (await visitor.send(form, values)).status_code == 403


async def test_a_login_never_takes_over_a_session_that_was_there(rig):
    """An id that an attacker planted is worth nothing after the login, and the old session ends."""
    async with rig.client() as client:
        visitor = Browser(client)
        client.cookies.set(SESSION_COOKIE, "planted", domain="127.0.0.1")
        answer = await visitor.log_in()
        assert "planted" not in answer.headers["set-cookie"]
        mine = answer.headers["set-cookie"].split(f"{SESSION_COOKIE}=")[1].split(";")[0]
        assert {"HttpOnly", "SameSite=lax"} <= {part.strip() for part in answer.headers["set-cookie"].split(";")}
    async with rig.client() as other:
        other.cookies.set(SESSION_COOKIE, "planted")
        assert (await Browser(other).get(HOME)).status_code == 303
        other.cookies.set(SESSION_COOKIE, mine)
        await Browser(other).page(HOME)


async def test_logging_out_ends_the_session(browser):
    """The cookie goes, and what it opened is closed for whoever kept it."""
    kept = browser.client.cookies[SESSION_COOKIE]
    answer = await browser.send((await browser.page(HOME)).form("/logout"))
    assert answer.headers["location"] == "/login"
    browser.client.cookies.set(SESSION_COOKIE, kept)
    assert (await browser.get(HOME)).status_code == 303


async def test_every_form_needs_its_token(browser):
    """What is sent without the session's token, or from another site, changes nothing."""
    page = await browser.page("/dashboard/tenants")
    form = page.form("/dashboard/tenants")
    values = {"tenant.slug": "acme"}
    for wrong in ({"_csrf": None}, {"_csrf": "0" * 64}):
        answer = await browser.send(form, values | wrong)
        assert answer.status_code == 403
        assert "own pages" in read(answer, 403).text
    assert (await browser.send(form, values, Origin="https://evil.example")).status_code == 403
    assert "acme" not in (await browser.page("/dashboard/tenants")).text
    assert (await browser.send(form, values)).status_code == 303


async def test_the_language_is_the_readers(rig):
    """The browser's wish counts until somebody picks one; picking leads back to the page."""
    async with rig.client(None, **{"Accept-Language": "zh-TW,zh;q=0.9"}) as client:
        visitor = Browser(client)
        page = await visitor.page("/login")
        assert '<html lang="zh-CN">' in page.html
        assert "登录" in page.text
        answer = await visitor.send(page.form("/language"), {"language": "en"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert "Log in" in (await visitor.page("/login")).text
        answer = await visitor.send(page.form("/language"), {"language": "en", "next": "//evil.example"})
        assert answer.headers["location"] == HOME


async def test_a_bearer_token_does_not_open_pages(api: httpx.AsyncClient):
    """Pages look at the session's cookie alone."""
    assert (await api.get(HOME, headers={"Accept": "text/html"})).status_code == 303
