"""The platform that the tests in this folder share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "plugins"


@pytest.fixture(scope="session")
def platform(lasting_platform, throwaway_plugins):
    """Give a running platform with the light agent's image, and a plugin of which agents mend themselves."""
    folder = throwaway_plugins()
    folder.install("agentpod-mending", (SOURCES / "mending.py").read_text())
    platform = lasting_platform(network="10.216.0.0/16", extra={"PYTHONPATH": str(folder.path)})
    platform.up()
    platform.agentpod("image", "build", "echo")
    return platform


class ThrowawayPlugins:
    """Plugins in a folder that a server gets as PYTHONPATH: each a module and the metadata of its distribution."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(self, name: str, code: str, *, version: str = "1.0", point: str = "", requires: str = "") -> None:
        """Put a plugin there; ``point`` is its entry point's name where that is not the distribution's."""
        module = name.replace("-", "_")
        (self.path / f"{module}.py").write_text(code)
        info = self.path / f"{module}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requires}"] if requires else []
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(f"[agentpod]\n{point or name} = {module}\n")

    def uninstall(self, name: str) -> None:
        """Take a plugin away again."""
        module = name.replace("-", "_")
        (self.path / f"{module}.py").unlink()
        shutil.rmtree(self.path / "__pycache__", ignore_errors=True)
        for info in self.path.glob(f"{module}-*.dist-info"):
            shutil.rmtree(info)


@pytest.fixture(scope="session")
def throwaway_plugins() -> Iterator[Callable[[], ThrowawayPlugins]]:
    """Give a maker of folders with plugins."""
    made: list[Path] = []

    def make() -> ThrowawayPlugins:
        made.append(Path(tempfile.mkdtemp(prefix="agentpod-plugins-")))
        return ThrowawayPlugins(made[-1])

    yield make
    for path in made:
        shutil.rmtree(path)
