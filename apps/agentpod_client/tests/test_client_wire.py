"""The line: what is sent, what is sent again, how failures are told, and what is never told."""

from __future__ import annotations

import logging
import pickle
import socket
import traceback

import httpx
import pytest

from agentpod_client import (
    ApiError,
    BadNameError,
    BadTokenError,
    Client,
    ClientError,
    ForeignAnswerError,
    SilentServerError,
    UnreachableError,
    UntrustedServerError,
)
from agentpod_client.testing import a_pod, a_tenant, an_event

POD = "/tenants/acme/pods/support"


def test_a_request_carries_token_language_and_name(server):
    """The server answers in the language that was asked for."""
    server.on("GET", "/whoami", {"actor": "a", "role": "viewer", "tenant": None})
    with Client(server.url, "ap_x", language="zh-CN", user_agent="mine/1") as client:
        client.whoami()
    headers = server.requests[0].headers
    assert headers["authorization"] == "Bearer ap_x"
    assert headers["accept-language"] == "zh-CN, en;q=0.5"
    assert headers["user-agent"] == "mine/1"


def test_members_that_a_newer_server_adds_pass_through(client, server):
    """The answer is the JSON object itself."""
    server.on("GET", "/tenants/acme", a_tenant(colour="blue"))
    assert client.get_tenant("acme") == a_tenant(colour="blue")


def test_listings_are_followed_to_their_end(client, server):
    """A page is not mistaken for the whole, and nothing is asked before it is read."""
    server.on("GET", "/tenants", {"items": [a_tenant("acme")], "next": "cursor-2"})
    server.on("GET", "/tenants", {"items": [a_tenant("beta")], "next": None})
    found = client.list_tenants(search="a", limit=1)
    assert server.requests == []
    assert [one["slug"] for one in found] == ["acme", "beta"]
    assert [one.query for one in server.requests] == [
        {"search": "a", "limit": "1"},
        {"search": "a", "limit": "1", "cursor": "cursor-2"},
    ]


def test_a_listing_is_gone_on_with_from_a_cursor(client, server):
    """A part names the next one, so that a screen can show one part at a time."""
    server.on("GET", "/pods", {"items": [a_pod()], "next": "c3"})
    page = next(client.list_pods(cursor="c2", limit=1).pages())
    assert (page["next"], server.requests[0].query["cursor"]) == ("c3", "c2")


def test_a_listing_without_pages_is_asked_without_a_limit(client, server):
    """The server refuses what a route does not know."""
    server.items("/adapters")
    assert list(client.list_adapters()) == []
    assert server.requests[0].query == {}


@pytest.mark.parametrize(("status", "is_new"), [(201, True), (200, False)])
def test_a_create_says_whether_it_is_new(client, server, status, is_new):
    """The same again gives the one that exists."""
    server.on("POST", "/tenants", a_tenant(), status=status)
    server.on("POST", "/tenants/acme/pods", a_pod(), status=status)
    assert client.create_tenant(slug="acme") == (a_tenant(), is_new)
    assert client.create_pod("acme", name="support", adapter="echo") == (a_pod(), is_new)
    assert server.requests[1].body == {"name": "support", "adapter": "echo"}


def test_a_change_without_a_generation_is_of_what_is_there_now(client, server):
    """The version is read first and demanded, so that the write overtakes nobody."""
    server.on("GET", POD, a_pod(), headers={"ETag": '"7"'})
    server.on("PATCH", POD, a_pod())
    client.update_pod("acme", "support", memory="2GiB", size=None)
    sent = server.asked("PATCH", POD)[0]
    assert (sent.headers["if-match"], sent.body) == ('"7"', {"memory": "2GiB", "size": None})
    assert sent.headers["content-type"] == "application/merge-patch+json"


def test_a_change_of_a_generation_reads_nothing(client, server):
    """Who has seen a version says so."""
    server.refuse("PATCH", POD, 412, "GenerationMismatch")
    with pytest.raises(ApiError) as caught:
        client.update_pod("acme", "support", generation=3, size="small")
    assert (caught.value.status, caught.value.reason) == (412, "GenerationMismatch")
    assert [(one.method, one.headers.get("if-match")) for one in server.requests] == [("PATCH", '"3"')]


def test_names_cannot_leave_their_place_in_the_path(client, server):
    """A slash in a name is a name that does not exist, not another route."""
    with pytest.raises(ForeignAnswerError):
        client.get_pod("acme/../zeta", "x?y=z")
    assert server.requests[0].path == "/tenants/acme%2F..%2Fzeta/pods/x%3Fy%3Dz"


def test_a_refusal_is_told_with_reason_and_every_error(client, server):
    """A program decides by the reason, and can show each thing that is wrong."""
    problems = [{"path": "$.greeting", "reason": "MissingField", "message": "It is missing."}]
    server.refuse("POST", "/tenants/acme/pods", 422, "InvalidConfig", problems=problems)
    with pytest.raises(ApiError) as caught:
        client.create_pod("acme", name="support", adapter="echo")
    error = caught.value
    assert (error.status, error.reason, error.errors) == (422, "InvalidConfig", problems)
    assert error.problem["request_id"] == "req-1"
    assert str(error) == "422 InvalidConfig: Title of InvalidConfig Detail of InvalidConfig. $.greeting: It is missing."


@pytest.mark.parametrize("body", ["404 page not found", '{"error": "no such page"}', "[]"])
def test_an_error_that_is_no_problem_is_somebody_elses(client, server, body):
    """Only a server of ours can say that something is not there."""
    server.on("GET", "/tenants/acme", body, status=404, media="text/plain")
    with pytest.raises(ForeignAnswerError) as caught:
        client.get_tenant("acme")
    assert (caught.value.status, caught.value.text) == (404, body)


