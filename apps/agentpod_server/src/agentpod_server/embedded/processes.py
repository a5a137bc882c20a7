"""Tells one process from any other: by its pid, the moment it started, and the boot it belongs to.

A pid alone is given out again; with its start time it is not, so nothing here ever signals a stranger.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

_PATIENCE = 0.02


class Process(Struct, frozen=True, kw_only=True):
    """A process that was started; ``started`` is in the kernel's ticks since the boot with the id ``boot``."""

    pid: int
    started: int
    boot: str
    identity: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether exactly this process still runs; one that only waits to be collected does not."""
        return self.boot == boot_id() and started_at(self.pid) == self.started

    def send(self, number: signal.Signals) -> bool:
        """Send it a signal; False when it is gone. The pid cannot change its meaning in between."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.is_alive:
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    async def ended(self, timeout: float) -> bool:  # noqa: ASYNC109 - a bound on looking, not on the process
        """Wait until it is gone; False when it still runs after ``timeout`` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while self.is_alive:
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(_PATIENCE)
        self.collect()
        return True

    async def watch(self, every: float, look: Callable[[], object]) -> None:
        """Return as soon as it has ended; meanwhile call ``look`` every that many seconds."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(handle, gone.set)
        try:
            while self.is_alive and not gone.is_set():
                look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(every):
                        await gone.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
        self.collect()

    def collect(self) -> None:
        """Let the kernel forget a dead one that fell to us as its parent, as orphans do to process 1 of a container."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)

    async def end(self, number: signal.Signals, timeout: float) -> bool:  # noqa: ASYNC109 - grace for the process
        """Ask it to end by that signal, and kill it after ``timeout`` seconds; False if it was gone."""
        if not self.send(number):
            return False
        if not await self.ended(timeout):
            self.send(signal.SIGKILL)
            await self.ended(timeout)
        return True


def boot_id() -> str:
    """Give the id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def started_at(pid: int) -> int | None:
    """Give the start time of a running process in ticks since boot; None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *rest = text.rpartition(")")[2].split()
    return None if state in "ZX" else int(rest[18])


def recorded(path: Path) -> Process | None:
    """Read a record of a process, wherever it is now; None where there is no whole one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Process)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def running(path: Path) -> Process | None:
    """Give the recorded process while it runs."""
    process = recorded(path)
    return process if process is not None and process.is_alive else None
