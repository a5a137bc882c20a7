"""``make demo``: a customer's agent from nothing, by the command line alone, and one real conversation with it.

Starts the platform on its defaults and stays in the foreground; Ctrl-C stops the server, pods and
routes go on. Run again while it runs, it prints the addresses and changes nothing.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import ClientConnection, connect

BIN = Path(sys.executable).parent
TENANT, AGENT, MODEL = "acme", "acme/support", "acme/model"
QUESTION = "Hello! Who are you, in one sentence?"
SCOPES = (
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
    "operator.questions",
    "operator.read",
    "operator.talk.secrets",
    "operator.write",
)
"""What a one-time link of the owner's grants; the handoff refuses a client that asks for less."""

CLIENT = ("openclaw-control-ui", "webchat")
BUILD = re.compile(r'data-openclaw-control-ui-build-id="([^"]+?)(?:-[0-9a-f]{64})?"')
PATIENCE = 180


class DemoError(Exception):
    """The demo cannot go on; what was printed says why."""


def main() -> int:
    """Run the demo; gives the exit code."""
    environment = {"AGENTPOD_LOG_LEVEL": "warning", **os.environ}
    if domain := os.environ.get("DEMO_DOMAIN"):
        environment["AGENTPOD_DOMAIN"] = domain
    demo = Demo(environment)
    try:
        if demo.is_up():
            demo.tell()
            return 0
        return demo.run()
    except DemoError as error:
        sys.stderr.write(f"{error}\n")
        return 1


class Demo:
    """The demo on one machine."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.server: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Start the platform, make the customer, talk, and wait for Ctrl-C."""
        self.server = subprocess.Popen([BIN / "agentpod", "up"], env=self.environment)
        try:
            self.wait_for_server()
            self.make_customer()
            self.talk()
            self.tell()
            sys.stdout.write("\nThe platform runs in this terminal. Ctrl-C stops the server; pods and routes go on.\n")
            sys.stdout.flush()
            return self.server.wait()
        except KeyboardInterrupt:
            return self.server.wait()
        finally:
            if self.server.poll() is None:
                self.server.terminate()
                self.server.wait()

    def is_up(self) -> bool:
        """Say whether the platform of this machine answers already."""
        return self.agentpod("health", check=False).returncode == 0

    def wait_for_server(self) -> None:
        """Return once the server is ready; it says itself why it is not."""
        server = self.server
        while server is not None and not self.is_up():
            if server.poll() is not None:
                raise DemoError("The server did not start; the lines above say why.")
            time.sleep(0.2)

    def make_customer(self) -> None:
        """Make images, tenant and pods; what is there already stays as it is."""
        key = self.environment.get("DEMO_API_KEY")
        for adapter in ("openclaw", *(() if key else ("echo",))):
            say(f"image of {adapter}: pulled, or built once from Debian's and npm's packages (a few minutes)")
            self.agentpod("image", "build", adapter)
        self.agentpod("tenant", "create", TENANT, "--name", "Acme Ltd")
        common = ["--set", "agent_name=Ada", "--set", "soul=You are Ada, the support agent of Acme Ltd. You are brief."]
        if key:
            provider = self.environment.get("DEMO_PROVIDER", "anthropic")
            model = self.environment.get("DEMO_MODEL", "claude-sonnet-4-5")
            settings = [
                "--set",
                f"provider={provider}",
                "--set",
                f"model={model}",
                "--secret",
                "api_key=env:DEMO_API_KEY",
            ]
        else:
            say("no DEMO_API_KEY: the agent will answer from a scripted model on this machine")
            script = "I am Ada, the scripted voice of this demo. Give me DEMO_API_KEY and I will think for myself."
            self.agentpod("pod", "create", MODEL, "--adapter", "echo", "--set", f"reply={script}")
            host = f"{MODEL.partition('/')[2]}-{TENANT}"
            settings = ["--set", "provider=openai-compatible", "--set", "model=scripted-1"]
            settings += ["--set", f"base_url=http://{host}:8080/v1"]
        say(f"pod {AGENT}: OpenClaw")
        begun = time.monotonic()
        self.agentpod(
            "pod", "create", AGENT, "--adapter", "openclaw", *settings, *common, "--timeout", str(PATIENCE), shown=True
        )
        say(f"accepted to ready: {time.monotonic() - begun:.1f} s")

    def talk(self) -> None:
        """Have one conversation through the public address, let in by a one-time link as a browser would be."""
        link = self.agentpod("pod", "open", AGENT).stdout.strip().splitlines()[0]
        begun = time.monotonic()
        answer = asyncio.run(conversation(link, QUESTION))
        say(f"{QUESTION}")
        say(f"  {answer}   ({time.monotonic() - begun:.1f} s, through {origin(link)})")

    def tell(self) -> None:
        """Print where everything is."""
        pod = json.loads(self.agentpod("pod", "get", AGENT, "-o", "json", check=False).stdout or "{}")
        urls = pod.get("urls") or []
        lines = ["", "AgentPod is up."]
        if urls:
            parts = urlsplit(urls[0])
            domain = (parts.hostname or "").partition(".")[2]
            port = f":{parts.port}" if parts.port else ""
            lines.append(
                f"  dashboard      {parts.scheme}://agentpod.{domain}{port}/   (login: admin, with the password of the first start)"
            )
            lines.append(f"  {AGENT}   {urls[0]}")
            link = self.agentpod("pod", "open", AGENT, check=False).stdout.strip()
            if link:
                lines.append(f"  let a browser in, once:   {link.splitlines()[0]}")
            if domain == "localhost":
                local = parts.port or 80
                lines.append("  from your own machine, with these names as they are:")
                lines.append(f"    ssh -L {local}:127.0.0.1:{local} root@{address_of_this_machine()}")
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    def agentpod(self, *args: str, check: bool = True, shown: bool = False) -> subprocess.CompletedProcess[str]:
        """Run the command line; its own words are shown when it fails."""
        out = None if shown else subprocess.PIPE
        done = subprocess.run(
            [BIN / "agentpod", *args], env=self.environment, text=True, stdout=out, stderr=out, check=False
        )
        if check and done.returncode != 0:
            raise DemoError(f"agentpod {' '.join(args[:3])} failed:\n{(done.stdout or '') + (done.stderr or '')}")
        return done


