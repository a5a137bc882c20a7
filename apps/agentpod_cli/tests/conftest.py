"""A command line that talks to a server, which answers what it is told to, as a user's would."""

from __future__ import annotations

import io
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import Struct

from agentpod_cli import cli as tree_module
from agentpod_cli import main as main_module
from agentpod_cli import translation
from agentpod_cli.app import App
from agentpod_client import testing

TOKEN = "ap_the-token-that-nobody-may-see"
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "golden"


class Ended(Struct, kw_only=True):
    """How a command line ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def server():
    """Give a fake server."""
    fake = testing.FakeServer()
    yield fake
    fake.close()


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch, tmp_path):
    """No test sees this machine's servers, language, time zone or proxy."""
    for name in ("AGENTPOD_SERVER", "AGENTPOD_TOKEN", "AGENTPOD_CA", "AGENTPOD_CONTEXT", "AGENTPOD_DEBUG", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("LC_ALL", "LC_MESSAGES", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "XDG_CONFIG_HOME", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("AGENTPOD_LANG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AGENTPOD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "80")
    time.tzset()
    helps = [(one, one.help) for one in translation.tree(tree_module.cli)]
    options = [(one, one.help) for command, _ in helps for one in translation.options(command)]
    yield
    for one, text in (*helps, *options):
        one.help = text
    for one in translation.tree(tree_module.cli):
        # Made, in the language of that moment, when help is first asked for.
        one._help_option = None


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command line with no server given."""

    def call(*arguments, stdin="", terminal=False, asks=False, **environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        app = App(terminal=terminal, asks=asks, now=lambda: NOW)
        capsys.readouterr()
        code = main_module.run([str(one) for one in arguments], app)
        app.close()
        out, err = capsys.readouterr()
        return Ended(code=code, out=out, err=err)

    return call


@pytest.fixture
def agentpod(run, server, monkeypatch):
    """Run a command line against the fake server."""
    monkeypatch.setenv("AGENTPOD_SERVER", server.url)
    monkeypatch.setenv("AGENTPOD_TOKEN", TOKEN)
    return run


@pytest.fixture
def token():
    """Give the token that every request carries."""
    return TOKEN


@pytest.fixture
def golden():
    """Compare a text with the file of that name; AGENTPOD_WRITE_GOLDEN=1 in the environment writes it instead."""

    def compare(name, actual):
        path = GOLDEN / name
        if os.environ.get("AGENTPOD_WRITE_GOLDEN"):
            path.write_text(actual, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == actual

    return compare


@pytest.fixture
def make_tenant():
    """Give a tenant as the server shows it."""
    return testing.a_tenant


@pytest.fixture
def make_pod():
    """Give a pod as the server shows it."""
    return testing.a_pod


@pytest.fixture
def make_condition():
    """Give a condition as the server shows it."""
    return testing.a_condition


@pytest.fixture
def make_health():
    """Give an agent's health as the server shows it."""
    return testing.a_health


@pytest.fixture
def make_operation():
    """Give an operation as the server shows it."""
    return testing.an_operation


@pytest.fixture
def make_event():
    """Give an event as the server shows it."""
    return testing.an_event
