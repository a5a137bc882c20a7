"""The reference's router: a second Traefik, the same binary with the same static configuration, fed by hand."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from stage import processes
from stage.platform import Platform, free_port
from stage.waiting import until


@dataclass(frozen=True, kw_only=True)
class Running:
    """A platform's own Traefik: its binary, and the static configuration that it was started with."""

    binary: Path
    static: dict[str, Any]

    @classmethod
    def of(cls, platform: Platform) -> Self:
        """Find it by its process."""
        (pid,) = processes.of(platform.state)["Traefik"]
        arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        (path,) = (one.removeprefix("--configFile=") for one in arguments if one.startswith("--configFile="))
        return cls(binary=Path(f"/proc/{pid}/exe").readlink(), static=json.loads(Path(path).read_text()))

    @property
    def routes(self) -> Path:
        """The folder that it watches."""
        return Path(self.static["providers"]["file"]["directory"])


class Router:
    """A running Traefik that watches a folder; ``end()`` it."""

    def __init__(self, platform: Platform) -> None:
        theirs = Running.of(platform)
        static = theirs.static
        self._root = Path(tempfile.mkdtemp(prefix="agentpod-bench-router-", dir="/tmp"))
        self._routes, self._staging = self._root / "routes", self._root / "staging"
        self._routes.mkdir()
        self._staging.mkdir()
        self.http, ping = free_port(), free_port()
        static["entryPoints"]["web"]["address"] = f"127.0.0.1:{self.http}"
        static["entryPoints"]["ping"]["address"] = f"127.0.0.1:{ping}"
        static["providers"]["file"]["directory"] = str(self._routes)
        config = self._root / "traefik.yml"
        config.write_text(json.dumps(static))
        with (self._root / "log").open("wb") as log:
            argv = [str(theirs.binary), f"--configFile={config}"]
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._ping = f"http://127.0.0.1:{ping}/ping"

    def until_up(self) -> None:
        """Wait until it serves."""
        until(self._is_up, "the reference's Traefik is up")

    def write(self, name: str, text: str) -> None:
        """Put a file in place by one rename."""
        unfinished = self._staging / name
        unfinished.write_text(text)
        unfinished.replace(self._routes / name)

    def clear(self) -> None:
        """Remove all files."""
        for path in self._routes.iterdir():
            path.unlink()

    def end(self) -> None:
        """Stop it and remove its files."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._root, ignore_errors=True)

    def _is_up(self) -> bool:
        try:
            return httpx.get(self._ping, trust_env=False).is_success
        except httpx.HTTPError:
            return False
