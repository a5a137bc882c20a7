"""The example that embeds the core runs as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "core_alone.py"
INSTANCE = "corealtx"


@pytest.fixture
def swept():
    """Leave nothing on the engine, however the example ends."""
    yield
    subprocess.run([sys.executable, "-m", "agentpod_docker.sweep", INSTANCE, "--volumes"], check=True)


@pytest.mark.docker
def test_an_agent_lives_without_server_or_database(swept):
    """The example's agent gets ready, is healed after a kill, and leaves nothing behind."""
    env = {**os.environ, "INSTANCE": INSTANCE, "ADDRESSES": "10.253.1.0/26"}
    done = subprocess.run([sys.executable, EXAMPLE], env=env, text=True, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert "ready at 10.253.1.4" in said
    assert "healed: Creating Starting Running ContainerExited Restarting Running" in said
    assert said[-1] == "removed"
    label = f"label=agentpod.instance={INSTANCE}"
    left = [
        subprocess.run(["docker", *kind, "-q", "--filter", label], text=True, capture_output=True, check=True).stdout
        for kind in (["ps", "-a"], ["volume", "ls"], ["network", "ls"])
    ]
    assert left == ["", "", ""]


def test_the_example_knows_neither_server_nor_database():
    """It imports the core's public modules and nothing else of this project."""
    ours = [
        line.split()[1]
        for line in EXAMPLE.read_text().splitlines()
        if line.startswith(("from agentpod", "import agentpod"))
    ]
    assert ours == ["agentpod_core", "agentpod_core.embedding"]
