"""A server that answers what it is told to, and a command line that talks to it as a user's would."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec import Struct

from agentpod_cli import cli as tree_module
from agentpod_cli import main as main_module
from agentpod_cli import translation
from agentpod_cli.app import App

TOKEN = "ap_the-token-that-nobody-may-see"
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "golden"


class Request(Struct, kw_only=True):
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Answer(Struct, kw_only=True):
    """What is sent back; ``chunks`` are sent as they are, then the line is cut."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = {}
    chunks: list[str] | None = None
    media: str = "application/json"


class FakeServer:
    """Answers each route with what it was told, in that order; the last answer stays."""

    def __init__(self):
        self.requests: list[Request] = []
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                fake.answer(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815

            def log_message(self, format, *args):  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def on(self, method, path, body=None, *, status=200, headers=None, chunks=None, media="application/json"):
        """Add the next answer of a route below the API's prefix; ``//path`` is at the root."""
        full = path[1:] if path.startswith("//") else f"/api/v1{path}"
        answer = Answer(status=status, body=body, headers=headers or {}, chunks=chunks, media=media)
        self._answers.setdefault((method, full), []).append(answer)

    def items(self, path, *items):
        """Answer a listing with these items."""
        self.on("GET", path, {"items": list(items), "next": None})

    def refuse(self, method, path, status, reason, **more):
        """Answer with a problem."""
        problem = {
            "type": f"urn:agentpod:problem:{reason}",
            "title": f"Title of {reason}",
            "status": status,
            "detail": f"Detail of {reason}.",
            "reason": reason,
            "params": {},
            "repair": None,
            "request_id": "req-1",
        }
        self.on(method, path, problem | more, status=status, media="application/problem+json")

    def answer(self, handler):
        parts = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        raw = handler.rfile.read(length)
        self.requests.append(
            Request(
                method=handler.command,
                path=parts.path.removeprefix("/api/v1"),
                query={key: values[0] for key, values in parse_qs(parts.query).items()},
                headers={key.lower(): value for key, value in handler.headers.items()},
                body=json.loads(raw) if raw else None,
            )
        )
        answers = self._answers.get((handler.command, parts.path), [])
        if not answers:
            answer = Answer(status=404, body={"title": "No such route in the test", "detail": handler.path})
        else:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        handler.send_response(answer.status)
        handler.send_header("Content-Type", answer.media)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.chunks is not None:
            handler.end_headers()
            for chunk in answer.chunks:
                handler.wfile.write(chunk.encode())
                handler.wfile.flush()
            return
        content = answer.body.encode() if isinstance(answer.body, str) else json.dumps(answer.body).encode()
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def asked(self, method, path):
        """Give the requests for one route."""
        return [one for one in self.requests if (one.method, one.path) == (method, path)]


class Ended(Struct, kw_only=True):
    """How a command line ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def server():
    """Give a fake server."""
    fake = FakeServer()
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

    def make(slug="acme", **more):
        return {
            "id": f"id-{slug}",
            "slug": slug,
            "name": slug.title(),
            "email": "",
            "wanted": "running",
            "generation": 1,
            "pods": 1,
            "created_at": "2026-02-27T12:00:00Z",
            "updated_at": "2026-02-27T12:00:00Z",
        } | more

    return make


@pytest.fixture
def make_pod():
    """Give a pod as the server shows it."""

    def make(reference="acme/support", phase="running", *, spec=None, status=None, conditions=(), **more):
        tenant, name = reference.split("/")
        return {
            "id": f"id-{tenant}-{name}",
            "tenant": tenant,
            "name": name,
            "spec": {
                "generation": 2,
                "adapter": "echo",
                "config": {"greeting": "Hello", "key": {"$secret": True}},
                "config_version": 1,
                "subdomain": f"{name}-{tenant}",
                "image": None,
                "size": None,
                "memory": None,
                "cpus": None,
                "wanted": "running",
                "restarts": 0,
            }
            | (spec or {}),
            "status": {
                "observed_generation": 2,
                "phase": phase,
                "ready": phase == "running",
                "reason": "AgentAnswers" if phase == "running" else "Waiting",
                "message": "The agent answers." if phase == "running" else f"It is {phase}.",
                "conditions": list(conditions),
                "updated_at": "2026-03-01T11:59:00Z",
            }
            | (status or {}),
            "urls": [f"http://{name}-{tenant}.localhost"],
            "created_at": "2026-02-28T12:00:00Z",
            "updated_at": "2026-02-28T12:00:00Z",
        } | more

    return make


@pytest.fixture
def make_condition():
    """Give a condition as the server shows it."""

    def make(
        kind="Ready", status=True, reason="AgentAnswers", message="The agent answers.", since="2026-03-01T11:48:00Z"
    ):
        return {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "since": since,
            "generation": 2,
        }

    return make


@pytest.fixture
def make_event():
    """Give an event as the server shows it."""

    def make(seq=1, **more):
        return {
            "seq": seq,
            "id": f"event-{seq}",
            "at": "2026-03-01T11:00:00Z",
            "tenant": "acme",
            "pod": "support",
            "kind": "pod",
            "reason": "PodReady",
            "severity": "info",
            "message": f"Event {seq}.",
            "params": {},
            "actor": "admin",
            "request_id": "req-1",
            "generation": 2,
        } | more

    return make
