"""docker-compose 1.29.2, the last one in Python, in an environment of its own, and a file that asks it for twins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stage.engine import LABEL
from stage.twin import NETWORK, Content

VERSION = "1.29.2"
# Its own demands name a PyYAML that can no longer be built.
_NEEDS = (
    "docker<7",
    "requests<2.32",
    "urllib3<2",
    "pyyaml>=6",
    "dockerpty",
    "docopt",
    "texttable",
    "jsonschema<4",
    "websocket-client<1",
    "distro",
    "python-dotenv<1",
    "setuptools<70",
)
_SECONDS = 600


class MissingError(Exception):
    """It cannot be had on this machine; says why."""


class Compose:
    """One project in a folder of its own: ``up`` and ``down``."""

    def __init__(self, folder: Path, run: str) -> None:
        self._program = _program()
        self._folder = folder
        self._argv = [str(self._program), "-p", f"apbench{run}", "-f", str(folder / "compose.json")]

    def write(self, ours: Mapping[str, Any], files: Sequence[Content], addresses: Sequence[str], run: str) -> None:
        """Write a file that asks for containers like ``ours``, with the agent's files bound into each."""
        roots = sorted({mount["Destination"] for mount in ours["Mounts"]})
        for file in files:
            place = self._folder / "files" / file.path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.content)
            place.chmod(file.mode)
            os.chown(place, 1000, 1000)
        bound = {root for root in roots if (self._folder / "files" / root.lstrip("/")).exists()}
        services, volumes = {}, {}
        for number, address in enumerate(addresses):
            kept = {f"p{number}{root.replace('/', '-')}": root for root in roots if root not in bound}
            volumes |= {volume: {"labels": {LABEL: run}} for volume in kept}
            mounts = [f"{volume}:{root}" for volume, root in kept.items()]
            mounts += [f"{self._folder / 'files' / root.lstrip('/')}:{root}" for root in sorted(bound)]
            services[f"p{number}"] = _service(ours, address, mounts, run)
        networks = {NETWORK: {"external": True}}
        # The newest format of this version that knows a container's own limits.
        file = {"version": "2.4", "services": services, "volumes": volumes, "networks": networks}
        (self._folder / "compose.json").write_text(json.dumps(file))

    def up(self) -> None:
        """Make and start everything."""
        self._run("up", "-d")

    def containers(self) -> list[str]:
        """Give the ids of what was made."""
        return self._run("ps", "-q").split()

    def down(self) -> None:
        """Remove everything."""
        self._run("down", "-v")

    def _run(self, *verb: str) -> str:
        done = subprocess.run(
            [*self._argv, *verb],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise RuntimeError(f"docker-compose {' '.join(verb)}: {done.stderr[-500:]}")
        return done.stdout


def _service(ours: Mapping[str, Any], address: str, mounts: list[str], run: str) -> dict[str, Any]:
    config, host = ours["Config"], ours["HostConfig"]
    return {
        "image": config["Image"],
        "environment": config["Env"],
        "labels": {LABEL: run},
        "networks": {NETWORK: {"ipv4_address": address}},
        "volumes": mounts,
        "mem_limit": host["Memory"],
        "cpus": host["NanoCpus"] / 1e9,
        "pids_limit": host["PidsLimit"],
        "cap_drop": host["CapDrop"],
        "security_opt": host["SecurityOpt"],
        "read_only": host["ReadonlyRootfs"],
        "init": bool(host["Init"]),
        "tmpfs": list(host["Tmpfs"] or ()),
        "restart": host["RestartPolicy"]["Name"],
    }


def _program() -> Path:
    """Install it beside this environment, unless it is there; gives its program.

    Raises:
        MissingError: it cannot be installed here.
    """
    if sys.version_info[:2] != (3, 11):
        raise MissingError(f"docker-compose {VERSION} needs Python 3.11, and this is {sys.version.split()[0]}")
    home = Path(sys.prefix) / f"docker-compose-{VERSION}"
    program = home / "bin" / "docker-compose"
    if not program.exists():
        venv.create(home, with_pip=True, clear=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for packages in (_NEEDS, ("--no-deps", f"docker-compose=={VERSION}")):
            done = subprocess.run([*pip, *packages], capture_output=True, text=True, timeout=_SECONDS, check=False)
            if done.returncode != 0:
                problem = (done.stderr.strip().splitlines() or ["no reason"])[-1]
                raise MissingError(f"docker-compose {VERSION} cannot be installed: {problem}")
    return program