def test_an_answer_that_is_no_json_is_somebody_elses(client, server):
    """Some other web server behind the address is recognised."""
    server.on("GET", "/tenants/acme", "<html>Welcome</html>", media="text/html")
    with pytest.raises(ForeignAnswerError):
        client.get_tenant("acme")


def test_a_read_is_sent_again_while_the_server_is_away(client, server, clock):
    """A restart of the server is not noticed by who reads."""
    server.on("GET", "/tenants/acme", "<html>Bad Gateway</html>", status=502, media="text/html")
    server.refuse("GET", "/tenants/acme", 503, "StoreBusy", headers={"Retry-After": "3"})
    server.on("GET", "/tenants/acme", a_tenant())
    assert client.get_tenant("acme")["slug"] == "acme"
    assert clock.slept == [0.2, 3.0]


def test_a_write_is_sent_once(client, server, clock):
    """Nobody knows whether it was done."""
    server.refuse("POST", f"{POD}/restart", 503, "StoreBusy")
    with pytest.raises(ApiError):
        client.restart_pod("acme", "support")
    assert (len(server.requests), clock.slept) == (1, [])


def test_a_refusal_is_not_sent_again(client, server):
    """What is not allowed will not be in a moment."""
    server.refuse("GET", "/tenants/acme", 403, "Forbidden")
    with pytest.raises(ApiError):
        client.get_tenant("acme")
    assert len(server.requests) == 1


def test_a_write_that_never_left_is_sent_again(clock):
    """Where nobody listens, nothing was done."""
    with Client("http://127.0.0.1:9", clock=clock, sleep=clock.sleep) as client, pytest.raises(UnreachableError):
        client.restart_pod("acme", "support")
    assert len(clock.slept) == 2


def test_a_silent_server_is_told_apart(clock):
    """A server that never answers does not hold the program for ever."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, timeout=0.1, retries=0) as client, pytest.raises(SilentServerError):
            client.get_version()


def test_an_untrusted_certificate_is_told_apart_and_not_tried_again(client, clock, monkeypatch):
    """The way out is ``ca``, not patience."""

    def refuse(*_, **__):
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")

    monkeypatch.setattr(httpx.Client, "request", refuse)
    with pytest.raises(UntrustedServerError):
        client.get_version()
    assert clock.slept == []


@pytest.mark.parametrize(
    "address", ["ftp://x", "http://", "x", "http://a:secret@host", "http://host:port", "http://\n"]
)
def test_a_wrong_address_is_refused_before_anything_is_sent(address):
    """A password in an address is not repeated."""
    with pytest.raises(ValueError, match="address") as caught:
        Client(address)
    assert "secret" not in str(caught.value)


def test_a_certificate_authority_that_cannot_be_read_is_an_error(tmp_path):
    """A wrong file is told when the client is made, not when it is used."""
    with pytest.raises(FileNotFoundError):
        Client("https://127.0.0.1:9", ca=str(tmp_path / "missing.pem"))


@pytest.mark.parametrize("bad", ["ap_sec\nret", "ap_sec ret", "ap_sec\u5bc6ret"])
def test_what_cannot_be_a_token_is_refused_without_being_repeated(server, bad):
    """The HTTP library would quote it in its error."""
    with pytest.raises(BadTokenError) as caught:
        Client(server.url, bad)
    assert "sec" not in "".join(traceback.format_exception(caught.value))


def test_the_token_is_in_no_repr_log_or_error(client, server, token, caplog):
    """Wherever a program writes down what happened, the token stays out of it."""
    caplog.set_level(logging.DEBUG)
    server.refuse("GET", "/tenants/acme", 403, "Forbidden")
    told = [repr(client), str(client), repr(vars(client))]
    for broken in (client, Client("http://127.0.0.1:9", token, retries=0)):
        with pytest.raises(ClientError) as caught:
            broken.get_tenant("acme")
        error = caught.value
        told += [repr(error), "".join(traceback.format_exception(error)), repr(vars(error))]
        told.append(repr(pickle.dumps(vars(error))))
        broken.close()
    assert server.requests[0].headers["authorization"] == f"Bearer {token}"
    assert token not in "".join(told) + caplog.text


def test_the_readiness_of_a_server_that_is_not_ready_is_an_answer(client, server):
    """Also a server that answers 503 says which part is wrong."""
    server.on("GET", "//readyz", {"ready": False, "checks": {"runtime": "EngineUnreachable"}}, status=503)
    assert client.get_readiness()["checks"] == {"runtime": "EngineUnreachable"}


def test_events_without_a_number_are_the_newest(client, server):
    """How many is the caller's to say."""
    server.items("/events", an_event())
    assert list(client.list_events(limit=7)) == [an_event()]
    assert server.requests[0].query == {"limit": "7"}


def test_a_session_is_ended_with_its_cookie_and_csrf_token(client, server):
    """A login without a token's name is a browser's; it can be undone."""
    headers = {"Set-Cookie": "agentpod_session=abc; Path=/; HttpOnly"}
    server.on("POST", "/login", {"user": "admin", "csrf": "xyz"}, headers=headers)
    server.on("POST", "/logout", "", status=204)
    client.logout(csrf=client.login(user="admin", password="pw")["csrf"])
    sent = server.asked("POST", "/logout")[0].headers
    assert (sent["cookie"], sent["x-csrf-token"]) == ("agentpod_session=abc", "xyz")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_lead_elsewhere_is_not_sent(client, server, name):
    """Stopping the pod ".." would stop its tenant, and reading the pod "" would list them all."""
    with pytest.raises(BadNameError):
        client.stop_pod("acme", name)
    with pytest.raises(BadNameError):
        client.get_pod("acme", name)
    assert server.requests == []
