"""Every operation of the API, asked with data of all kinds by schemathesis: its answers are as documented.

It runs in a process of its own against the served rig; what it may do is in schemathesis.toml, and what it
looks at besides its own checks in schemathesis_checks.py. Two
operations can answer without end (events as a stream, logs that are followed): it asks them without,
and test_api_streams.py asks the streams.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from agentpod_server.records import Role

pytestmark = pytest.mark.asyncio(loop_scope="session")

HERE = Path(__file__).parent


async def populate(api, rig) -> None:
    """Make two tenants with two running pods each, so that there is something to ask for."""
    for tenant in ("acme", "other"):
        for name in ("main", "spare"):
            pod = (await rig.pod(api, tenant=tenant, name=name)).json()
            rig.engine.runs(pod["id"])


async def run(rig, token: str, folder: Path) -> tuple[int, str]:
    """Run schemathesis as the holder of a token; give its exit code and what it says."""
    arguments = [
        "--config-file", HERE / "schemathesis.toml",
        "run", f"{rig.url}/schema/openapi.json",
        "--header", f"Authorization: Bearer {token}",
        "--continue-on-failure",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", *map(str, arguments),
        cwd=folder,
        env=os.environ | {"NO_COLOR": "1", "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_checks.py")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, output.decode(errors="replace")


@pytest.mark.timeout(180)
async def test_an_administrator_gets_what_is_documented(api, rig, tmp_path):
    """Whatever an administrator's program sends, every answer is one that the document tells of."""
    await populate(api, rig)
    code, said = await run(rig, rig.token, tmp_path)
    assert code == 0, said


@pytest.mark.timeout(180)
async def test_a_viewer_of_one_tenant_gets_what_is_documented(api, rig, tmp_path):
    """Whatever a program that may only look at one tenant sends, every answer is one that the document tells of."""
    await populate(api, rig)
    code, said = await run(rig, await rig.token_for(Role.VIEWER, "acme"), tmp_path)
    assert code == 0, said
