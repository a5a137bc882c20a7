"""A platform of the bench's own, with the settings that every platform has; driven by its API and command line."""

from __future__ import annotations

import contextlib
import http.client
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
import msgspec

from agentpod_server.embedded.access import Credentials, socket_folder
from stage import processes
from stage.plugins import installed
from stage.waiting import until

BIN = Path(sys.executable).parent
NETWORK_RANGE = "10.212.0.0/17"
CROWD = "crowd"
CROWDED = 50
"""So many pods of a crowd are in one tenant: a tenant's network has room for 61."""
_BUILD_SECONDS = 1800


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Platform:
    """A running platform. Make it with ``Platform()``, ``up()``, and ``end()`` it, whatever came of it.

    ``plugin`` is a module in ``plugins`` beside this one that offers something more to it, ``settings``
    are those that differ from the usual ones.
    """

    def __init__(self, *, plugin: str | None = None, **settings: str) -> None:
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
            **settings,
        }
        if plugin:
            self._env["PYTHONPATH"] = os.pathsep.join(map(str, installed(plugin, self._root / "plugins")))
        self._server: subprocess.Popen[bytes] | None = None
        self._api = httpx.Client(timeout=30, trust_env=False)
        self._has_ended = False

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

    def crowd(self, count: int, *, of: str = CROWD, adapter: str = "echo") -> list[dict[str, Any]]:
        """Have so many pods that answer; what is there already stays.

        The first 50 are in the tenant ``of``, the others in more tenants named after it.
        """
        self.image("echo")
        names = [(self._crowded(of, number), f"p{number}") for number in range(count)]
        for tenant in dict.fromkeys(tenant for tenant, _ in names):
            self.tenant(tenant)
            there = {pod["name"] for pod in self.call("GET", f"/tenants/{tenant}/pods?limit=500")["items"]}
            for name in (name for owner, name in names if owner == tenant and name not in there):
                self.call("POST", f"/tenants/{tenant}/pods", {"name": name, "adapter": adapter})
        return [self.until_ready(tenant, name, seconds=180) for tenant, name in names]

    def disperse(self, *, of: str = CROWD) -> None:
        """Delete a crowd with all its tenants."""
        for tenant in self.call("GET", "/tenants?limit=500")["items"]:
            if tenant["slug"].partition("-")[0] == of:
                self.clear(tenant["slug"])

    def _crowded(self, of: str, number: int) -> str:
        return of if number < CROWDED else f"{of}-{number // CROWDED}"

    def stream(self, path: str) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
        """Give what it takes to follow an answer that goes on: a connection, the path on it, the headers."""
        url = self._api.base_url
        line = http.client.HTTPConnection(url.host, url.port, timeout=120)
        headers = {"Authorization": self._api.headers["Authorization"], "Accept": "text/event-stream"}
        return line, f"{url.path.rstrip('/')}{path}", headers

    def passes(self, kind: str) -> tuple[int, float]:
        """Count the passes of a kind that went well, and give the seconds that they took together."""
        text = self._api.get(str(self._api.base_url.copy_with(path="/metrics"))).text
        place = f'{{kind="{kind}",outcome="ok"}}'
        found = {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in text.splitlines() if place in line)
        }
        name = "agentpod_reconcile_seconds"
        return int(found.get(f"{name}_count{place}", 0)), found.get(f"{name}_sum{place}", 0.0)

    @property
    def database(self) -> str:
        """The URL of its database, as the server itself is let in."""
        kept = msgspec.json.decode((self.state / "database.json").read_bytes(), type=Credentials)
        return kept.access(socket_folder(self.state / "postgres" / "run")).app

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
        """Stop everything that runs, and remove everything that was made: by pid, by label, by folder. Idempotent."""
        if self._has_ended:
            return
        self._has_ended = True
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
