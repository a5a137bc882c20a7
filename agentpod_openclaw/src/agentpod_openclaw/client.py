"""Talks with a gateway from outside, as a person's browser does: redeems a one-time link, or shows the pod's token.

For scripts and tests; the platform itself goes through ``gateway``. Needs the extra ``agentpod-openclaw[client]``.
Protocol: OpenClaw's gateway/protocol.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import ssl
import time
import uuid
from contextlib import ExitStack
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from agentpod_openclaw.door import SCOPES
from agentpod_openclaw.gateway import PROTOCOL
from agentpod_openclaw.seen import Seen

BROWSER = {"id": "openclaw-control-ui", "mode": "webchat"}
PROGRAM = {"id": "gateway-client", "mode": "backend"}
_BUILD = re.compile(r'data-openclaw-control-ui-build-id="([^"]+?)(?:-[0-9a-f]{64})?"')
_TIMEOUT = 20.0


class GatewayRefusedError(Exception):
    """The gateway refused; ``code`` is its own word for why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Conversation:
    """A connection to a gateway, open inside its context. ``hello`` is what it answered to the handshake.

    ``url`` is a one-time link, or a pod's address together with its ``token``. ``dial`` is the address
    to connect to where the name does not resolve; a self-signed certificate is taken. Entering raises
    GatewayRefusedError where the handshake is refused.
    """

    def __init__(self, url: str, *, token: str | None = None, dial: str | None = None) -> None:
        self._place = _Place(url, dial)
        self._grant = parse_qs(urlsplit(url).fragment).get("bootstrapToken", [""])[0]
        self._token = token
        self._opened = ExitStack()
        self.hello = Seen(None)

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self._socket = opening.enter_context(self._place.websocket())
            self.hello = self._shake_hands()
            self._opened = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def call(self, method: str, params: dict[str, Any], *, timeout: float = _TIMEOUT) -> Seen:
        """Call a method and give its payload.

        Raises:
            GatewayRefusedError: the gateway's own code.
            TimeoutError: no answer in time.
        """
        request = str(uuid.uuid4())
        self._socket.send(json.dumps({"type": "req", "id": request, "method": method, "params": params}))
        answer = self._next(lambda seen: seen.get("id", str) == request, timeout)
        if answer.get("ok", bool) is not True:
            error = answer.at("error")
            raise GatewayRefusedError(error.at("details").get("code", str) or error.get("code", str) or "UNKNOWN")
        return answer.at("payload")

    def say(self, text: str, *, timeout: float = 120.0) -> str:
        """Have one chat turn in the main session and give the agent's answer."""
        turn = str(uuid.uuid4())
        self.call("chat.send", {"sessionKey": "main", "message": text, "idempotencyKey": turn})

        def is_final(seen: Seen) -> bool:
            payload = seen.at("payload")
            return seen.get("event", str) == "chat" and payload.get("state", str) in {"final", "error", "aborted"}

        payload = self._next(is_final, timeout).at("payload")
        if payload.get("state", str) != "final":
            raise GatewayRefusedError(payload.get("errorMessage", str) or "UNKNOWN")
        parts = payload.at("message").get("content", list) or []
        return "".join(Seen(part).get("text", str) or "" for part in parts)

    def _shake_hands(self) -> Seen:
        challenge = self._next(lambda seen: seen.get("event", str) == "connect.challenge", _TIMEOUT).at("payload")
        client = BROWSER if self._grant else PROGRAM
        scopes = [f"operator.{scope}" for scope in SCOPES] if self._grant else []
        params: dict[str, Any] = {
            "minProtocol": PROTOCOL,
            "maxProtocol": PROTOCOL,
            "client": {**client, "version": "agentpod", "platform": "linux", **self._build()},
            "role": "operator",
            "scopes": scopes,
            "caps": [],
            "auth": {"bootstrapToken": self._grant} if self._grant else {"token": self._token},
        }
        if self._grant:
            params["device"] = _device(challenge, client, scopes, self._grant)
        return self.call("connect", params)

    def _build(self) -> dict[str, str]:
        """Say which build of the web interface this is: the gateway lets in none but its own."""
        found = _BUILD.search(self._place.page()) if self._grant else None
        return {"buildId": found[1]} if found else {}

    def _next(self, wanted: Any, timeout: float) -> Seen:
        deadline = time.monotonic() + timeout
        while True:
            seen = Seen.of(self._socket.recv(timeout=max(deadline - time.monotonic(), 0)))
            if wanted(seen):
                return seen


class _Place:
    """Where a gateway is reached: its public address, and what to connect to for it."""

    def __init__(self, url: str, dial: str | None) -> None:
        parts = urlsplit(url)
        self._is_tls = parts.scheme == "https"
        self._name = parts.hostname or ""
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._target = (dial or self._name, parts.port or (443 if self._is_tls else 80))

    def websocket(self) -> ClientConnection:
        return connect(
            self._origin.replace("http", "ws", 1),
            sock=socket.create_connection(self._target, timeout=_TIMEOUT),
            ssl=self._context(),
            origin=Origin(self._origin),
            proxy=None,
            max_size=32 * 1024 * 1024,
            open_timeout=_TIMEOUT,
        )

    def page(self) -> str:
        line = socket.create_connection(self._target, timeout=_TIMEOUT)
        if context := self._context():
            line = context.wrap_socket(line, server_hostname=self._name)
        host = self._origin.partition("://")[2]
        with line:
            line.sendall(f"GET / HTTP/1.0\r\nHost: {host}\r\nAccept: text/html\r\n\r\n".encode())
            return b"".join(iter(lambda: line.recv(65536), b"")).decode(errors="replace")

    def _context(self) -> ssl.SSLContext | None:
        if not self._is_tls:
            return None
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


def _device(challenge: Seen, client: dict[str, str], scopes: list[str], secret: str) -> dict[str, Any]:
    """Sign the challenge as a device that nobody has seen before."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    name = hashlib.sha256(public).hexdigest()
    nonce, at = challenge.get("nonce", str) or "", challenge.get("ts", int) or 0
    facts = (
        "v3",
        name,
        client["id"],
        client["mode"],
        "operator",
        ",".join(scopes),
        str(at),
        secret,
        nonce,
        "linux",
        "",
    )
    return {
        "id": name,
        "publicKey": _base64(public),
        "signature": _base64(key.sign("|".join(facts).encode())),
        "signedAt": at,
        "nonce": nonce,
    }


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
