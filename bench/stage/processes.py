"""Finds the processes of a platform and of the engine, and what memory and processor time they take."""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from pathlib import Path

KINDS = {"traefik": "Traefik", "postgres": "PostgreSQL"}
SERVER = "server"
ENGINE = ("dockerd", "containerd")
_TICK = os.sysconf("SC_CLK_TCK")


def of(folder: Path) -> dict[str, list[int]]:
    """Give the processes that were started for a state folder, by what they are: the rest is the server."""
    needle = str(folder).encode()
    parents: dict[int, int] = {}
    named: set[int] = set()
    for place in Path("/proc").glob("[0-9]*"):
        # One that ends meanwhile has nothing to show.
        with contextlib.suppress(OSError):
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if needle in (place / "cmdline").read_bytes() + (place / "environ").read_bytes():
                named.add(int(place.name))

    def is_ours(pid: int) -> bool:
        # PostgreSQL's processes write over their own environment: they are known by their parent.
        return pid in named or (pid in parents and is_ours(parents[pid]))

    found: dict[str, list[int]] = defaultdict(list)
    for pid in filter(is_ours, parents):
        with contextlib.suppress(OSError):
            found[KINDS.get(Path(f"/proc/{pid}/exe").readlink().name, SERVER)].append(pid)
    return dict(found)


def memory(pids: list[int]) -> int:
    """Give what processes take together, in bytes: what several share is counted once (PSS)."""
    return sum(_proportional(pid) for pid in pids)


def server_memory(folder: Path, looks: int) -> list[float]:
    """Measure the server of that state folder so often, a second apart, in MB."""
    taken = []
    for _ in range(looks):
        time.sleep(1)
        taken.append(memory(of(folder)[SERVER]) / 1e6)
    return taken


def of_engine() -> list[int]:
    """Give the processes of the engines of this machine, without what runs in their containers."""
    return [int(place.name) for place in Path("/proc").glob("[0-9]*") if _name(place) in ENGINE]


def processor(pids: list[int]) -> float:
    """Give the seconds of processor time that processes have taken so far, with what ended below them."""
    return sum(map(_seconds, pids))


def _name(place: Path) -> str:
    with contextlib.suppress(OSError):
        return (place / "comm").read_text().strip()
    return ""


def _seconds(pid: int) -> float:
    # One that has ended is in what its parent took.
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / _TICK
    return 0.0


def _proportional(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("Pss:"))
    return int(kilobytes) * 1024
