"""Plugins that only the bench has, and the way in which a platform of the bench comes to load one."""

from __future__ import annotations

from pathlib import Path

_BENCH = Path(__file__).parents[2]


def installed(name: str, folder: Path) -> tuple[Path, ...]:
    """Describe a module of this package as an installed plugin; gives the folders that the server has to look in."""
    there = folder / f"agentpod_bench_{name}-0.dist-info"
    there.mkdir(parents=True)
    (there / "METADATA").write_text(f"Metadata-Version: 2.1\nName: agentpod-bench-{name}\nVersion: 0\n")
    (there / "entry_points.txt").write_text(f"[agentpod]\nbench-{name} = stage.plugins.{name}\n")
    return folder, _BENCH
