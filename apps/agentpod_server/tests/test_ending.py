"""A server that was told to end does, whatever plugins left behind in it."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, logging, sys, threading, time
from agentpod_server import main

async def swallows():
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass

async def run(*_):
    {left}
    await asyncio.sleep(0.1)
    print("in order", flush=True)
    return 3

logging.basicConfig()
main._run = run
main.ending.PATIENCE = 0.5
sys.exit(main.main(["up"]))
"""


@pytest.mark.parametrize(
    ("left", "name"),
    [
        ("kept = asyncio.create_task(swallows(), name='probe:bad check')", "probe:bad check"),
        ("asyncio.get_running_loop().run_in_executor(None, time.sleep, 1000)", "asyncio_0"),
        ("threading.Thread(target=time.sleep, args=(1000,), name='own').start()", "own"),
    ],
)
def test_what_does_not_end_keeps_no_process(tmp_path, left, name) -> None:
    """A task that swallows its end and threads that wait are named and left; the exit code is the server's own."""
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{left}", left)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={"AGENTPOD_STATE_DIR": str(tmp_path / "state"), "PATH": "/usr/bin:/bin"},
    )
    assert found.returncode == 3, found.stderr
    assert found.stdout == "in order\n"
    assert "ended without " in found.stderr
    assert name in found.stderr
