"""The engine's bare API: one kept connection, no client library between. The reference is made with this."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import re
import select
import signal
import socket
import tarfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

SOCKET = "/var/run/docker.sock"
LABEL = "agentpod-bench"
"""Marks what the bench itself made, beside its platform; the value is the run."""

_API = "/v1.41"


class Engine:
    """A Docker Engine. ``run`` labels everything that is made through it."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.labels = {LABEL: run}
        self._line = _Line("localhost", timeout=120)

    def call(self, method: str, path: str, body: Any = None, /, **params: Any) -> Any:
        """Make a request and give its answer.

        Raises:
            EngineError: the engine refused.
        """
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
        query = f"?{urlencode(params)}" if params else ""
        self._line.request(method, f"{_API}/{path}{query}", body=sent, headers={"Content-Type": kind})
        answer = self._line.getresponse()
        text = answer.read()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise EngineError(answer.status, f"{method} {path}: {text.decode(errors='replace').strip()}")
        return json.loads(text) if text else None

    def inspect(self, name: str) -> dict[str, Any]:
        """Look at a container."""
        found: dict[str, Any] = self.call("GET", f"containers/{name}/json")
        return found

    def is_running(self, name: str) -> bool:
        """Say whether there is a container of that name and it runs."""
        try:
            return bool(self.inspect(name)["State"]["Running"])
        except EngineError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return False
            raise

    def started_at(self, name: str) -> float:
        """Give the moment at which the engine itself saw the container run, as seconds of the epoch."""
        whole, fraction = re.match(r"(.*?)(\.\d+)?Z$", self.inspect(name)["State"]["StartedAt"]).groups()  # type: ignore[union-attr]
        return datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() + float(fraction or 0)

    def network(self, name: str, subnet: str, gateway: str) -> None:
        """Make a bridge."""
        pool = {"Config": [{"Subnet": subnet, "Gateway": gateway}]}
        self.call("POST", "networks/create", {"Name": name, "IPAM": pool, "Labels": self.labels})

    def put(self, container: str, root: str, files: Iterable[tuple[str, bytes, int]]) -> None:
        """Write files (path, content, mode) below a folder of a container, for the agent's usual user."""
        self.call("PUT", f"containers/{container}/archive", _archive(files), path=root)

    def kill(self, name: str) -> float:
        """End a container's first process from outside, as kill -9 does; gives the moment, once it has ended."""
        # By a descriptor, so that no other process can be meant.
        process = os.pidfd_open(self.inspect(name)["State"]["Pid"])
        try:
            at = time.time()
            signal.pidfd_send_signal(process, signal.SIGKILL)
            # What answers from now on is a new one.
            select.select([process], [], [], 10)
        finally:
            os.close(process)
        return at

    def freeze(self, name: str) -> float:
        """Stop all processes of a container as kill -STOP does; gives the moment."""
        table = self.call("GET", f"containers/{name}/top")
        at = time.time()
        for row in table["Processes"]:
            os.kill(int(row[table["Titles"].index("PID")]), signal.SIGSTOP)
        return at

    def events(self, **wanted: list[str]) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
        """Give what it takes to follow the engine's events: a connection, the path on it, the headers."""
        return _Line("localhost", timeout=120), f"{_API}/events?{urlencode({'filters': json.dumps(wanted)})}", {}

    def working_set(self, name: str) -> int:
        """Give a container's working set, in bytes: what its control group holds without what can be dropped."""
        memory = self.call("GET", f"containers/{name}/stats", stream=False)["memory_stats"]
        details = memory["stats"]
        # The first name is of cgroup v1, the second of v2.
        return int(memory["usage"] - details.get("total_inactive_file", details.get("inactive_file", 0)))

    def remove(self, container: str) -> None:
        """Remove a container and all volumes that it has."""
        mounts = self.inspect(container)["Mounts"]
        self.call("DELETE", f"containers/{container}", force=True)
        for one in mounts:
            self.call("DELETE", f"volumes/{one['Name']}")

    def sweep(self) -> None:
        """Remove everything that carries the label of this run."""
        (label,) = (f"{key}={value}" for key, value in self.labels.items())
        ours = {"filters": json.dumps({"label": [label]})}
        for one in self.call("GET", "containers/json", all=True, **ours):
            with contextlib.suppress(EngineError):
                self.call("DELETE", f"containers/{one['Id']}", force=True)
        for one in self.call("GET", "networks", **ours):
            with contextlib.suppress(EngineError):
                self.call("DELETE", f"networks/{one['Id']}")
        for one in self.call("GET", "volumes", **ours)["Volumes"] or ():
            with contextlib.suppress(EngineError):
                self.call("DELETE", f"volumes/{one['Name']}")

    def close(self) -> None:
        """Let go of the connection."""
        self._line.close()


class EngineError(Exception):
    """The engine refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class _Line(http.client.HTTPConnection):
    """HTTP over the engine's socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


def _archive(files: Iterable[tuple[str, bytes, int]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, content, mode in files:
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, 1000, 1000
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
