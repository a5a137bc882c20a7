"""How commands fail: the exit code, the words, and what never appears in them."""

from __future__ import annotations

import socket
import ssl

import httpx
import pytest

from agentpod_cli import errors
from agentpod_cli.app import App
from agentpod_cli.commands import tenants

CODES = [
    (400, "BadJson", 2),
    (401, "Unauthenticated", 6),
    (403, "Forbidden", 6),
    (404, "PodNotFound", 3),
    (409, "SomeConflict", 4),
    (412, "SomeMismatch", 4),
    (422, "InvalidConfig", 2),
    (500, "SomethingElse", 1),
    (503, "SomeTrouble", 1),
]


@pytest.mark.parametrize(("status", "reason", "code"), CODES)
def test_each_refusal_has_its_exit_code(agentpod, server, status, reason, code):
    """A script can tell refusals apart without reading text."""
    server.refuse("GET", "/tenants/acme", status, reason)
    ended = agentpod("tenant", "get", "acme")
    assert (ended.code, ended.out) == (code, "")
    assert f"Title of {reason}" in ended.err
    assert f"Detail of {reason}." in ended.err


def test_every_problem_is_told_with_its_path_and_the_repair_comes_last(agentpod, server, golden):
    """Somebody who got two fields wrong is told of both."""
    problems = [
        {"path": "$.greeting", "reason": "MissingField", "message": "The field greeting is required."},
        {"path": "$.port", "reason": "TooLarge", "message": "Must not be larger than 65535."},
    ]
    server.refuse(
        "POST", "/tenants/acme/pods", 422, "InvalidConfig", problems=problems, repair="Correct the fields.\nThen again."
    )
    ended = agentpod("pod", "create", "acme/support", "--adapter", "echo")
    assert ended.code == 2
    golden("error-problems.txt", ended.err)


def test_the_request_is_named_where_the_server_itself_failed(agentpod, server):
    """An operator can find it in the server's log."""
    server.refuse("GET", "/tenants/acme", 500, "InternalError")
    assert "req-1" in agentpod("tenant", "get", "acme").err


def test_an_answer_that_is_no_problem_document_is_still_an_error(agentpod, server):
    """A proxy's own error page does not become a traceback: the server behind it is not reached, which is 7."""
    server.on("GET", "/tenants/acme", "<html>Bad\x1b[31m Gateway</html>", status=502, media="text/html")
    ended = agentpod("tenant", "get", "acme")
    assert ended.code == 7
    assert "HTTP 502" in ended.err
    assert "agentpod up" in ended.err
    assert "\x1b" not in ended.err


@pytest.mark.parametrize("body", ["404 page not found", '{"error": "no such page"}'])
def test_a_404_of_somebody_elses_server_is_no_missing_tenant(agentpod, server, body):
    """Only a server of ours can say that something is not there."""
    server.on("GET", "/tenants/acme", body, status=404, media="text/plain")
    ended = agentpod("tenant", "get", "acme")
    assert ended.code == 7
    assert "AGENTPOD_SERVER" in ended.err


def test_an_answer_that_is_no_json_is_no_server_of_ours(agentpod, server):
    """Some other web server behind the address is recognised."""
    server.on("GET", "/tenants/acme", "<html>Welcome</html>", media="text/html")
    ended = agentpod("tenant", "get", "acme")
    assert ended.code == 7
    assert "This is no AgentPod server" in ended.err


def test_an_unreachable_server_is_7_and_says_where_the_address_came_from(run):
    """The user learns which of the places that may name a server was wrong."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ended = run("pod", "list", "--server", f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert ended.code == 7
    assert "--server" in ended.err
    assert "agentpod up" in ended.err


def test_no_server_at_all_is_7_and_says_how_to_get_one(run):
    """The first command of a new user leads on."""
    ended = run("pod", "list")
    assert ended.code == 7
    assert "agentpod up" in ended.err
    assert "agentpod login" in ended.err


def test_a_silent_server_is_7(server, monkeypatch, agentpod):
    """A server that never answers does not hold the user for ever."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        connect = App.connect
        monkeypatch.setattr(App, "connect", lambda app: connect(app, timeout=0.1))
        ended = agentpod("pod", "list", "--server", url)
    assert ended.code == 7
    assert "does not answer" in ended.err


@pytest.mark.parametrize("address", ["ftp://x", "http://", "http://a:b@host", "http://host:port"])
def test_a_wrong_address_is_a_usage_error(run, address):
    """What cannot be an address is refused before anything is sent."""
    ended = run("pod", "list", "--server", address)
    assert ended.code == 2
    assert "a:b" not in ended.err


