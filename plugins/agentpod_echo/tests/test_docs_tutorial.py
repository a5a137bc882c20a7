"""The tutorial's code runs: every version of its plugin loads, and the last passes the contract as written."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest

from agentpod_core import OnChange
from agentpod_core.desired import workload_problems
from agentpod_core.host import Host
from agentpod_core.testing import sample_pod

PAGE = Path(__file__).parents[3] / "docs" / "tutorial" / "first-adapter.md"
BLOCK = re.compile(r"^```\w+ file=(\S+)(?: version=(\d))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
VERSIONS = ("1", "2", "3")


def blocks():
    """Give the page's files by name and version."""
    return {(name, version): text for name, version, text in BLOCK.findall(PAGE.read_text())}


def lay_out(folder, version):
    """Write the plugin as it stands after that section, as an installed distribution."""
    given = blocks()
    for name, which in given:
        if which in {"", version}:
            (folder / name).write_text(given[name, which])
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    facts = folder / f"agentpod_hello-{project['version']}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [f"{name} = {value}" for name, value in project["entry-points"]["agentpod"].items()]
    (facts / "entry_points.txt").write_text("\n".join(["[agentpod]", *points, ""]))


@pytest.fixture
def adapter(request, tmp_path, monkeypatch):
    """The adapter of one version, as the host finds it."""
    lay_out(tmp_path, request.param)
    monkeypatch.syspath_prepend(str(tmp_path))
    [distribution] = importlib.metadata.distributions(path=[str(tmp_path)])
    host = Host(entry_points=list(distribution.entry_points))
    yield host.agent("hello")
    sys.modules.pop("agentpod_hello")


def test_the_page_has_every_file():
    """All blocks were found; a renamed one would leave the other tests with nothing."""
    modules = {("agentpod_hello.py", version) for version in VERSIONS}
    assert set(blocks()) == modules | {("pyproject.toml", ""), ("test_hello.py", "")}


@pytest.mark.parametrize("adapter", VERSIONS, indirect=True)
def test_every_version_renders_a_workload(adapter):
    """After each section the plugin loads by its entry point and renders a workload that fits together."""
    pod = sample_pod(adapter)
    workload = adapter.workload(adapter.config_type(), pod, None)
    assert workload_problems(workload) == []
    assert "Hello from support." in workload.files[0].parts[0]


@pytest.mark.parametrize("adapter", ["2", "3"], indirect=True)
def test_the_greeting_is_live(adapter):
    """A new greeting changes only a live file, as the page says."""
    pod = sample_pod(adapter)
    before, after = (
        adapter.workload(adapter.config_type(greeting=text), pod, None).files for text in ("Hello", "Servus")
    )
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert [file.on_change for file in changed] == [OnChange.LIVE]


@pytest.mark.slow
async def test_the_contract_passes_as_the_page_says(tmp_path):
    """The page's test module passes with the page's last version."""
    lay_out(tmp_path, "3")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hello.py"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert int(re.search(r"(\d+) passed", output.decode())[1]) >= 20
