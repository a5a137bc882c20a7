"""``make bench``: a platform of its own, measured beside the engine's bare API."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiodocker
import httpx
from harness import Row, figure, pairs, report

BIN = Path(sys.executable).parent
IMAGE = "agentpod-echo:0.1.0"
NETWORK = "apbench-raw"
SUBNET, GATEWAY = "10.212.255.0/26", "10.212.255.1"


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Platform:
    """A running platform and its API."""

    def __init__(self, root: Path) -> None:
        self.state = root / "state"
        self.port = free_port()
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("AGENTPOD_")} | {
            "AGENTPOD_STATE_DIR": str(self.state),
            "AGENTPOD_PORT": str(self.port),
            "AGENTPOD_NETWORK_RANGE": "10.212.0.0/17",
            "AGENTPOD_ROUTER_TRAEFIK_HTTP": str(free_port()),
            "AGENTPOD_ROUTER_TRAEFIK_PING": str(free_port()),
        }

    def agentpod(self, *args: str) -> str:
        """Run the command line."""
        return subprocess.run(
            [BIN / "agentpod", *args], env=self.env, check=True, text=True, stdout=subprocess.PIPE
        ).stdout

    @contextmanager
    def running(self) -> Iterator[httpx.Client]:
        """Run the server; gives a client of its API."""
        with (self.state.parent / "log").open("wb") as log:
            process = subprocess.Popen([BIN / "agentpod", "up"], env=self.env, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{self.port}"
            for _ in range(300):
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"{url}/readyz").is_success:
                        break
                time.sleep(0.1)
            token = json.loads((self.state / "context.json").read_text())["token"]
            with httpx.Client(
                base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30
            ) as api:
                yield api
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def created(api: httpx.Client, names: Iterator[int]) -> float:
    """Create an echo pod; seconds from the request to the container running."""
    name = f"p{next(names)}"
    begun = time.perf_counter()
    api.post("/tenants/bench/pods", json={"name": name, "adapter": "echo"}).raise_for_status()
    while True:
        status = api.get(f"/tenants/bench/pods/{name}").json()["status"]
        alive = next((one["status"] for one in status["conditions"] if one["type"] == "Alive"), None)
        if alive:
            taken = time.perf_counter() - begun
            break
        time.sleep(0.002)
    api.delete(f"/tenants/bench/pods/{name}").raise_for_status()
    while api.get(f"/tenants/bench/pods/{name}").status_code != httpx.codes.NOT_FOUND:
        time.sleep(0.02)
    return taken


def _tar(texts: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, text in texts.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.uid, entry.gid = len(text), 0o400, 1000, 1000
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


async def _created_raw(docker: aiodocker.Docker, number: int) -> float:
    begun = time.perf_counter()
    for kind in ("data", "config", "secrets"):
        await docker.volumes.create({"Name": f"apbench-{number}-{kind}", "Labels": {"apbench": "1"}})
    container = await docker.containers.create(
        {
            "Image": IMAGE,
            "Hostname": "bench",
            "Labels": {"apbench": "1"},
            "HostConfig": {
                "Binds": [
                    f"apbench-{number}-data:/data",
                    f"apbench-{number}-config:/etc/echo",
                    f"apbench-{number}-secrets:/run/agentpod/secrets",
                ],
                "Memory": 128 << 20,
                "MemorySwap": 128 << 20,
                "NanoCpus": 1_000_000_000,
                "PidsLimit": 64,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "ReadonlyRootfs": True,
                "Init": True,
                "Tmpfs": {"/tmp": "rw,size=67108864"},
                "NetworkMode": NETWORK,
                "RestartPolicy": {"Name": "unless-stopped"},
            },
            "NetworkingConfig": {"EndpointsConfig": {NETWORK: {"IPAMConfig": {"IPv4Address": "10.212.255.9"}}}},
        },
        name=f"apbench-{number}",
    )
    config = {"channel": "all", "model": "m", "reply": "r", "script": [], "boot": {"seconds": 0, "burn": 0}}
    await container.put_archive(
        "/etc/echo", _tar({"live.json": '{"greeting":"hi"}', "config.json": json.dumps({**config, "api_key": False})})
    )
    await container.put_archive("/run/agentpod/secrets", _tar({"token": "bench"}))
    await container.start()
    await container.show()
    taken = time.perf_counter() - begun
    await container.delete(force=True)
    for kind in ("data", "config", "secrets"):
        await (await docker.volumes.get(f"apbench-{number}-{kind}")).delete()
    return taken


def created_raw(names: Iterator[int]) -> float:
    """Make the same container with the engine's bare API: volumes, limits, network, files, start."""

    async def once() -> float:
        async with aiodocker.Docker() as docker:
            # The connection and the version are the server's standing ones; they do not count here either.
            await docker.version()
            return await _created_raw(docker, next(names))

    return asyncio.run(once())


def memory(platform: Platform) -> float:
    """Give the proportional memory (MB) of server, Traefik and PostgreSQL together."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            if str(platform.state).encode() not in environment:
                continue
            lines = (folder / "smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def main() -> int:
    """Measure everything."""
    root = Path(tempfile.mkdtemp(prefix="agentpod-bench-", dir="/tmp"))
    root.chmod(0o711)
    platform = Platform(root)
    names = itertools.count(1)
    rows: list[Row] = []
    try:
        with platform.running() as api:
            platform.agentpod("image", "build", "echo")
            api.post("/tenants", json={"slug": "bench"}).raise_for_status()
            subprocess.run(
                ["docker", "network", "create", "--subnet", SUBNET, "--gateway", GATEWAY, NETWORK],
                check=True,
                stdout=-3,
            )
            rows.append(
                pairs(
                    "echo pod: accepted request to running, against the raw Docker API",
                    lambda: created(api, names),
                    lambda: created_raw(names),
                    count=int(os.environ.get("BENCH_PAIRS", "15")),
                    goal=1.15,
                )
            )
            time.sleep(5)
            rows.append(figure("idle platform: server, Traefik, PostgreSQL", memory(platform), "MB", goal=250))
            platform.agentpod("tenant", "delete", "bench", "--cascade", "--yes")
    finally:
        platform.agentpod("down")
        instance = (platform.state / "instance").read_text().strip()
        sweep = [sys.executable, "-m", "agentpod_docker.sweep", instance, "--volumes"]
        subprocess.run(sweep, check=False, capture_output=True)
        subprocess.run(["docker", "network", "rm", NETWORK], check=False, capture_output=True)
        shutil.rmtree(root, ignore_errors=True)
    return report(rows)


if __name__ == "__main__":
    sys.exit(main())
