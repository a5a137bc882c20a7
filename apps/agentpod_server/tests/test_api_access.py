from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from litestar import Litestar, WebSocket, get, post, websocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agentpod_core import ConfigError
from agentpod_server.api import auth
from agentpod_server.api.auth import SESSION_COOKIE
from agentpod_server.app import create_app
from agentpod_server.records import Role, Scope
from agentpod_server.services.identity import csrf_token
from agentpod_server.testing import PASSWORD, Rig

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOGIN = "/api/v1/login"
STRANGERS = {LOGIN, "/healthz", "/readyz", "/metrics", "/", "/login", "/language", "/dashboard-assets/{file_path:path}"}
ADMIN = {"user": "admin", "password": PASSWORD}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ap_wrong",
        "Bearer ap_" + "x" * 43,
        "Basic YWRtaW46eA==",
        "Bearer \u00e4".encode().decode("latin-1"),
    ],
)
async def test_nobody_comes_in_without_a_right_token(rig, header):
    """A request without a valid bearer token answers 401 and says how to come in."""
    async with rig.client() as client:
        headers = {} if header is None else {"Authorization": header.encode("latin-1")}
        answer = await client.get("/api/v1/tenants", headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_every_route_is_closed_unless_it_says_otherwise(rig):
    """Of all routes only logins, the schema's pages, pages' files and the three at the root answer strangers."""
    app = create_app(rig.parts)
    is_open = {
        path
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        for path in [route.path]
        if handler.opt.get("entry") is auth.Entry.OPEN and not route.path.startswith("/schema")
    }
    assert is_open <= STRANGERS
    assert {LOGIN, "/healthz", "/readyz", "/metrics"} <= is_open


async def test_a_token_in_the_address_is_no_token(rig):
    """A token as a query parameter opens nothing: addresses end up in logs."""
    async with rig.client() as client:
        assert (await client.get("/api/v1/tenants", params={"token": rig.token})).status_code == 401


async def test_a_session_cookie_opens_nothing_of_the_api(rig):
    """The API takes no cookies, so no other site can use a browser's session on it."""
    async with rig.client() as client:
        assert (await client.post(LOGIN, json=ADMIN)).status_code == 200
        assert SESSION_COOKIE in client.cookies
        assert (await client.get("/api/v1/tenants")).status_code == 401


async def test_a_login_gives_a_session_cookie_and_a_csrf_token(rig):
    """The cookie is for this site and not for scripts; over HTTPS it is Secure."""
    async with rig.client() as client:
        answer = await client.post(LOGIN, json=ADMIN)
        cookie = answer.headers["set-cookie"].lower()
        assert (answer.json()["user"], answer.json()["token"]) == ("admin", None)
        assert len(answer.json()["csrf"]) == 64
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "secure" not in cookie
        tls = await client.post(LOGIN, json=ADMIN, headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "9.9.9.9"})
        assert "secure" in tls.headers["set-cookie"].lower()


async def test_a_session_id_is_never_taken_from_the_browser(rig):
    """Logging in makes a new id whatever cookie was sent, and ends the session that was there."""
    async with rig.client() as client:
        client.cookies.set(SESSION_COOKIE, "chosen-by-somebody-else")
        await client.post(LOGIN, json=ADMIN)
        first = next(one.value for one in client.cookies.jar if one.value != "chosen-by-somebody-else")
    assert first != "chosen-by-somebody-else"
    async with rig.client() as client:
        client.cookies.set(SESSION_COOKIE, first)
        second = (await client.post(LOGIN, json=ADMIN)).headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert second != first
    assert await rig.services.identity.by_session(first) is None
    assert await rig.services.identity.by_session(second) is not None
    assert await rig.services.identity.by_session("chosen-by-somebody-else") is None


