"""A Docker engine of its own, in a network namespace of its own: a test may kill it, and the machine's never notices.

What is to reach its containers runs in that namespace too: a program by ``enter``, a function by ``call``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Got = TypeVar("Got")

NETWORK_NAMESPACE = 0x40000000
THREADS = 16


class PrivateEngine:
    """One dockerd with its own containerd, data, bridges and packet filter."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="agentpod-engine-", dir="/tmp"))
        self.root.chmod(0o711)
        self.name = self.root.name
        self.url = f"unix://{self.root}/docker.sock"
        self.enter = ["nsenter", f"--net=/run/netns/{self.name}"]
        self._process: subprocess.Popen[bytes] | None = None
        _run("ip", "netns", "add", self.name)
        _run(*self.enter, "ip", "link", "set", "lo", "up")
        self._threads = ThreadPoolExecutor(THREADS, initializer=self._move)

    def start(self) -> None:
        """Start the engine and wait until it answers."""
        # A daemon that was killed leaves its pid, which may be another process's by now.
        (self.root / "docker.pid").unlink(missing_ok=True)
        with (self.root / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self.enter,
                    "dockerd",
                    f"--host={self.url}",
                    f"--data-root={self.root}/data",
                    f"--exec-root={self.root}/exec",
                    f"--pidfile={self.root}/docker.pid",
                    f"--cgroup-parent=/{self.name}",
                    "--storage-driver=overlay2",
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while self._try("version").returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.root / "dockerd.log").read_text(errors="replace")[-3000:])
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the engine in order, and its containers with it."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Stop it in order and start it again."""
        self.stop()
        self.start()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it stand still while the block runs: it takes questions and answers none, and its containers live on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def cut_power(self) -> None:
        """End the engine and all that runs on it at once, as a machine does that loses its power."""
        self._end(signal.SIGKILL)
        deadline = time.monotonic() + 20
        while pids := self._pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                msg = f"these do not end: {pids}"
                raise RuntimeError(msg)
            time.sleep(0.02)
        self._unmount()
        # As on a machine that comes up again: nothing of /run outlives it.
        shutil.rmtree(self.root / "exec", ignore_errors=True)

    def docker(self, *args: str, check: bool = True) -> str:
        """Run the engine's own client."""
        done = self._try(*args)
        if check and done.returncode:
            msg = f"docker {' '.join(args)}: {done.stderr}"
            raise RuntimeError(msg)
        return done.stdout

    def load(self, image: str) -> None:
        """Copy an image from the machine's engine."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            _run("docker", f"--host={self.url}", "load", "--quiet", stdin=saved.stdout)

    def call(self, function: Callable[Given, Got], *args: Given.args, **kwargs: Given.kwargs) -> Got:
        """Call a function where the containers can be reached."""
        return self._threads.submit(function, *args, **kwargs).result()

    def remove(self) -> None:
        """End it and leave nothing of it."""
        self._threads.shutdown()
        self.cut_power()
        _run("ip", "netns", "delete", self.name)
        for kind in Path("/sys/fs/cgroup").glob(f"*/{self.name}"):
            for folder in sorted(kind.rglob("*/"), reverse=True):
                folder.rmdir()
            kind.rmdir()
        shutil.rmtree(self.root)

    def _try(self, *args: str) -> subprocess.CompletedProcess[str]:
        command = ["docker", f"--host={self.url}", *args]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=60)
            self._process = None

    def _pids(self) -> list[int]:
        """List what runs in one of our containers, or keeps one."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (folder / "cmdline").read_bytes().decode(errors="replace")
                cgroup = (folder / "cgroup").read_text()
                is_engine = f"{self.root}/exec" in command and ("containerd" in command or "runc" in command)
                if (is_engine or f"/{self.name}" in cgroup) and " Z " not in (folder / "stat").read_text():
                    found.append(int(folder.name))
        return found

    def _unmount(self) -> None:
        deadline = time.monotonic() + 20
        while mounts := self._mounts():
            # One may go with another, as its twin: which are left is looked up anew.
            subprocess.run(["umount", "--lazy", mounts[-1]], check=False, capture_output=True)
            if time.monotonic() > deadline:
                msg = f"these stay mounted: {mounts}"
                raise RuntimeError(msg)

    def _mounts(self) -> list[str]:
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        return sorted(mount for mount in mounts if mount.startswith(f"{self.root}/"))

    def _move(self) -> None:
        with Path(f"/run/netns/{self.name}").open() as namespace:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(namespace.fileno(), NETWORK_NAMESPACE):
                raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def private_engine(*images: str) -> Iterator[PrivateEngine]:
    """Have an engine with those images of the machine's while the block runs."""
    engine = PrivateEngine()
    try:
        engine.start()
        for image in images:
            engine.load(image)
        yield engine
    finally:
        engine.remove()


def _run(*command: str, **options: Any) -> None:
    subprocess.run(command, check=True, capture_output=True, **options)
