"""An agent that answers every HTTP request at once, in a process of its own so that only asking is counted.

``python -m stage.answering`` says its port on loopback and answers until its input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen

from agentpod_core.values.world import Endpoint

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@contextlib.contextmanager
def answering() -> Iterator[Endpoint]:
    """Give the place of such an agent while the block runs."""
    command = [sys.executable, "-m", "stage.answering"]
    with Popen(command, cwd=Path(__file__).parents[1], stdin=PIPE, stdout=PIPE, text=True) as agent:
        assert agent.stdin is not None
        assert agent.stdout is not None
        try:
            yield Endpoint(host="127.0.0.1", port=int(agent.stdout.readline()))
        finally:
            agent.stdin.close()


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_ANSWER)
        await writer.drain()
    writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_talk, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