async def test_logging_out_needs_the_csrf_token_and_ends_the_session(rig):
    """POST /logout without the token answers 403; with it the session is over."""
    async with rig.client() as client:
        csrf = (await client.post(LOGIN, json=ADMIN)).json()["csrf"]
        refused = await client.post("/api/v1/logout")
        assert (refused.status_code, refused.json()["reason"]) == (403, "CsrfFailed")
        wrong = await client.post("/api/v1/logout", headers={"X-CSRF-Token": "0" * 64})
        assert wrong.status_code == 403
        raw = client.cookies[SESSION_COOKIE]
        done = await client.post("/api/v1/logout", headers={"X-CSRF-Token": csrf})
        assert done.status_code == 204
        assert await rig.services.identity.by_session(raw) is None


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.test"}, {"Origin": "null"}]
)
async def test_another_site_can_neither_log_in_nor_out(rig, headers):
    """A request that a browser says another site made is refused, with the right token too."""
    async with rig.client() as client:
        assert (await client.post(LOGIN, json=ADMIN, headers=headers)).status_code == 403
        csrf = (await client.post(LOGIN, json=ADMIN)).json()["csrf"]
        answer = await client.post("/api/v1/logout", headers=headers | {"X-CSRF-Token": csrf})
        assert answer.json()["reason"] == "CsrfFailed"


async def test_a_login_with_a_token_name_makes_an_api_token(rig):
    """What the command line asks for is a bearer token, and no cookie."""
    async with rig.client() as client:
        answer = await client.post(LOGIN, json=ADMIN | {"token_name": "laptop"})
        assert "set-cookie" not in answer.headers
        token = answer.json()["token"]
    assert token.startswith("ap_")
    async with rig.client(token) as client:
        body = (await client.get("/api/v1/whoami")).json()
    assert body == {"actor": "token:laptop", "role": "admin", "tenant": None}


@pytest.mark.parametrize("body", [{"user": "admin", "password": "wrong"}, {"user": "nobody", "password": PASSWORD}])
async def test_a_wrong_login_does_not_say_what_was_wrong(rig, body):
    """A wrong name and a wrong password answer alike."""
    async with rig.client() as client:
        answer = await client.post(LOGIN, json=body)
    assert (answer.status_code, answer.json()["reason"], answer.json()["params"]) == (401, "WrongCredentials", {})


async def test_guessing_is_slowed_down_by_address_and_login(rig):
    """After five failures the right password waits too, from that address alone, for a quarter of an hour."""
    here, there = {"X-Forwarded-For": "198.51.100.7"}, {"X-Forwarded-For": "1.2.3.4, 198.51.100.8"}
    async with rig.client() as client:
        for _ in range(5):
            assert (await client.post(LOGIN, json=ADMIN | {"password": "no"}, headers=here)).status_code == 401
        slowed = await client.post(LOGIN, json=ADMIN, headers=here)
        assert (slowed.status_code, slowed.json()["reason"]) == (429, "TooManyLogins")
        assert int(slowed.headers["retry-after"]) > 800
        assert (await client.post(LOGIN, json=ADMIN, headers=there)).status_code == 200
        rig.clock.passed += 901
        assert (await client.post(LOGIN, json=ADMIN, headers=here)).status_code == 200


async def test_the_case_of_a_login_gives_no_further_guesses(rig):
    """Logins are compared without case, and so are they counted."""
    async with rig.client() as client:
        for name in ("admin", "Admin", "ADMIN", "aDmin", "adMin"):
            assert (await client.post(LOGIN, json={"user": name, "password": "no"})).status_code == 401
        assert (await client.post(LOGIN, json=ADMIN)).status_code == 429


async def test_guesses_at_the_same_time_are_counted_one_by_one(rig):
    """Sending many guesses at once gives no more of them than sending one after another."""
    async with rig.client() as client:
        answers = await asyncio.gather(
            *(client.post(LOGIN, json=ADMIN | {"password": f"no{number}"}) for number in range(20))
        )
    assert sorted(one.status_code for one in answers) == [401] * 5 + [429] * 15


async def test_strangers_may_send_little(rig):
    """A login is small: a body of a megabyte is refused before anybody looks into it."""
    async with rig.client() as client:
        answer = await client.post(LOGIN, json={f"field{number}": 1 for number in range(2000)})
    assert (answer.status_code, answer.json()["params"]) == (413, {"limit": "8 KiB"})


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "c1\x9b31m", "\u2028", "", "x" * 81])
async def test_a_token_has_a_name_that_fits_into_a_line(api, rig, name):
    """The name stands for the actor in logs and events: it ends no line and commands no terminal."""
    answer = await api.post("/api/v1/tokens", json={"name": name})
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "$.name")
    answer = await api.post(LOGIN, json=ADMIN | {"token_name": name})
    assert answer.status_code == 422


