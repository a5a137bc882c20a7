"""The agent's routes and its boot."""

from __future__ import annotations

import asyncio
import hmac
import html
import json
import os
import socket
import sys
from collections.abc import Callable

from . import VERSION
from .controls import Controls, burn
from .memory import Memory
from .model import Model, fault
from .server import Closed, Request, Response, Server, Socket, answer
from .settings import Settings

MAX_NOTE = 4096
TOKEN_WAIT = 10.0
"""Seconds in which a WebSocket that showed no token must send one."""

Route = Callable[[Request], Response]


def _beside(name: str) -> bytes:
    # Neither pathlib nor importlib.resources: they would cost a tenth of the start time.
    with open(os.path.join(os.path.dirname(__file__), name), "rb") as file:  # noqa: PTH118, PTH120, PTH123
        return file.read()


_PAGE = _beside("page.html").decode()
_SCRIPT = _beside("page.js")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; base-uri 'none'"


def shows(request: Request, secret: str) -> bool:
    """Say whether the request carries that secret as bearer token; takes as long for any wrong one."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(), secret.encode())
    return same and scheme.lower() == "bearer"


class Agent:
    """Everything the agent answers."""

    def __init__(self, settings: Settings, memory: Memory, name: str, tenant: str) -> None:
        self._settings, self._memory, self._name, self._tenant = settings, memory, name, tenant
        self._model = Model(settings, memory.use)
        self._controls = Controls()
        self._is_ready = False
        self._always: dict[tuple[str, str], Route] = {
            ("GET", "/healthz"): self._health,
            ("GET", "/readyz"): self._ready,
            ("GET", "/whoami"): self._whoami,
            ("GET", "/notes"): lambda _: answer({"items": memory.notes()}),
            ("POST", "/notes"): self._note,
            ("GET", "/usage"): self._usage,
        }
        self._web: dict[tuple[str, str], Route] = {
            ("GET", "/"): self._page,
            ("GET", "/page.js"): lambda _: Response(body=_SCRIPT, type="text/javascript; charset=utf-8"),
            ("GET", "/ws"): self._upgrade,
        }
        self.server = Server(self.handle)

    async def boot(self) -> None:
        """Take as long, and work as hard, as the config says; ready afterwards."""
        await burn(self._settings.boot_burn)
        await asyncio.sleep(self._settings.boot_seconds)
        self._is_ready = True
        _say("ready")

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        speaks = self._settings.channel
        if request.path.startswith("/v1/") and speaks != "web":
            return self._complete(request)
        if request.path.startswith("/admin/") and request.method == "POST":
            if not shows(request, self._settings.token):
                return _refusal()
            return self._controls.obey(request.path.removeprefix("/admin/"), request)
        route = self._always.get((request.method, request.path))
        if route is None and speaks != "model":
            route = self._web.get((request.method, request.path))
        return answer({"error": "not found"}, 404) if route is None else route(request)

    def _health(self, _: Request) -> Response:
        facts = {
            "ok": True,
            "ready": self._is_ready,
            "version": VERSION,
            "model": self._settings.model,
            "channel": self._settings.channel,
            "conversations": self.server.conversations,
        }
        return answer(facts)

    def _ready(self, _: Request) -> Response:
        return answer({"ready": self._is_ready}, 200 if self._is_ready else 503)

    def _usage(self, request: Request) -> Response:
        return answer({"items": self._memory.usage()}) if shows(request, self._settings.token) else _refusal()

    def _whoami(self, request: Request) -> Response:
        self._memory.count("visits")
        facts = {
            "name": self._name,
            "tenant": self._tenant,
            "hostname": socket.gethostname(),
            "address": request.local,
            "peer": request.peer,
            "host": request.headers.get("host", ""),
            "forwarded": {key: value for key, value in request.headers.items() if key.startswith("x-forwarded-")},
            "config": {
                "greeting": self._settings.greeting(),
                "channel": self._settings.channel,
                "model": self._settings.model,
                "reply": self._settings.reply,
            },
            **self._memory.counters(),
        }
        return answer(facts)

    def _note(self, request: Request) -> Response:
        text = str(request.json().get("text", ""))
        if not 0 < len(text) <= MAX_NOTE:
            return answer({"error": f"text must have 1 to {MAX_NOTE} characters"}, 400)
        return answer({"kept": self._memory.note(text)}, 201)

    def _complete(self, request: Request) -> Response:
        if self._settings.api_key is not None and not shows(request, self._settings.api_key):
            return fault(401, "invalid_api_key", "the API key is wrong")
        match request.method, request.path:
            case "GET", "/v1/models":
                return self._model.models()
            case "POST", "/v1/chat/completions":
                return self._model.complete(request)
        return fault(404, "invalid_request_error", "no such endpoint")

    def _page(self, _: Request) -> Response:
        page = _PAGE
        for key, value in {"name": self._name, "greeting": self._settings.greeting()}.items():
            page = page.replace(f"{{{{{key}}}}}", html.escape(value))
        policy = {"content-security-policy": _POLICY}
        return Response(body=page.encode(), type="text/html; charset=utf-8", headers=policy)

    def _upgrade(self, request: Request) -> Response:
        if not request.wants_websocket:
            return answer({"error": "this is a WebSocket"}, 426, upgrade="websocket")
        is_known = shows(request, self._settings.token)
        if not is_known and "authorization" in request.headers:
            return _refusal()

        async def talk(peer: Socket) -> None:
            if is_known or await self._introduced(peer):
                await self._echo(peer)
            else:
                await peer.close(4401, "wrong token")

        return Response(talk=talk)

    async def _introduced(self, peer: Socket) -> bool:
        """Wait for ``{"token": …}``: a browser cannot set a header, and a token never goes into a URL."""
        try:
            async with asyncio.timeout(TOKEN_WAIT):
                first = json.loads(await peer.receive())
        except (TimeoutError, ValueError):
            return False
        given = first.get("token") if isinstance(first, dict) else None
        return hmac.compare_digest(str(given or "").encode(), self._settings.token.encode())

    async def _echo(self, peer: Socket) -> None:
        hello = {"type": "hello", "pod": self._name, "tenant": self._tenant, "greeting": self._settings.greeting()}
        await peer.send(json.dumps(hello))
        try:
            while True:
                await peer.send(await peer.receive())
        except Closed:
            return


def _refusal() -> Response:
    return answer({"error": "a valid bearer token is needed"}, 401, **{"www-authenticate": "Bearer"})


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def run(settings: Settings, memory: Memory, host: str, port: int, stopping: asyncio.Event) -> None:
    """Serve until ``stopping`` is set."""
    agent = Agent(settings, memory, os.environ.get("ECHO_POD", "echo"), os.environ.get("ECHO_TENANT", ""))
    memory.count("starts")
    bound = await agent.server.listen(host, port)
    _say(f"listening on {host}:{bound}")
    booting = asyncio.get_running_loop().create_task(agent.boot())
    await stopping.wait()
    booting.cancel()
    await agent.server.close()
    _say("stopped")
