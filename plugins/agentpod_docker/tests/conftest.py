"""A real engine for tests: a tiny image, an instance of our own, a wire that can be cut, and a sweep."""

# ruff: noqa: ASYNC240 - a test may block its own loop

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from agentpod_core import HostContext
from agentpod_docker import DockerRuntime, DockerSettings
from agentpod_docker.base_images import base_tag
from agentpod_docker.sweep import sweep

SOCKET = "/var/run/docker.sock"
# Found now: some tests take the search path away.
DOCKER = shutil.which("docker") or "docker"
IMAGE = "agentpod-test-busybox:1"
APPLETS = (
    "sh",
    "sleep",
    "cat",
    "echo",
    "stat",
    "touch",
    "hostname",
    "ls",
    "id",
    "nc",
    "true",
    "ln",
    "mkdir",
    "env",
    "dd",
)
BASE_PACKAGES = ("agentpod-test-nothing", "ca-certificates")
BASE_SCRIPTS = {
    "groupadd": 'echo "$3:x:$2:" >> /etc/group',
    "useradd": 'echo "${9}:x:$2:$4::$7:/bin/sh" >> /etc/passwd; mkdir -p "$7"; chown "$2:$4" "$7"',
}
_SUBNETS = itertools.count(secrets.randbelow(200) * 4)


class LoopClock:
    """Time of the running loop."""

    def now(self):
        from datetime import UTC, datetime  # noqa: PLC0415

        return datetime.now(UTC)

    def monotonic(self):
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


class Wire:
    """A socket in front of the engine's that can be cut."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    async def end(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_unix_server(self._through, self.path)

    async def begin(self) -> None:
        """Cut every connection and refuse new ones."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        Path(self.path).unlink(missing_ok=True)
        for end in list(self._ends):
            end.transport.abort()

    async def _through(self, reader, writer):
        engine_reader, engine_writer = await asyncio.open_unix_connection(SOCKET)
        self._ends |= {writer, engine_writer}
        copies = asyncio.gather(self._copy(reader, engine_writer), self._copy(engine_reader, writer))
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await copies
        finally:
            self._ends -= {writer, engine_writer}
            writer.close()
            engine_writer.close()

    async def _copy(self, reader, writer):
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()


class DockerHands:
    """Somebody else's hands on the engine, by its own command line."""

    def __init__(self, owner: str) -> None:
        self._owner = owner

    def docker(self, *argv: str) -> str:
        """Run the engine's client."""
        return subprocess.run([DOCKER, *argv], check=True, capture_output=True, text=True).stdout

    async def add(self, kind, name, *, subnet=""):
        label = f"--label=agentpod.instance={self._owner}"
        if kind == "container":
            self.docker("run", "-d", label, "--name", name, IMAGE, "sleep", "600")
        elif kind == "volume":
            self.docker("volume", "create", label, name)
        else:
            self.docker("network", "create", label, "--subnet", subnet, name)

    async def exists(self, kind, name):
        raw = json.loads(self.docker(kind, "inspect", name))[0]
        return kind != "container" or raw["State"]["Running"]

    async def kill(self, name):
        pid = int(self.docker("inspect", "-f", "{{.State.Pid}}", name))
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def docker_image():
    """A tiny image of static busybox."""
    if subprocess.run([DOCKER, "image", "inspect", IMAGE], check=False, capture_output=True).returncode == 0:
        return IMAGE
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", "busybox-static"], check=True, cwd=folder, capture_output=True)
        package = next(Path(folder).glob("*.deb"))
        subprocess.run(["dpkg", "-x", str(package), f"{folder}/x"], check=True)
        busybox = Path(folder, "x/bin/busybox").read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("bin/busybox")
        info.size, info.mode = len(busybox), 0o755
        archive.addfile(info, io.BytesIO(busybox))
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        owned = tarfile.TarInfo("plain")
        owned.type, owned.mode, owned.uid, owned.gid = tarfile.DIRTYPE, 0o750, 1000, 1000
        archive.addfile(owned)
    subprocess.run([DOCKER, "import", "-", IMAGE], check=True, input=buffer.getvalue(), capture_output=True)
    return IMAGE


@pytest.fixture(scope="module")
def docker_base(docker_image):
    """A base that needs no mirror: the tiny image with what a build calls, under the tag of made-up packages."""
    tag = base_tag(BASE_PACKAGES)
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=buffer, mode="w") as archive:
        hands = DockerHands("")
        container = hands.docker("create", docker_image, "true").strip()
        hands.docker("cp", f"{container}:/bin/busybox", f"{folder}/busybox")
        hands.docker("rm", container)
        archive.add(f"{folder}/busybox", "bin/busybox")
        for applet in ("sh", "cat", "mkdir", "chown", "chmod", "id", "stat", "ls", "env", "test"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name, script in BASE_SCRIPTS.items():
            _add(archive, f"bin/{name}", f"#!/bin/sh\nset -eu\n{script}\n", 0o755)
        _add(archive, "etc/passwd", "root:x:0:0::/:/bin/sh\n", 0o644)
        _add(archive, "etc/group", "root:x:0:\n", 0o644)
    subprocess.run([DOCKER, "import", "-", tag], check=True, input=buffer.getvalue(), capture_output=True)
    yield tag
    hands.docker("rmi", "-f", tag)


@pytest.fixture
def docker_tag():
    """A tag of this test alone, removed after it."""
    name = f"agentpod-test-built:{secrets.token_hex(4)}"
    yield name
    subprocess.run([DOCKER, "rmi", "-f", name], check=False, capture_output=True)


def _add(archive: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(text), mode
    archive.addfile(info, io.BytesIO(text.encode()))


def _sweep_all(*instances: str) -> None:
    async def run() -> None:
        for instance in instances:
            await sweep(f"unix://{SOCKET}", instance, with_volumes=True)

    asyncio.run(run())


@pytest.fixture(scope="session")
def docker_instance():
    """An instance of this session alone; all that it made is swept."""
    name = "d" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(7))
    yield name
    _sweep_all(name, f"x{name[1:]}")


@pytest.fixture
def docker_subnet():
    """A /26 of this test alone."""
    number = next(_SUBNETS) % 1024
    return f"10.217.{number // 4}.{number % 4 * 64}/26"


@pytest.fixture
async def docker_wire():
    """A wire to the engine."""
    with tempfile.TemporaryDirectory() as folder:
        wire = Wire(f"{folder}/engine.sock")
        await wire.end()
        yield wire
        await wire.begin()


@pytest.fixture
def docker_opened(docker_instance, tmp_path):
    """Opens runtimes at an address."""

    async def open_at(url: str, **settings: object) -> DockerRuntime:
        runtime = DockerRuntime()
        context = HostContext(
            instance=docker_instance, folder=tmp_path, settings=DockerSettings(url=url, **settings), clock=LoopClock()
        )
        await runtime.open(context)
        return runtime

    return open_at


@pytest.fixture
async def docker_runtime(docker_opened, docker_wire, docker_image):
    """A runtime behind the wire; what a test made goes after it."""
    runtime = await docker_opened(f"unix://{docker_wire.path}")
    yield runtime
    await runtime.close()


@pytest.fixture
def docker_hands(docker_instance):
    """Hands of another instance on the same engine."""
    return DockerHands(f"x{docker_instance[1:]}")
