"""An engine that is another one from one moment to the next: what it speaks is asked again, and nothing gets stuck."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agentpod_core import PermanentError, TemporaryError
from agentpod_docker.engine import Engine, Refused
from agentpod_docker.streams import watch


class Upgradable:
    """An engine that refuses clients older than ``oldest``, as the real one does; ``asked`` are the paths."""

    def __init__(self) -> None:
        self.oldest, self.newest = "1.24", "1.47"
        self.asked: list[str] = []
        self.events = asyncio.Event()

    def upgrade(self) -> None:
        self.oldest, self.newest = "1.44", "1.52"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        prefix, _, path = request.path.removeprefix("/v").partition("/")
        version = prefix if request.path.startswith("/v1.") else None
        if version and _number(version) < _number(self.oldest):
            text = f"client version {version} is too old. Minimum supported API version is {self.oldest}"
            return web.json_response({"message": text}, status=400)
        if request.path == "/version":
            return web.json_response({"ApiVersion": self.newest, "MinAPIVersion": self.oldest, "Version": "x"})
        if path == "info":
            return web.json_response({"NCPU": 2})
        if path.endswith("/stats"):
            return web.Response()
        if path == "events":
            response = web.StreamResponse()
            await response.prepare(request)
            await self.events.wait()
            return response
        return web.json_response({"sent": len(await request.read())})


def _number(version: str) -> int:
    return int(version.partition(".")[2])


@pytest.fixture
async def upgradable(tmp_path: Path) -> AsyncIterator[Upgradable]:
    """Give an engine that listens at ``engine.sock``."""
    made = Upgradable()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "engine.sock")).start()
    yield made
    made.events.set()
    await runner.cleanup()


@pytest.fixture
async def engine(upgradable: Upgradable, tmp_path: Path) -> AsyncIterator[Engine]:
    """Give what speaks to it, and has met it."""
    made = await Engine.connect(f"unix://{tmp_path}/engine.sock")
    yield made
    await made.close()


async def test_an_upgraded_engine_is_met_again(engine: Engine, upgradable: Upgradable) -> None:
    """The engine that no longer speaks what it spoke is asked anew, in the same request, and then spoken to so."""
    await engine.json("GET", "containers/json")
    upgradable.upgrade()
    assert await engine.json("POST", "containers/create", body={"a": 1}) == {"sent": 8}
    upgradable.asked.clear()
    await engine.json("GET", "containers/json")
    assert upgradable.asked == ["/v1.44/containers/json"]


async def test_what_can_be_sent_once_only_is_tried_again_by_whoever_sent_it(
    engine: Engine, upgradable: Upgradable
) -> None:
    """A context of a build that is on its way when the engine turns out to be another one is a passing failure."""

    async def archive() -> AsyncIterator[bytes]:
        yield b"abc"

    upgradable.upgrade()
    with pytest.raises(TemporaryError):
        async with engine.stream("POST", "build", data=archive()):
            pass
    async with engine.stream("POST", "build", data=archive()) as response:
        assert await response.json() == {"sent": 3}


async def test_an_engine_that_became_too_old_says_so(engine: Engine, upgradable: Upgradable) -> None:
    """After the loss of its events the engine is met again; one that cannot do what is needed is refused."""

    class Clock:
        def now(self) -> Any:
            return None

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    following = watch(engine, "upgraded", Clock())  # type: ignore[arg-type]
    assert (await anext(following)).kind == "resync"
    upgradable.oldest, upgradable.newest = "1.12", "1.40"
    upgradable.events.set()
    with pytest.raises(PermanentError) as caught:
        await anext(following)
    assert caught.value.reason == "EngineTooOld"
    with pytest.raises(PermanentError):
        await engine.json("GET", "containers/json")


async def test_another_refusal_is_no_upgrade(engine: Engine, upgradable: Upgradable) -> None:
    """Only what speaks of the version has the engine met again; any other refusal stays the caller's."""
    refused = Refused(400, "invalid reference format")
    upgradable.asked.clear()
    assert (refused.is_of_version, Refused(403, "client version").is_of_version) == (False, False)
    await engine.json("GET", "containers/json")
    assert upgradable.asked == ["/v1.41/containers/json"]


async def test_an_engine_that_ends_in_the_midst_of_its_answer_is_away(engine: Engine) -> None:
    """An answer's head and nothing after it is what a killed engine leaves of it."""
    with pytest.raises(TemporaryError) as caught:
        await engine.json("GET", "containers/a/stats")
    assert caught.value.reason == "EngineUnreachable"


async def test_those_who_wait_for_an_end_keep_nobody_waiting(engine: Engine, upgradable: Upgradable) -> None:
    """More waits for the end of containers than a client has connections leave room for quick questions."""

    async def stop(_: web.Request) -> web.StreamResponse:
        await upgradable.events.wait()
        return web.json_response({})

    quick = upgradable.answer

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (stop(request) if request.path.endswith("/stop") else quick(request))

    upgradable.answer = answer  # type: ignore[method-assign]
    waits = [asyncio.create_task(engine.json("POST", "containers/a/stop", seconds=300)) for _ in range(110)]
    await asyncio.sleep(0.2)
    async with asyncio.timeout(5):
        await engine.json("GET", "containers/json")
    upgradable.events.set()
    await asyncio.gather(*waits)
