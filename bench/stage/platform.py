"""A platform of the bench's own, with the settings that every platform has; driven by its API and command line."""

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
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from stage import processes
from stage.waiting import until

BIN = Path(sys.executable).parent
NETWORK_RANGE = "10.212.0.0/17"
CROWD = "crowd"
_BUILD_SECONDS = 1800


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Platform:
    """A running platform. Make it with ``Platform()``, ``up()``, and ``end()`` it, whatever came of it."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="agentpod-bench-", dir="/tmp"))
        # PostgreSQL and Traefik run as somebody else and pass through.
        self._root.chmod(0o711)
        self.state = self._root / "state"
        self.http, self._port = free_port(), free_port()
        # At the usual pace (AGENTPOD_TIME_SCALE is 1): what is measured is what an operator has.
        self._env = {key: value for key, value in os.environ.items() if not key.startswith("AGENTPOD_")} | {
            "AGENTPOD_STATE_DIR": str(self.state),
            "AGENTPOD_PORT": str(self._port),
            "AGENTPOD_NETWORK_RANGE": NETWORK_RANGE,
            "AGENTPOD_ROUTER_TRAEFIK_HTTP": str(self.http),
            "AGENTPOD_ROUTER_TRAEFIK_PING": str(free_port()),
            "LC_ALL": "C.UTF-8",
        }
        self._server: subprocess.Popen[bytes] | None = None
        self._api = httpx.Client(timeout=30, trust_env=False)

    @property
    def instance(self) -> str:
        """The instance that its objects on the engine carry."""
        return (self.state / "instance").read_text().strip()

    def up(self) -> None:
        """Start it, and wait until it is ready.

        Raises:
            RuntimeError: it ended instead; with its last words.
        """
        log = self._root / "server.log"
        with log.open("wb") as output:
            self._server = subprocess.Popen(
                [BIN / "agentpod", "up"],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C is the bench's, which ends everything in order.
                start_new_session=True,
            )
        url = f"http://127.0.0.1:{self._port}"
        server = self._server

        def is_ready() -> bool:
            if server.poll() is not None:
                raise RuntimeError(f"the server ended with {server.returncode}:\n{log.read_text()[-2000:]}")
            with contextlib.suppress(httpx.HTTPError):
                return self._api.get(f"{url}/readyz").is_success
            return False

        until(is_ready, "the platform is ready")
        token = json.loads((self.state / "context.json").read_text())["token"]
        self._api.base_url = httpx.URL(f"{url}/api/v1")
        self._api.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Make a request of the API and give its answer."""
        answer = self._api.request(method, path, json=body, headers=headers)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def agentpod(self, *args: str) -> str:
        """Run the command line.

        Raises:
            RuntimeError: it failed; with its own words.
        """
        done = subprocess.run(
            [BIN / "agentpod", *args],
            env=self._env,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_BUILD_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"agentpod {' '.join(args)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def image(self, adapter: str) -> None:
        """Have an adapter's image, building it where it is missing."""
        self.agentpod("image", "build", adapter)

    def tenant(self, slug: str) -> None:
        """Have a tenant."""
        self.call("POST", "/tenants", {"slug": slug})

    def pod(self, tenant: str, name: str) -> dict[str, Any]:
        """Get a pod."""
        found: dict[str, Any] = self.call("GET", f"/tenants/{tenant}/pods/{name}")
        return found

    def until_ready(self, tenant: str, name: str, *, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until a pod's agent answers, and give the pod."""
        until(
            lambda: self.pod(tenant, name)["status"]["ready"], f"{tenant}/{name} is ready", seconds=seconds, every=0.1
        )
        return self.pod(tenant, name)

    def crowd(self, count: int) -> list[dict[str, Any]]:
        """Have so many echo pods in one tenant, all of them answering; what is there already stays."""
        self.image("echo")
        self.tenant(CROWD)
        names = [f"p{number}" for number in range(count)]
        there = {pod["name"] for pod in self.call("GET", f"/tenants/{CROWD}/pods?limit=500")["items"]}
        for name in names:
            if name not in there:
                self.call("POST", f"/tenants/{CROWD}/pods", {"name": name, "adapter": "echo"})
        return [self.until_ready(CROWD, name, seconds=180) for name in names]

    def container(self, pod: dict[str, Any]) -> str:
        """Name a pod's container."""
        return f"agentpod-{self.instance}-{pod['id']}"

    def host(self, pod: dict[str, Any]) -> str:
        """Give the name at which a pod is reached."""
        return f"{pod['spec']['subdomain']}.localhost"

    def delete(self, tenant: str, name: str) -> None:
        """Delete a pod with its data, and wait until it is gone."""
        path = f"/tenants/{tenant}/pods/{name}"
        self.call("DELETE", path)
        until(lambda: self._api.get(path).status_code == HTTPStatus.NOT_FOUND, f"{tenant}/{name} is gone")

    def clear(self, tenant: str) -> None:
        """Delete a tenant with its pods, and wait until it is gone."""
        self.agentpod("tenant", "delete", tenant, "--cascade", "--yes")

    def end(self) -> None:
        """Stop everything that runs, and remove everything that was made: by pid, by label, by folder."""
        self._api.close()
        try:
            self._stop()
            if (self.state / "instance").exists():
                sweep = [sys.executable, "-m", "agentpod_docker.sweep", self.instance, "--volumes"]
                subprocess.run(sweep, capture_output=True, check=True)
        finally:
            shutil.rmtree(self._root, ignore_errors=True)

    def _stop(self) -> None:
        if self._server is None:
            return
        # Also ends Traefik and PostgreSQL, which would outlive the server.
        subprocess.run([BIN / "agentpod", "down"], env=self._env, capture_output=True, check=False)
        for pid in [pid for pids in processes.of(self.state).values() for pid in pids]:
            # What did not end in order.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.wait(timeout=30)
