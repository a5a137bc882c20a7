"""Shows AgentPod's main job on this machine: a customer's OpenClaw from nothing to its first answer.

Everything but the chat turn goes through the command line, as an operator would do it. Run again while
the platform runs, it makes nothing twice and prints where things are. ``DEMO_PROVIDER``, ``DEMO_MODEL``
and ``DEMO_API_KEY`` give the agent a real model, ``DEMO_DOMAIN`` HTTPS addresses below that domain.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException

from agentpod_openclaw.client import Conversation, GatewayRefusedError

BIN = Path(sys.executable).parent / "agentpod"
LOG = Path(sys.prefix) / "demo-server.log"
TENANT, AGENT, MODEL = "acme", "acme/support", "acme/model"
QUESTION = "Hello! Who are you?"
SCRIPT = (
    "Hello! I am Acme's support agent, and everything between you and me is real. "
    "My words come from a script on this machine; give me a model and I will think for myself."
)
SOUL = "You are the support agent of Acme Ltd. You are friendly and brief."
UP_SECONDS, READY_SECONDS = 120, 180
NOT_FOUND = 3
USUAL_PORTS = {"http": 80, "https": 443}


class Server:
    """A platform that this run started: its output goes to a file, what it said first is kept."""

    def __init__(self) -> None:
        domain = os.environ.get("DEMO_DOMAIN")
        kept = {name: value for name, value in os.environ.items() if name != "DEMO_API_KEY"}
        env = kept | {"PYTHONUNBUFFERED": "1"} | ({"AGENTPOD_DOMAIN": domain} if domain else {})
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [BIN, "up"],
            env=env,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C reaches this script alone, which passes it on once.
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def wait_until_up(self) -> None:
        """Return when the command line reaches it."""
        deadline = time.monotonic() + UP_SECONDS
        while not is_up():
            if self.process.poll() is not None or time.monotonic() > deadline:
                time.sleep(0.2)
                fail("The platform did not start:\n" + "\n".join(self.said[-15:]))
            time.sleep(0.3)

    def login(self) -> str | None:
        """Give name and password, if this start made them."""
        lines = (line.split("login", 1)[1] for line in self.said if line.strip().startswith("login "))
        return next((line.split("(")[0].strip() for line in lines), None)

    def end(self) -> None:
        """Stop it, as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def _read(self) -> None:
        with LOG.open("w", buffering=1) as log:
            for line in self.process.stdout or ():
                self.said.append(line.rstrip())
                if not line.strip().startswith("login "):
                    log.write(line)


def main() -> int:
    """Bring everything up, show it, and stay if the platform is this run's own."""
    began = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    server = None if is_up() else Server()
    try:
        if server is not None:
            say("Starting the platform")
            server.wait_until_up()
        has_model = bool(os.environ.get("DEMO_API_KEY"))
        make(has_model=has_model)
        show(server, time.monotonic() - began)
        if server is None:
            return 0
        return server.process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        if server is not None:
            with contextlib.suppress(KeyboardInterrupt):
                server.end()


def make(*, has_model: bool) -> None:
    """Make images, tenant and pods, as far as they are not there."""
    say("Building the images (the first time takes a few minutes)")
    agentpod("image", "build", "openclaw")
    if find("tenant", TENANT) is None:
        say(f"Creating tenant {TENANT}")
        agentpod("tenant", "create", TENANT, "--name", "Acme Ltd")
    if find("pod", AGENT) is None and not has_model:
        agentpod("image", "build", "echo")
        if find("pod", MODEL) is None:
            say(f"Creating {MODEL}, the scripted model")
            agentpod("pod", "create", MODEL, "--adapter", "echo", "--set", f"reply={SCRIPT}")
    if find("pod", AGENT) is None:
        say(f"Creating {AGENT}, a real OpenClaw")
        agentpod("pod", "create", AGENT, "--adapter", "openclaw", *model_options(has_model=has_model),
                 "--set", "agent_name=Ada", "--set", f"soul={SOUL}", "--timeout", "180s")  # fmt: skip
    elif (find("pod", AGENT) or {})["spec"]["wanted"] == "stopped":
        agentpod("pod", "start", AGENT)
    wait_until_ready()


def model_options(*, has_model: bool) -> list[str]:
    """Say which model the agent thinks with."""
    if not has_model:
        wanted = ["provider=openai-compatible", "model=scripted-1", "base_url=http://model-acme:8080/v1"]
        return [part for one in wanted for part in ("--set", one)]
    try:
        wanted = [f"provider={os.environ['DEMO_PROVIDER']}", f"model={os.environ['DEMO_MODEL']}"]
    except KeyError as error:
        fail(f"DEMO_API_KEY needs {error.args[0]} beside it, for example anthropic and claude-sonnet-4-5.")
    options = [part for one in wanted for part in ("--set", one)]
    if address := os.environ.get("DEMO_BASE_URL"):
        options += ["--set", f"base_url={address}"]
    return [*options, "--secret", "api_key=env:DEMO_API_KEY"]


