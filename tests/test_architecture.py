"""What holds for the workspace as a whole: how it is laid out, found and named."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = sorted(
    path.parent
    for pattern in ("agentpod_*/pyproject.toml", "plugins/*/pyproject.toml", "apps/*/pyproject.toml")
    for path in ROOT.glob(pattern)
)
PLUGINS = {
    "apprise": "agentpod-apprise",
    "docker": "agentpod-docker",
    "echo": "agentpod-echo",
    "http_probe": "agentpod-http-probe",
    "openclaw": "agentpod-openclaw",
    "traefik": "agentpod-traefik",
}
NEEDED = {"agentpod_core": [], "agentpod_client": [], "agentpod_cli": ["agentpod-client", "agentpod-core"]}
"""What a distribution needs of its neighbours, where that is not the core alone."""


def tracked() -> list[Path]:
    """List the files that the repository holds."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_what_is_imported_is_what_is_installed(folder: Path) -> None:
    """The outer folder of the same name never stands in for the package."""
    done = subprocess.run(
        [ROOT / ".venv/bin/python", "-c", f"import {folder.name}; print({folder.name}.__file__)"],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(folder / "src" / folder.name / "__init__.py")


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_a_distribution_names_its_neighbours_by_version(folder: Path) -> None:
    """Whoever needs the core or the client says which, and nobody depends on a plugin."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    needed = [name for name in project["dependencies"] if name.startswith("agentpod")]
    assert needed == [f"{name}>=0.1,<0.2" for name in NEEDED.get(folder.name, ["agentpod-core"])]
    assert not (folder / "__init__.py").exists()


def test_plugins_are_found_by_entry_point() -> None:
    """Every plugin of this repository joins by the one group, under its own name."""
    found = {one.name: one.dist.name for one in metadata.entry_points(group="agentpod") if one.dist}
    assert found.items() >= PLUGINS.items()


def test_versions_are_pinned_without_addresses() -> None:
    """The constraints pin every version and name no place to get them from."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+", line) for line in lines)


def test_no_file_names_a_registry_or_this_machine() -> None:
    """The project says package names; where they come from is the user's configuration."""
    hosts = re.compile(rb"pyp" rb"i\.org|pythonhoste" rb"d|registry\.npm" rb"js|deb\.deb" rb"ian|/wor" rb"k/main")
    assert [path.name for path in tracked() if hosts.search(path.read_bytes())] == []


def test_python_files_can_be_read_in_one_sitting() -> None:
    """No module is longer than 400 lines, but for migrations, which are written once."""
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked()
        if path.suffix == ".py" and "_migrations" not in str(path) and "/tests/" not in str(path)
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert too_long == {}