async def test_no_handler_answers_a_stranger(rig):
    """Each handler of each route, asked by each of its methods, wants a token or session unless it is named here."""
    app = create_app(rig.parts)
    closed = 0
    async with rig.client() as client:
        for route in app.routes:
            if route.path in STRANGERS or route.path.startswith("/schema"):
                continue
            path = "/".join("x" if part.startswith("{") else part for part in route.path_format.split("/"))
            for method in getattr(route, "methods", []):
                answer = await client.request(method, path, content=b"{}")
                sent_to_login = answer.is_redirect and answer.headers["location"].startswith("/login")
                assert answer.status_code == 401 or sent_to_login, (method, route.path, answer.status_code)
                closed += 1
    assert closed > 60


async def test_a_socket_of_the_dashboard_is_for_its_own_pages(rig):
    """Browsers send cookies with sockets that other sites open; those are refused, as strangers are."""

    @websocket("/live", opt=auth.SESSION)
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("secret")
        await socket.close()

    app = Litestar([live], guards=[auth.guard], state=create_app(rig.parts).state, openapi_config=None)
    home = rig.url
    try:
        async with rig.serving(app):
            url = rig.url.replace("http://", "ws://") + "/live"
            session = await rig.services.identity.login("admin", PASSWORD, address="", request_id="")
            cookie = {"Cookie": f"{SESSION_COOKIE}={session.raw_id}"}
            for headers in ({}, cookie | {"Origin": "https://pod.agents.test"}, cookie | {"Origin": "null"}):
                with pytest.raises(InvalidStatus):
                    await connect(url, additional_headers=headers, proxy=None)
            own = cookie | {"Origin": rig.url}
            async with connect(url, additional_headers=own, proxy=None) as line:
                assert await line.recv() == "secret"
    finally:
        rig.url = home


async def test_a_token_is_shown_once_and_works_until_it_is_revoked(api, rig):
    """A new token is in its own answer alone; revoked, it opens nothing."""
    made = await api.post("/api/v1/tokens", json={"name": "ci", "role": "viewer"})
    assert made.status_code == 201, made.text
    value = made.json()["token"]
    listed = await api.get("/api/v1/tokens")
    assert value not in listed.text
    assert {one["name"] for one in listed.json()["items"]} == {"admin", "ci"}
    async with rig.client(value) as client:
        assert (await client.get("/api/v1/tenants")).status_code == 200
        assert (await api.delete(f"/api/v1/tokens/{made.json()['id']}")).status_code == 204
        assert (await client.get("/api/v1/tenants")).status_code == 401
    assert (await api.delete(f"/api/v1/tokens/{made.json()['id']}")).json()["reason"] == "TokenNotFound"


async def test_a_token_ends_when_it_says(api, rig):
    """A token whose end has passed opens nothing."""
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    made = await api.post("/api/v1/tokens", json={"name": "old", "expires_at": past})
    async with rig.client(made.json()["token"]) as client:
        assert (await client.get("/api/v1/tenants")).status_code == 401


async def test_the_end_of_a_token_needs_a_time_zone(api):
    """A time without its zone is refused: nobody could say when it is."""
    answer = await api.post("/api/v1/tokens", json={"name": "x", "expires_at": "2030-01-01T00:00:00"})
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "$.expires_at")


async def test_a_viewer_only_looks(api, rig):
    """A viewer reads everything and changes nothing."""
    await rig.pod(api)
    async with rig.client(await rig.token_for(Role.VIEWER)) as client:
        assert (await client.get("/api/v1/pods")).status_code == 200
        for method, path in (
            ("POST", "/api/v1/tenants"),
            ("POST", "/api/v1/tenants/acme/pods/main/stop"),
            ("DELETE", "/api/v1/tenants/acme/pods/main"),
            ("PUT", "/api/v1/tenants/acme/pods/main/config"),
            ("POST", "/api/v1/reconcile"),
            ("GET", "/api/v1/tokens"),
        ):
            answer = await client.request(method, path, json={} if method in {"POST", "PUT"} else None)
            assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden"), path