def wait_until_ready() -> None:
    """Return when the agent answers its probe; at once where this run made it."""
    deadline = time.monotonic() + READY_SECONDS
    while not (pod := find("pod", AGENT) or {})["status"]["ready"]:
        if time.monotonic() > deadline:
            fail(f"{AGENT} is not ready: {pod['status']['message']} See: agentpod pod status {AGENT}")
        time.sleep(1)


def show(server: Server | None, seconds: float) -> None:
    """Have one chat turn through the public address, and print it and where everything is."""
    pod = find("pod", AGENT) or fail(f"{AGENT} is gone.")
    origin = pod["urls"][0]
    asked = time.monotonic()
    reply = chat()
    answered = time.monotonic() - asked
    is_scripted = find("pod", MODEL) is not None and pod["spec"]["config"].get("provider") == "openai-compatible"
    ready = seconds_to_ready()
    login = server.login() if server else None
    print(f"\n  You    {QUESTION}\n  Agent  {reply}\n")
    if is_scripted:
        print(f"  This came from the scripted model on this machine. For a real one: agentpod pod delete {AGENT}, then")
        print("  DEMO_PROVIDER=anthropic DEMO_MODEL=claude-sonnet-4-5 DEMO_API_KEY=… make demo\n")
    if ready is not None:
        print(f"  {AGENT} was ready {ready:.1f} s after its request was accepted; the chat turn took {answered:.1f} s,")
        print(f"  all of this run {seconds:.0f} s.\n")
    print(f"  dashboard  {origin.replace('://support-acme.', '://agentpod.')}/")
    if login:
        print(f"  login      {login}    (shown this once)")
    print(f"  the agent  {origin}/")
    print(f"  its door   {link()}")
    print(f"             (lets one browser in, once, for ten minutes; another: agentpod pod open {AGENT})")
    show_way(origin)
    if server is not None:
        print(f"\n  Ctrl-C stops the server; pods and their addresses stay. Its log: {LOG}\n")


def show_way(origin: str) -> None:
    """Say how a browser elsewhere gets here."""
    parts = urlsplit(origin)
    port = parts.port or USUAL_PORTS[parts.scheme]
    if (parts.hostname or "").endswith(".localhost"):
        who = os.environ.get("SUDO_USER") or getpass.getuser()
        print("\n  From another machine, open a tunnel first and use the same addresses there:")
        print(f"  ssh -L {port}:127.0.0.1:{port} {who}@{own_address()}")
    else:
        domain = (parts.hostname or "").partition(".")[2]
        print(f"\n  *.{domain} has to lead to {own_address()}; browsers will warn of the self-signed certificate.")


def chat() -> str:
    """Redeem a link of its own as a browser would, and ask the agent something."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with Conversation(link(), dial="127.0.0.1") as conversation:
                return conversation.say(QUESTION)
        except GatewayRefusedError as error:
            fail(f"The agent's gateway refused: {error.code}")
        except (OSError, WebSocketException) as error:
            if time.monotonic() > deadline:
                fail(f"The agent's address does not answer: {error}")
            time.sleep(1)


def link() -> str:
    """Give a fresh one-time link."""
    return captured("pod", "open", AGENT).stdout.split()[0]


def seconds_to_ready() -> float | None:
    """Say how long the agent took from the accepted request until it answered; None where that is forgotten."""
    events: list[dict[str, Any]] = json.loads(captured("pod", "events", AGENT, "-o", "json").stdout)
    at = {event["reason"]: datetime.fromisoformat(event["at"]) for event in reversed(events)}
    if not {"PodCreated", "Running"} <= at.keys():
        return None
    return (at["Running"] - at["PodCreated"]).total_seconds()


def own_address() -> str:
    """Give the address of this machine as others see it."""
    if seen := os.environ.get("SSH_CONNECTION"):
        return seen.split()[2]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent; the kernel says from where it would be.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "THIS-MACHINE"
        return str(probe.getsockname()[0])


def is_up() -> bool:
    """Say whether the command line reaches a platform."""
    return captured("tenant", "list", "-o", "name", check=False).returncode == 0


def find(kind: str, name: str) -> dict[str, Any] | None:
    """Give a tenant or pod; None where there is none."""
    done = captured(kind, "get", name, "-o", "json", check=False)
    if done.returncode == NOT_FOUND:
        return None
    if done.returncode != 0:
        fail(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def agentpod(*args: str) -> None:
    """Run the command line, its output on the terminal."""
    done = subprocess.run([BIN, *args], check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        fail(f"agentpod {args[0]} {args[1]} {args[2]} failed.")


def captured(*args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command line for what it says."""
    done = subprocess.run([BIN, *args], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        fail(done.stderr)
    return done


def say(what: str) -> None:
    """Announce a step."""
    print(f"\n== {what}", flush=True)


def fail(why: str) -> NoReturn:
    """End, saying why."""
    sys.exit(f"\nThe demo cannot go on. {why.strip()}")


if __name__ == "__main__":
    sys.exit(main())