def say(line: str) -> None:
    """Print one line of progress."""
    sys.stdout.write(f"» {line}\n")
    sys.stdout.flush()


def origin(link: str) -> str:
    """Give the public address of a link, without what lets in."""
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc}"


def address_of_this_machine() -> str:
    """Give the address by which others reach this machine; nothing is sent to find it."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return socket.gethostname()


async def conversation(link: str, question: str) -> str:
    """Redeem a one-time link with a device identity of its own, ask, and give the final answer.

    Does what the web interface does (OpenClaw's docs: gateway/protocol, web/dashboard): an Ed25519
    key signs the gateway's challenge, and the link's single-use token is bound to that key.
    """
    parts = urlsplit(link)
    token = parse_qs(parts.fragment)["bootstrapToken"][0]
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    context = None
    if secure:
        context = ssl.create_default_context()
        # The demo's certificate is its own; what is shown here is the way, not who vouches for it.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with httpx.AsyncClient(verify=context or False, trust_env=False, timeout=30) as client:
        page = await client.get(
            f"{parts.scheme}://127.0.0.1:{port}/",
            headers={"Host": parts.netloc},
            extensions={"sni_hostname": parts.hostname},
        )
    build = BUILD.search(page.text)
    if build is None:
        raise DemoError(f"{origin(link)} does not show OpenClaw's page (status {page.status_code}).")
    url = f"{'wss' if secure else 'ws'}://{parts.netloc}/"
    # Dialled by address: not every resolver knows that *.localhost is this machine.
    async with connect(
        url, host="127.0.0.1", port=port, ssl=context, origin=origin(link), max_size=30_000_000, proxy=None
    ) as line:
        challenge = (await event(line, "connect.challenge"))["payload"]
        await call(line, "connect", introduction(token, challenge, build[1]))
        asked = {"sessionKey": "main", "message": question, "idempotencyKey": str(uuid.uuid4())}
        await call(line, "chat.send", asked)
        while True:
            chat = (await event(line, "chat"))["payload"]
            if chat.get("state") == "final":
                return words(chat.get("message"))
            if chat.get("state") in {"error", "aborted"}:
                raise DemoError(f"The agent did not answer: {chat.get('errorMessage') or chat['state']}")


def introduction(token: str, challenge: dict[str, Any], build: str) -> dict[str, Any]:
    """Introduce this client: who it is, what it asks for, and its signature of the challenge."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    device = hashlib.sha256(public).hexdigest()
    signed_at, nonce = challenge["ts"], challenge["nonce"]
    claim = f"v3|{device}|{CLIENT[0]}|{CLIENT[1]}|operator|{','.join(SCOPES)}|{signed_at}|{token}|{nonce}|linux|"
    return {
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": {"id": CLIENT[0], "version": "demo", "buildId": build, "platform": "linux", "mode": CLIENT[1]},
        "role": "operator",
        "scopes": list(SCOPES),
        "caps": [],
        "auth": {"bootstrapToken": token},
        "device": {
            "id": device,
            "publicKey": encoded(public),
            "signature": encoded(key.sign(claim.encode())),
            "signedAt": signed_at,
            "nonce": nonce,
        },
    }


def encoded(data: bytes) -> str:
    """Write bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def event(line: ClientConnection, name: str) -> dict[str, Any]:
    """Wait for the next event of that name."""
    while True:
        message = json.loads(await asyncio.wait_for(line.recv(), PATIENCE))
        if message.get("type") == "event" and message.get("event") == name:
            return dict(message)


async def call(line: ClientConnection, method: str, params: dict[str, Any]) -> Any:
    """Make one request and give its payload."""
    request = str(uuid.uuid4())
    await line.send(json.dumps({"type": "req", "id": request, "method": method, "params": params}))
    while True:
        message = json.loads(await asyncio.wait_for(line.recv(), PATIENCE))
        if message.get("id") == request:
            if not message.get("ok"):
                raise DemoError(f"The gateway refused {method}: {message.get('error', {}).get('message')}")
            return message.get("payload")


def words(message: Any) -> str:
    """Give the text of a chat message."""
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict)).strip()
    return str(content)


if __name__ == "__main__":
    sys.exit(main())
