"""For tests of programs that use the client: a server that answers what it is told to, and what it might answer.

A real HTTP server on loopback, so that timeouts, streams and cut lines are the real ones.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from agentpod_client.wire import PREFIX

_CREATED = "2026-02-27T12:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it arrived; ``path`` is without the API's prefix."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is sent back; ``chunks`` are sent as they are, then the line is cut."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Sequence[str] | None = None
    media: str = "application/json"


class FakeServer:
    """Answers each route with what it was told, in that order; the last answer stays.

    Takes ``requests`` down as they come. Its address is ``url``; ``close`` ends it.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                fake._answer(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def on(self, method: str, path: str, body: Any = None, **answer: Any) -> None:
        """Add the next answer of a route below the API's prefix; ``//path`` is at the root.

        ``answer`` are the other members of ``Answer``.
        """
        full = path[1:] if path.startswith("//") else f"{PREFIX}{path}"
        self._answers.setdefault((method, full), []).append(Answer(body=body, **answer))

    def items(self, path: str, *items: Any) -> None:
        """Answer a listing with these items."""
        self.on("GET", path, {"items": list(items), "next": None})

    def refuse(self, method: str, path: str, status: int, reason: str, **more: Any) -> None:
        """Answer with a problem."""
        headers = more.pop("headers", {})
        body = problem(status, reason, **more)
        self.on(method, path, body, status=status, media="application/problem+json", headers=headers)

    def asked(self, method: str, path: str) -> list[Request]:
        """Give the requests for one route."""
        return [one for one in self.requests if (one.method, one.path) == (method, path)]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.requests.append(
            Request(
                method=handler.command,
                path=parts.path.removeprefix(PREFIX),
                query={key: values[0] for key, values in parse_qs(parts.query).items()},
                headers={key.lower(): value for key, value in handler.headers.items()},
                body=json.loads(raw) if raw else None,
            )
        )
        answers = self._answers.get((handler.command, parts.path), [])
        nothing = Answer(status=404, body={"title": "No such route in the test", "detail": handler.path})
        answer = nothing if not answers else answers.pop(0) if len(answers) > 1 else answers[0]
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


def problem(status: int, reason: str, **more: Any) -> dict[str, Any]:
    """Give a refusal as a server words it."""
    return {
        "type": f"urn:agentpod:problem:{reason}",
        "title": f"Title of {reason}",
        "status": status,
        "detail": f"Detail of {reason}.",
        "instance": "/",
        "reason": reason,
        "params": {},
        "repair": None,
        "request_id": "req-1",
    } | more


def a_tenant(slug: str = "acme", **more: Any) -> dict[str, Any]:
    """Give a tenant as a server shows it."""
    return {
        "id": f"id-{slug}",
        "slug": slug,
        "name": slug.title(),
        "email": "",
        "wanted": "running",
        "generation": 1,
        "pods": 1,
        "created_at": _CREATED,
        "updated_at": _CREATED,
    } | more


def a_pod(
    reference: str = "acme/support",
    phase: str = "running",
    *,
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    conditions: Sequence[Mapping[str, Any]] = (),
    **more: Any,
) -> dict[str, Any]:
    """Give a pod as a server shows it; ``spec`` and ``status`` are laid over."""
    tenant, name = reference.split("/")
    asked = {
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
    seen = {
        "observed_generation": 2,
        "phase": phase,
        "ready": phase == "running",
        "reason": "AgentAnswers" if phase == "running" else "Waiting",
        "message": "The agent answers." if phase == "running" else f"It is {phase}.",
        "repair": None,
        "conditions": list(conditions),
        "updated_at": "2026-03-01T11:59:00Z",
    }
    return {
        "id": f"id-{tenant}-{name}",
        "tenant": tenant,
        "name": name,
        "spec": asked | dict(spec or {}),
        "status": seen | dict(status or {}),
        "urls": [f"http://{name}-{tenant}.localhost"],
        "created_at": "2026-02-28T12:00:00Z",
        "updated_at": "2026-02-28T12:00:00Z",
    } | more


def a_health(**more: Any) -> dict[str, Any]:
    """Give the health of an agent that is well."""
    probe = {"name": "http", "interval": 10.0, "timeout": 5.0, "failures": 3}
    return {
        "tenant": "acme",
        "pod": "support",
        "phase": "running",
        "well": True,
        "alive": True,
        "ready": True,
        "reason": "Answering",
        "message": "It answers.",
        "since": "2026-03-01T11:00:00Z",
        "probe": probe | {"start_interval": 0.5, "start_deadline": 60.0},
        "asked_here": True,
        "seconds": 0.02,
        "checked_at": "2026-03-01T11:59:50Z",
        "next_at": "2026-03-01T12:00:03Z",
        "failures": 0,
        "silences": 0,
        "waited": 4.2,
        "memory": {"used": 300 * 2**20, "limit": 2**31, "growth": 0, "full_in": None},
    } | more


def a_condition(
    kind: str = "Ready",
    status: bool | None = True,  # noqa: FBT001, FBT002 - true, false or unknown is what a condition says
    reason: str = "AgentAnswers",
    message: str = "The agent answers.",
    since: str = "2026-03-01T11:48:00Z",
) -> dict[str, Any]:
    """Give a condition as a server shows it."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "since": since,
        "generation": 2,
    }


def an_event(seq: int = 1, **more: Any) -> dict[str, Any]:
    """Give an event as a server shows it."""
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


def an_operation(status: str = "running", **more: Any) -> dict[str, Any]:
    """Give an operation as a server shows it."""
    return {
        "id": "op-1",
        "kind": "image-build",
        "target": "echo",
        "tenant": None,
        "status": status,
        "progress": {"percent": None, "line": "Pulling"},
        "error": None,
        "result": {},
        "created_by": "admin",
        "created_at": _CREATED,
        "updated_at": _CREATED,
    } | more
