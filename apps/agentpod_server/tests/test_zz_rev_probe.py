from __future__ import annotations
import asyncio, time
import pytest, httpx
from agentpod_server.testing import eventually
pytestmark = pytest.mark.asyncio(loop_scope="session")

async def raw(rig, data: bytes, seconds=60) -> bytes:
    host, port = rig.url.removeprefix("http://").split(":")
    r, w = await asyncio.open_connection(host, int(port))
    w.write(data); 
    out = b""
    try:
        await w.drain()
        async with asyncio.timeout(seconds):
            while d := await r.read(65536):
                out += d
    except (TimeoutError, ConnectionError) as e: print(repr(e))
    w.close()
    return out

async def test_big_url(api, rig):
    for n in (100_000, 1_000_000):
        t = time.monotonic()
        out = await raw(rig, b"POST /api/v1/login?" + b"a&" * n + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        print("big", n, out[:30], len(out), time.monotonic() - t)

async def test_head_quiet_log(api, rig):
    pod = (await rig.pod(api)).json()
    rig.engine.runs(pod["id"])
    before = len(asyncio.all_tasks())
    t = time.monotonic()
    a = await asyncio.wait_for(api.head("/api/v1/tenants/acme/pods/main/logs?follow=true"), 5)
    print(a.status_code, a.headers, time.monotonic()-t)
    out = await raw(rig, b"HEAD /api/v1/tenants/acme/pods/main/logs?follow=true HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + rig.token.encode() + b"\r\n\r\n", 3)
    print(time.monotonic()-t, out[:40])
    await asyncio.sleep(1)
    print(before, len(asyncio.all_tasks()))
    for task in asyncio.all_tasks(): print(task)
