"""Agents of a few lines that speak raw bytes or WebSocket, and what links to them stand on."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from websockets.asyncio.server import serve

from agentpod_core.plugpoints.link import ExecResult
from agentpod_core.ports import PodInput
from agentpod_core.values.pods import Lease, PodSpec
from agentpod_core.values.workload import Port, SecretRef, Workload
from agentpod_core.values.world import Endpoint

TOKEN = "hunter2-token"
REF = SecretRef(key="pods/1/token")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"


def pod(**changes) -> PodInput:
    """Give a pod with a token and two ports."""
    workload = Workload(image="x", ports=(Port(name="http", number=1), Port(name="admin", number=2)))
    lease = Lease(number=0, subnet="10.214.0.0/26", gateway="10.214.0.1")
    fields = {
        "id": "1",
        "name": "main",
        "tenant_id": "t1",
        "tenant": "acme",
        "generation": 1,
        "spec": PodSpec(adapter="echo"),
        "workload": workload,
        "lease": lease,
        "address": "10.214.0.2",
        "hosts": (),
        "secrets": {"token": REF},
        "credential": "token",
    }
    return PodInput(**{**fields, **changes})


class Containers:
    """As much of a runtime as links use."""

    async def exec(self, container, argv, *, timeout, limit):  # noqa: ASYNC109
        return ExecResult(code=0, stdout=f"{container} {argv} {timeout} {limit}".encode())

    async def read(self, container, path, *, limit):
        return f"{container} {path} {limit}".encode()


class Secrets:
    """Counts how often a secret is asked for."""

    def __init__(self, value=TOKEN):
        self.value = value
        self.asked = []
        self.trouble = None
        self.takes = 0.0

    async def __call__(self, tenant, ref):
        self.asked.append((tenant, ref))
        await asyncio.sleep(self.takes)
        if self.trouble is not None:
            raise self.trouble
        return self.value


@asynccontextmanager
async def raw_agent(answer: bytes | None, *, seen: list | None = None, hold: bool = False, drip: float = 0.0):
    """Serve raw bytes to every request; None closes at once, ``hold`` keeps the connection open afterwards."""

    async def talk(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
            if seen is not None:
                seen.append(head + await reader.readexactly(length))
            if answer is not None:
                for piece in [answer] if not drip else [answer[i : i + 1] for i in range(len(answer))]:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(drip)
            if hold:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield Endpoint(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def speaking_agent(talk, **options):
    """Serve a WebSocket by ``talk``."""
    async with serve(talk, "127.0.0.1", 0, **options) as server:
        yield Endpoint(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