def test_a_certificate_authority_that_cannot_be_read_is_a_usage_error(agentpod, tmp_path):
    """A wrong --ca names the file."""
    ended = agentpod("pod", "list", "--ca", str(tmp_path / "missing.pem"), "--server", "https://127.0.0.1:9")
    assert ended.code == 2
    assert "missing.pem" in ended.err
    (tmp_path / "junk.pem").write_text("junk")
    assert agentpod("pod", "list", "--ca", str(tmp_path / "junk.pem"), "--server", "https://127.0.0.1:9").code == 2


@pytest.mark.parametrize(
    "arguments", [("pod", "get"), ("pod", "get", "acme"), ("nonsense",), ("pod", "list", "--nonsense")]
)
def test_wrong_usage_is_2(agentpod, arguments):
    """What is typed wrong is told apart from what failed."""
    ended = agentpod(*arguments)
    assert (ended.code, ended.out) == (2, "")


def test_a_pod_named_without_its_tenant_gets_a_hint(agentpod):
    """The most likely meaning is offered."""
    assert "did you mean acme/main?" in agentpod("pod", "get", "acme").err


def test_an_unexpected_failure_is_one_line_and_no_traceback(agentpod, monkeypatch):
    """A bug of ours says how to get the details."""

    def broken(*_, **__):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(tenants, "listing", broken)
    monkeypatch.setattr("agentpod_client.client.Client.list_tenants", lambda _: [])
    ended = agentpod("tenant", "list")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "AGENTPOD_DEBUG=1" in ended.err
    with pytest.raises(ZeroDivisionError):
        agentpod("tenant", "list", AGENTPOD_DEBUG="1")


def test_ctrl_c_is_130_and_quiet(agentpod, monkeypatch):
    """Stopping a command is no error worth a message."""

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("agentpod_client.client.Client.list_tenants", interrupted)
    ended = agentpod("tenant", "list")
    assert (ended.code, ended.out, ended.err.strip()) == (130, "", "")


def test_errors_speak_chinese_in_a_chinese_locale(run):
    """Our own errors come in the user's language."""
    assert "不知道服务器在哪里" in run("pod", "list", LANG="zh_CN.UTF-8").err


def test_the_token_is_sent_and_never_shown(agentpod, server, make_tenant, token):
    """Whatever happens, the token is in no output and in no address."""
    server.on("GET", "/tenants/acme", make_tenant())
    server.refuse("GET", "/tenants/other", 403, "Forbidden")
    shown = ""
    for name in ("acme", "other"):
        for output in ("table", "wide", "json", "yaml"):
            ended = agentpod("tenant", "get", name, "-o", output)
            shown += ended.out + ended.err
    assert server.requests[0].headers["authorization"] == f"Bearer {token}"
    assert token not in shown
    assert all(token not in one.path and token not in str(one.query) for one in server.requests)


def test_an_untrusted_certificate_is_told_apart(monkeypatch, agentpod):
    """The way out of a self-signed certificate is --ca, and the error says so."""

    def refuse(*_, **__):
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")

    monkeypatch.setattr(httpx.Client, "request", refuse)
    ended = agentpod("pod", "list", "--server", "https://127.0.0.1:1")
    assert ended.code == 7
    assert "--ca FILE" in ended.err
    assert ssl.OPENSSL_VERSION  # the wording matched above is OpenSSL's


def test_the_catalogue_of_reasons_decides_before_the_status():
    """The exit code belongs to the reason; the HTTP status only stands in for an unknown one."""
    assert errors.exit_of_problem("PodNotFound", 500) in (1, 3)
    assert errors.exit_of_problem("InvalidConfig", 500) == 2
    assert errors.exit_of_problem("NobodyKnowsThis", 404) == 3


@pytest.mark.parametrize(
    "line",
    [
        "pod stop acme/.. --no-wait",
        "pod delete acme/.. --yes",
        "pod get acme/.",
        "adapter get ..",
        "token revoke . --yes",
    ],
)
def test_dots_name_nothing(agentpod, server, line):
    """They would lead to another route: "pod stop acme/.." would stop the whole tenant."""
    ended = agentpod(*line.split())
    assert (ended.code, server.requests) == (2, [])
    assert "is no name" in ended.err


def test_an_empty_name_names_nothing(agentpod, server):
    """An unset variable of a script is not asked for."""
    assert agentpod("operation", "get", "").code == 2
    assert server.requests == []


def test_a_span_that_no_clock_reaches_is_a_mistake_of_the_user(agentpod, server):
    """It is told as one, and not as a fault of the command line."""
    ended = agentpod("token", "create", "x", "--expires-in", "99999999999d")
    assert (ended.code, server.requests) == (2, [])
