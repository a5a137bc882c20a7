"""A whole platform on the real machine, driven as its users drive it: by the command line and by its addresses.

State folder, ports, network range and instance are its own; what it made is swept by label at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from private_engine import PrivateEngine

BIN = Path(sys.executable).parent


def wait_for(condition: Callable[[], object], *, seconds: float, what: str) -> object:
    """Wait until a condition gives something, or fail saying what did not happen."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(httpx.HTTPError, OSError):
            if value := condition():
                return value
        if time.monotonic() > deadline:
            pytest.fail(f"within {seconds:g} s: {what}")
        time.sleep(0.05)


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Platform:
    """One platform: start it, stop it, and talk with it. With an ``engine`` of its own it lives where that does."""

    def __init__(
        self, state: Path, *, network: str, extra: dict[str, str] | None = None, engine: PrivateEngine | None = None
    ) -> None:
        self.state = state
        self.engine = engine
        self.enter = engine.enter if engine else []
        self.http = free_port()
        self.port = free_port()
        kept = {key: value for key, value in os.environ.items() if not key.startswith("AGENTPOD_")}
        self.env = {
            **kept,
            "AGENTPOD_STATE_DIR": str(state),
            "AGENTPOD_PORT": str(self.port),
            "AGENTPOD_NETWORK_RANGE": network,
            "AGENTPOD_TIME_SCALE": "0.2",
            "AGENTPOD_ROUTER_TRAEFIK_HTTP": str(self.http),
            "AGENTPOD_ROUTER_TRAEFIK_PING": str(free_port()),
            "LC_ALL": "C.UTF-8",
            **({"AGENTPOD_RUNTIME_DOCKER_URL": engine.url, "DOCKER_HOST": engine.url} if engine else {}),
            **(extra or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.bin = BIN

    @property
    def log(self) -> str:
        return (self.state.parent / "server.log").read_text(errors="replace")

    @property
    def instance(self) -> str:
        return (self.state / "instance").read_text().strip()

    def up(self, *, status: int = 200, verb: str = "up") -> None:
        """Start the server and wait until ``/readyz`` answers so: 200 for a server that is ready."""
        with (self.state.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.enter, self.bin / "agentpod", verb],
                env=self.env,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        process = self.process

        def ready() -> bool:
            if process.poll() is not None:
                pytest.fail(f"the server ended with {process.returncode}:\n{self.log[-4000:]}")
            return self.call(httpx.get, f"http://127.0.0.1:{self.port}/readyz", timeout=2).status_code == status

        wait_for(ready, seconds=60, what=f"the server is ready\n{self.log[-4000:]}")

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function where the platform's addresses are."""
        return self.engine.call(function, *args, **kwargs) if self.engine else function(*args, **kwargs)

    def end(self, number: signal.Signals) -> None:
        """Send the server a signal and wait for its end."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(timeout=30)

    def agentpod(
        self, *args: str, check: int | None = 0, given: str | None = None, timeout: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line; ``check`` is the exit code to expect."""
        done = subprocess.run(
            [*self.enter, self.bin / "agentpod", *args],
            env=self.env,
            text=True,
            capture_output=True,
            input=given,
            timeout=timeout,
            check=False,
        )
        if check is not None and done.returncode != check:
            pytest.fail(
                f"agentpod {' '.join(args)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.log[-3000:]}"
            )
        return done

    def json(self, *args: str) -> dict:
        """Run the command line for JSON."""
        return json.loads(self.agentpod(*args, "-o", "json").stdout)

    def get(self, host: str, path: str = "/", **options) -> httpx.Response:
        """Ask a pod through the router, by its public name."""
        headers = {"Host": f"{host}:{self.http}", **options.pop("headers", {})}
        return self.call(httpx.get, f"http://127.0.0.1:{self.http}{path}", headers=headers, timeout=5, **options)

    def container(self, pod_id: str) -> dict:
        """Look at a pod's container with the engine's own client."""
        done = subprocess.run(
            ["docker", "inspect", f"agentpod-{self.instance}-{pod_id}"],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        return (json.loads(done.stdout or "[]") or [{}])[0]

    def leftovers(self) -> list[str]:
        """List everything on the engine that carries this instance's label, and its volumes."""
        ours = f"label=agentpod.instance={self.instance}"
        kinds = (
            ["ps", "-aq", "--filter", ours],
            ["network", "ls", "-q", "--filter", ours],
            ["volume", "ls", "-q", "--filter", ours],
        )
        return [
            f"{kind[0]} {name}"
            for kind in kinds
            for name in subprocess.run(
                ["docker", *kind], env=self.env, capture_output=True, text=True, check=True
            ).stdout.split()
        ]

    def sweep(self) -> None:
        """Stop what runs and remove what is left on the engine."""
        self.agentpod("down", check=None)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)
        if self.engine or not (self.state / "instance").exists():
            # An engine of its own goes with all that is on it.
            return
        sweep = [sys.executable, "-m", "agentpod_docker.sweep", self.instance, "--volumes"]
        subprocess.run(sweep, capture_output=True, check=True)


Maker = Callable[..., Platform]


@contextlib.contextmanager
def platforms() -> Iterator[Maker]:
    """Give a maker of platforms; all of them are swept at the end."""
    made: list[Platform] = []

    def make(*, network: str, extra: dict[str, str] | None = None, engine: PrivateEngine | None = None) -> Platform:
        # Not pytest's own folder: that is closed to the account that PostgreSQL runs as.
        root = Path(tempfile.mkdtemp(prefix="agentpod-e2e-", dir="/tmp"))
        root.chmod(0o711)
        platform = Platform(root / "state", network=network, extra=extra, engine=engine)
        made.append(platform)
        return platform

    try:
        yield make
    finally:
        for platform in made:
            platform.sweep()
            shutil.rmtree(platform.state.parent, ignore_errors=True)


@pytest.fixture(scope="module")
def new_platform() -> Iterator[Maker]:
    """Give a maker of platforms that end with the module: one that goes on would be in the way of the others."""
    with platforms() as make:
        yield make


@pytest.fixture(scope="session")
def lasting_platform() -> Iterator[Maker]:
    """Give a maker of platforms that several modules share."""
    with platforms() as make:
        yield make


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., object]:
    """Give the way to wait for a condition."""
    return wait_for


@pytest.fixture(scope="session")
def free_ports() -> Callable[[], int]:
    """Give the way to find a port that nobody listens on."""
    return free_port
