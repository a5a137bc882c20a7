"""Finding the server, logging in, and what is written where."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import click
import pytest

from agentpod_cli import target
from agentpod_cli.errors import CliError

PASSWORD = "correct horse"


@pytest.fixture
def door(server):
    """A server that lets admin in."""
    server.on("POST", "/login", {"user": "admin", "csrf": None, "token": "ap_new", "expires_at": None})
    server.on("GET", "/whoami", {"actor": "admin", "tenant": None})
    return server


def context(tmp_path):
    """Read the user's context."""
    return json.loads((tmp_path / "home" / ".config" / "agentpod" / "context.json").read_text())


def test_login_trades_the_password_for_a_token_and_stores_only_that(run, door, tmp_path):
    """The password is in no file, no output and no address; the file is the user's alone."""
    ended = run("login", door.url, "--user", "admin", "--password", "-", stdin=f"{PASSWORD}\n")
    assert ended.code == 0
    sent = door.asked("POST", "/login")[0]
    assert sent.body["password"] == PASSWORD
    assert "authorization" not in sent.headers
    assert door.asked("GET", "/whoami")[0].headers["authorization"] == "Bearer ap_new"
    assert context(tmp_path) == {"current": door.url, "servers": {door.url: {"token": "ap_new"}}}
    path = tmp_path / "home" / ".config" / "agentpod" / "context.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSWORD not in path.read_text() + ended.out + ended.err
    assert "ap_new" not in ended.out + ended.err


def test_the_next_command_finds_the_server_that_was_logged_in_to(run, door, tmp_path):
    """Login is needed once."""
    run("login", door.url, "--user", "admin", "--password", "-", stdin=PASSWORD)
    door.items("/tenants")
    assert run("tenant", "list").code == 0
    assert door.asked("GET", "/tenants")[0].headers["authorization"] == "Bearer ap_new"


def test_login_with_a_token_proves_it_first(run, server, tmp_path):
    """A wrong token is not remembered."""
    server.refuse("GET", "/whoami", 401, "Unauthenticated")
    ended = run("login", server.url, "--token", "env:MINE", MINE="ap_wrong")
    assert ended.code == 6
    assert "ap_wrong" not in ended.err
    assert not (tmp_path / "home" / ".config").exists()


def test_login_asks_a_person(run, door, monkeypatch, tmp_path):
    """Name and password are asked for; the password is not shown."""
    asked = []
    monkeypatch.setattr(
        click, "prompt", lambda text, **more: asked.append((text, more)) or {"User": "eve"}.get(text, PASSWORD)
    )
    assert run("login", door.url, asks=True).code == 0
    assert [text for text, _ in asked] == ["User", "Password"]
    assert asked[1][1]["hide_input"] is True
    assert door.asked("POST", "/login")[0].body["user"] == "eve"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--password", "-"],
        ["--user", "a", "--password", PASSWORD],
        ["--token", "ap_literal"],
        ["--token", "-", "--user", "a"],
    ],
)
def test_login_is_refused_without_a_safe_way_to_the_secret(run, door, arguments):
    """No terminal, half a credential, or a literal secret: exit 2, and nothing is repeated."""
    ended = run("login", door.url, *arguments, stdin="x")
    assert (ended.code, door.requests) == (2, [])
    assert PASSWORD not in ended.err
    assert "ap_literal" not in ended.err


def write_context(path: Path, content):
    """Write a context file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def environ(tmp_path):
    """Give an environment with a user's and a state folder's context."""
    here = {"HOME": str(tmp_path), "AGENTPOD_STATE_DIR": str(tmp_path / "state")}
    servers = {"https://one.example": {"token": "ap_1"}, "https://two.example": {"token": "ap_2", "ca": "/ca.pem"}}
    write_context(target.user_context_path(here), {"current": "https://one.example", "servers": servers})
    write_context(target.state_context_path(here), {"server": "http://127.0.0.1:8700", "token": "ap_local"})
    return here


def test_the_option_wins_over_the_environment_over_the_login_over_this_machine(environ):
    """Each place is asked in its turn."""
    variables = {"AGENTPOD_SERVER": "http://env.example", "AGENTPOD_TOKEN": "ap_env"}
    found = target.find_target(environ | variables, server="http://option.example")
    assert (found.server, found.token) == ("http://option.example", "ap_env")
    found = target.find_target(environ | variables)
    assert (found.server, found.token, found.source) == ("http://env.example", "ap_env", "AGENTPOD_SERVER")
    found = target.find_target(environ)
    assert (found.server, found.token) == ("https://one.example", "ap_1")
    target.user_context_path(environ).unlink()
    found = target.find_target(environ)
    assert (found.server, found.token) == ("http://127.0.0.1:8700", "ap_local")


def test_a_token_goes_to_no_other_server_than_its_own(environ):
    """Naming another server does not hand it a token that it was never given."""
    assert target.find_target(environ, server="https://evil.example").token is None
    found = target.find_target(environ, server="https://two.example/")
    assert (found.token, found.ca) == ("ap_2", "/ca.pem")
    assert target.find_target(environ, server="127.0.0.1:8700").token == "ap_local"


def test_neither_repr_nor_text_of_a_target_holds_the_token(environ):
    """A log of ours could not leak it."""
    found = target.find_target(environ)
    assert "ap_1" not in repr(found) + str(found)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_context_file_is_named(environ, content):
    """The way out is in the message."""
    write_context(target.user_context_path(environ), content)
    with pytest.raises(CliError) as caught:
        target.find_target(environ)
    assert str(target.user_context_path(environ)) in caught.value.format_message()


def test_a_state_folder_that_may_not_be_read_is_no_server(run, tmp_path, monkeypatch):
    """Another user's platform on the same machine is not an error of ours."""

    def refuse(self, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(CliError) as caught:
        target.find_target({"HOME": str(tmp_path), "AGENTPOD_STATE_DIR": "/elsewhere"})
    assert caught.value.reason == "NoServer"


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"HOME": "/h"}, "/h/.config/agentpod/context.json"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}, "/c/agentpod/context.json"),
        ({"HOME": "/h", "AGENTPOD_CONTEXT": "/x/y.json"}, "/x/y.json"),
    ],
)
def test_the_users_context_is_where_the_user_keeps_settings(environ, path):
    """The usual variables are honoured."""
    assert str(target.user_context_path(environ)) == path
