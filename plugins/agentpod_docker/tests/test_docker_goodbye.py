"""An engine that is being stopped: it takes no new connections, and what it still shows on old ones is its own end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agentpod_core import ContainerState, TemporaryError
from agentpod_docker import DockerRuntime
from agentpod_docker.engine import Engine

INSTANCE = "abc"


class Stoppable:
    """An engine with one container, in that state."""

    def __init__(self) -> None:
        self.state = "running"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/version":
            return web.json_response({"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10"})
        if request.path.endswith("/info"):
            return web.json_response({"NCPU": 2})
        if request.path.endswith("/volumes"):
            return web.json_response({"Volumes": []})
        if request.path.endswith("/containers/json"):
            return web.json_response([])
        seen: dict[str, Any] = {
            "Id": "c1",
            "Name": "/pod",
            "Config": {"Image": "a:1", "Labels": {"agentpod.instance": INSTANCE}},
            "State": {"Status": self.state, "ExitCode": 0},
            "HostConfig": {},
        }
        return web.json_response(seen)


@pytest.fixture
async def stoppable() -> AsyncIterator[tuple[Stoppable, web.AppRunner]]:
    """Give an engine and what lets it listen."""
    made = Stoppable()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    yield made, runner
    await runner.cleanup()


async def test_what_ends_with_its_engine_is_not_said_to_have_ended(
    stoppable: tuple[Stoppable, web.AppRunner], tmp_path: Path
) -> None:
    """While it is being stopped it is as good as away, for whatever it ended; once it is back, it is believed."""
    engine, runner = stoppable
    path = str(tmp_path / "engine.sock")
    site = web.UnixSite(runner, path)
    await site.start()
    runtime = DockerRuntime()
    runtime._instance, runtime._opened = INSTANCE, await Engine.connect(f"unix://{path}")
    try:
        assert (await runtime.inspect("pod")).state is ContainerState.RUNNING
        await site.stop()
        # It is the old connection on which it still answers.
        assert (await runtime.inspect("pod")).state is ContainerState.RUNNING
        engine.state = "exited"
        for look in (runtime.inspect, runtime.observe_pod):
            with pytest.raises(TemporaryError) as caught:
                await look("pod")
            assert caught.value.reason == "EngineUnreachable"
        await web.UnixSite(runner, path).start()
        assert (await runtime.inspect("pod")).state is ContainerState.EXITED
    finally:
        await runtime.close()
