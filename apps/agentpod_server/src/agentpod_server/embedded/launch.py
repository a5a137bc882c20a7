"""Hands a program to ``detach`` and gives the recorded process; the server is never its parent."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from agentpod_core.errors import PermanentError, TemporaryError
from agentpod_server.embedded import detach
from agentpod_server.embedded.accounts import Account
from agentpod_server.embedded.processes import Process

_SECONDS = 30.0


async def launch(  # noqa: PLR0913 - the fields of a task
    name: str,
    argv: Sequence[str],
    *,
    record: Path,
    identity: str,
    log: Path,
    user: Account | None = None,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
    capabilities: Sequence[str] = (),
    groups: Sequence[int] = (),
) -> Process:
    """Start a program on its own and give it once it is recorded and executing.

    Where ``record`` names a process that runs already, that one comes back instead.

    Raises:
        PermanentError: ``ProcessNotStarted``: it cannot be executed; params say at which step and why.
        TemporaryError: ``ProcessNotStarted``: the machine did not get to it in time.
    """
    task = {
        "argv": list(argv),
        "env": dict(env or {}),
        "record": str(record),
        "identity": identity,
        "log": str(log),
        "user": {"uid": user.uid, "gid": user.gid} if user else None,
        "folder": str(folder or "/"),
        "capabilities": list(capabilities),
        "groups": list(groups),
    }
    told = await asyncio.to_thread(_run, name, msgspec.json.encode(task))
    answer = msgspec.json.decode(told.strip().splitlines()[-1])
    if "error" in answer:
        raise PermanentError("ProcessNotStarted", name=name, step=answer["step"], problem=answer["error"])
    return msgspec.convert({key: value for key, value in answer.items() if key != "existing"}, Process)


def _run(name: str, task: bytes) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - our own script; what to run comes by its input
            [sys.executable, "-I", "-S", detach.__file__],
            input=task,
            capture_output=True,
            check=True,
            timeout=_SECONDS,
            cwd="/",
            env={},
        )
    except subprocess.TimeoutExpired:
        raise TemporaryError("ProcessNotStarted", name=name, step="start", problem="no answer in time") from None
    except subprocess.CalledProcessError as error:
        problem = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise PermanentError("ProcessNotStarted", name=name, step="start", problem="".join(problem)) from error
    except OSError as error:
        problem = f"{error.strerror}: {sys.executable}"
        raise PermanentError("ProcessNotStarted", name=name, step="start", problem=problem) from error
    return done.stdout