async def test_an_operator_drives_pods_and_makes_no_tenants(api, rig):
    """An operator may stop a pod, and may neither make tenants nor tokens nor images."""
    await rig.pod(api)
    async with rig.client(await rig.token_for(Role.OPERATOR)) as client:
        assert (await client.post("/api/v1/tenants/acme/pods/main/stop")).status_code == 200
        for path, body in (("tenants", {"slug": "b"}), ("tokens", {"name": "x"}), ("images", {"adapter": "talker"})):
            assert (await client.post(f"/api/v1/{path}", json=body)).status_code == 403, path


async def test_a_token_of_a_tenant_sees_nothing_of_another(api, rig):
    """A tenant's token finds its own pods, and another tenant's are not there for it."""
    await rig.pod(api)
    await rig.pod(api, tenant="beta")
    async with rig.client(await rig.token_for(Role.ADMIN, "acme")) as client:
        assert [one["tenant"] for one in (await client.get("/api/v1/pods")).json()["items"]] == ["acme"]
        assert [one["slug"] for one in (await client.get("/api/v1/tenants")).json()["items"]] == ["acme"]
        assert (await client.get("/api/v1/whoami")).json()["tenant"] == "acme"
        for path in ("tenants/beta", "tenants/beta/pods/main", "tenants/beta/status", "events?tenant=beta"):
            assert (await client.get(f"/api/v1/{path}")).status_code == 404, path
        assert (await client.post("/api/v1/tenants/beta/pods/main/stop")).status_code == 404
        assert {one["tenant"] for one in (await client.get("/api/v1/events")).json()["items"]} == {"acme"}
        for path in ("tenants", "tokens"):
            assert (await client.post(f"/api/v1/{path}", json={"slug": "x"})).status_code == 403
        # The holder of a host is none of this tenant's business.
        clash = await client.post(
            "/api/v1/tenants/acme/pods",
            json={"name": "x", "adapter": "talker", "config": {"greeting": "hi"}, "subdomain": "beta"},
        )
        assert (clash.status_code, clash.json()["reason"]) == (409, "SubdomainUnavailable")
        assert "beta/main" not in clash.text


async def test_a_page_of_the_dashboard_takes_sessions_and_no_tokens(rig: Rig):
    """A handler marked for sessions refuses tokens, and unsafe requests without the CSRF token, header or form."""

    @get("/page", opt=auth.SESSION)
    async def page() -> str:
        return "hello"

    @post("/page", opt=auth.SESSION, status_code=200)
    async def change() -> str:
        return "changed"

    app = Litestar(
        [page, change],
        guards=[auth.guard],
        state=create_app(rig.parts).state,
        exception_handlers=create_app(rig.parts).exception_handlers,
        openapi_config=None,
        logging_config=None,
    )
    home = rig.url
    try:
        async with rig.serving(app):
            async with rig.client(rig.token) as client:
                assert (await client.get("/page")).status_code == 401
            session = await rig.services.identity.login("admin", PASSWORD, address="", request_id="")
            async with rig.client() as client:
                client.cookies.set(SESSION_COOKIE, session.raw_id)
                assert (await client.get("/page")).status_code == 200
                assert (await client.post("/page")).status_code == 403
                csrf = csrf_token(session.raw_id)
                assert (await client.post("/page", headers={"X-CSRF-Token": csrf})).status_code == 200
                assert (await client.post("/page", data={"_csrf": csrf})).status_code == 200
    finally:
        rig.url = home


async def test_the_password_of_a_user_is_changed_and_ends_sessions(rig):
    """A new password ends the sessions that the old one began; a short one is refused."""
    session = await rig.services.identity.login("admin", PASSWORD, address="", request_id="")
    with pytest.raises(ConfigError):
        await rig.services.identity.set_password(Scope(), "admin", "short")
    await rig.services.identity.set_password(Scope(), "admin", "a much better one")
    assert await rig.services.identity.by_session(session.raw_id) is None
    await rig.services.identity.login("admin", "a much better one", address="", request_id="")
