"""Routes in labels on a real engine, beyond the contract: no gaps, whatever is cut short, and a switch of providers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agentpod_core import AgentPodError, Endpoint, Route, TemporaryError
from agentpod_core.testing.wire import Backend, Entrance
from agentpod_traefik import TraefikRouter, TraefikSettings

pytestmark = pytest.mark.docker

Opened = Callable[..., Awaitable[TraefikRouter]]
Running = Callable[..., AbstractContextManager[Any]]
Change = Callable[..., TraefikSettings]


def to(key: str, backend: Backend | int = 18789, **more: Any) -> Route:
    """Give a route to a backend, or to a port of loopback."""
    port = backend if isinstance(backend, int) else backend.port
    return Route(key=key, hosts=(f"{key}.contract.test",), target=Endpoint(host="127.0.0.1", port=port), **more)


def complaints(log: str) -> list[str]:
    """Give the lines of a log but for the advice that every start prints about encoded characters."""
    return [line for line in Path(log).read_text().splitlines() if "encoded characters" not in line]


async def until(holds: Callable[[], Awaitable[bool]], *, seconds: float = 15) -> None:
    """Wait for another process to come round."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - another process sends no event
            await asyncio.sleep(0.02)


async def says(door: Entrance, key: str, body: str) -> bool:
    """Say whether that backend answers for that route."""
    return (await door.get(f"{key}.contract.test")).body == body


def carried(names: list[str]) -> list[str]:
    """Give the keys that the names of carriers tell."""
    return [name.split("-route-")[1].rpartition("-")[0] for name in names if "-route-" in name]


@asynccontextmanager
async def hammering(door: Entrance, key: str) -> AsyncIterator[list[int | str]]:
    """Ask again and again, and for a while after what happens meanwhile; gives what was answered but for success."""
    wrong: list[int | str] = []
    asked = 0

    async def ask() -> None:
        nonlocal asked
        while True:
            try:
                status = (await door.get(f"{key}.contract.test")).status
            except OSError as error:
                wrong.append(repr(error))
            else:
                wrong.extend([status] if status != 200 else [])
            asked += 1

    task = asyncio.create_task(ask())
    try:
        yield wrong
        during = asked
        async with asyncio.timeout(15):
            while asked < during + 5:  # noqa: ASYNC110 - the agent sends no event
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert during > 0


@pytest.mark.slow
async def test_a_route_that_changes_is_served_throughout(
    folder: Path, opened: Opened, running: Running, but: Change, instance: str, relay: Any
) -> None:
    """No request in between finds nobody, though Traefik takes long to look at everything and does it all the time."""
    async with relay(delay=0.8) as slow, Backend("one") as one, Backend("two") as two:
        settings = but(provider="docker", docker_watch_endpoint=slow.endpoint)
        router = await opened(folder, settings, instance=instance)
        door = Entrance(address="127.0.0.1", port=settings.http)
        with running(router.daemon(), settings.ping):
            await router.apply([to("moving", one)])
            await until(lambda: says(door, "moving", "one"))
            async with hammering(door, "moving") as wrong:
                for turn in range(1, 4):
                    await router.apply([to("moving", (one, two)[turn % 2])])
                await until(lambda: says(door, "moving", "two"))
            assert wrong == []


@pytest.mark.parametrize("allowed", range(9))
async def test_an_apply_that_is_cut_short_is_finished_by_the_next(
    folder: Path, opened: Opened, but: Change, instance: str, docker: Any, relay: Any, allowed: int
) -> None:
    """Whichever change of the engine is the last of a process, another one brings about the same as without."""
    settings = but(provider="docker")
    whole = await opened(folder, settings, instance=instance)
    await whole.apply([to("kept"), to("changed"), to("removed")])
    budget = allowed

    def lets(request: bytes) -> bool:
        nonlocal budget
        budget -= not request.startswith(b"GET")
        return budget >= 0

    wanted = [to("kept"), to("changed", 1), to("added")]
    async with relay(lets) as between:
        cut = await opened(folder, but(provider="docker", docker_endpoint=between.endpoint), instance=instance)
        with contextlib.suppress(AgentPodError):
            await cut.apply(wanted)
        # Nine changes are all there are: 2 made, bell made, bell removed, rung, 2 removed, and once more a bell.
        assert [line for line in between.asked if not line.startswith(b"GET")]
    await whole.apply(wanted)
    assert await whole.observe() == sorted(wanted, key=lambda route: route.key)
    names = docker.names(instance)
    assert sorted(carried(names)) == ["added", "changed", "kept"]
    assert len([name for name in names if "-bell-" in name]) == 1
    assert await whole.apply(wanted) is False


async def test_what_a_killed_process_replaced_goes_after_a_ring_too(
    folder: Path, opened: Opened, but: Change, instance: str, relay: Any
) -> None:
    """Traefik may be at a look from before the new carrier: without a ring it would find neither of the two."""
    await (await opened(folder, but(provider="docker"), instance=instance)).apply([to("changed")])
    made = 0

    def lets(request: bytes) -> bool:
        nonlocal made
        made += not request.startswith(b"GET")
        return made <= 1

    async with relay(lets) as between:
        settings = but(provider="docker", docker_endpoint=between.endpoint)
        with pytest.raises(TemporaryError, match="EngineUnreachable"):
            await (await opened(folder, settings, instance=instance)).apply([to("changed", 1)])
    async with relay() as between:
        settings = but(provider="docker", docker_endpoint=between.endpoint)
        await (await opened(folder, settings, instance=instance)).apply([to("changed", 1)])
        changes = [line.split(b" ")[0] for line in between.asked if not line.startswith(b"GET")]
        # A bell is made, the former one goes, the new one rings; only then the former carrier goes.
        assert changes[:4] == [b"POST", b"DELETE", b"POST", b"DELETE"]


async def test_what_is_no_engine_is_told_as_one_out_of_reach(
    folder: Path, opened: Opened, but: Change, instance: str
) -> None:
    """Something else may listen at the address."""
    async with Backend("one") as one:
        settings = but(provider="docker", docker_endpoint=f"tcp://127.0.0.1:{one.port}")
        with pytest.raises(TemporaryError, match="EngineUnreachable"):
            await (await opened(folder, settings, instance=instance)).apply([to("one")])


async def test_a_traefik_that_is_busy_is_asked_again(folder: Path, opened: Opened, but: Change, instance: str) -> None:
    """A connection that ends without an answer is not taken for a Traefik that is not there."""
    asked = []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if len(asked) > 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    settings = but(provider="docker")
    router = await opened(folder, settings, instance=instance)
    async with await asyncio.start_server(meet, "127.0.0.1", settings.ping):
        await router.apply([to("one")])
    assert len(asked) == 2


async def test_traefik_is_told_of_what_a_killed_process_made(
    folder: Path, opened: Opened, running: Running, but: Change, instance: str, relay: Any
) -> None:
    """A carrier that nobody rang for is found out by the next apply, though nothing is missing."""
    settings = but(provider="docker")
    door = Entrance(address="127.0.0.1", port=settings.http)
    router = await opened(folder, settings, instance=instance)
    with running(router.daemon(), settings.ping):
        async with Backend("one") as one:
            async with relay(lambda request: b"/start" not in request[:120]) as between:
                cut = await opened(folder, but(provider="docker", docker_endpoint=between.endpoint), instance=instance)
                with pytest.raises(TemporaryError, match="EngineUnreachable"):
                    await cut.apply([to("one", one)])
            assert await router.observe() == [to("one", one)]
            assert not await says(door, "one", "one")
            await router.apply([to("one", one)])
            await until(lambda: says(door, "one", "one"))


async def test_what_was_removed_by_hand_is_made_again(
    folder: Path, opened: Opened, but: Change, instance: str, docker: Any
) -> None:
    """Clearing an engine of containers that don't run takes the carriers too; the next apply puts them back."""
    router = await opened(folder, but(provider="docker"), instance=instance)
    await router.apply([to("one"), to("two")])
    before = docker.names(instance)
    docker.sweep(instance)
    assert await router.observe() == []
    assert await router.apply([to("one"), to("two")]) is True
    assert carried(docker.names(instance)) == carried(before)
    await router.apply([])
    assert docker.names(instance) == []


async def test_an_image_cannot_pose_as_a_route(
    folder: Path, opened: Opened, running: Running, but: Change, instance: str, docker: Any
) -> None:
    """Labels of an agent's container, which its image may choose, are neither served, nor listed, nor removed."""
    settings = but(provider="docker")
    door = Entrance(address="127.0.0.1", port=settings.http)
    router = await opened(folder, settings, instance=instance)
    with running(router.daemon(), settings.ping):
        async with Backend("one") as one:
            await router.apply([to("evil", one)])
            await until(lambda: says(door, "evil", "one"))
            (carrier,) = docker.containers(f"agentpod.instance={instance}", "agentpod.route")
            await router.apply([])
            await until(lambda: _is_gone(door, "evil"))
            docker.create(f"agentpod-{instance}-pod", {**carrier["Labels"], "agentpod.pod-id": "018f"})
            assert await router.observe() == []
            await router.apply([to("one", one)])
            await until(lambda: says(door, "one", "one"))
            assert (await door.get("evil.contract.test")).status == 404
            await router.apply([])
            assert docker.names(instance) == [f"agentpod-{instance}-pod"]


async def test_two_platforms_on_one_engine_keep_apart(
    folder: Path, opened: Opened, running: Running, but: Change, instance: str, docker: Any, unused_tcp_port: int
) -> None:
    """Neither serves, lists or removes what the other set, though both have a route of one key."""
    settings = but(provider="docker")
    door = Entrance(address="127.0.0.1", port=settings.http)
    theirs = instance[::-1]
    (folder / "theirs").mkdir()
    router = await opened(folder, settings, instance=instance)
    neighbour = await opened(folder / "theirs", but(provider="docker", ping=unused_tcp_port), instance=theirs)
    try:
        with running(router.daemon(), settings.ping):
            async with Backend("ours") as ours, Backend("theirs") as other:
                await neighbour.apply([to("one", other), to("two", other)])
                await router.apply([to("one", ours)])
                await until(lambda: says(door, "one", "ours"))
                assert (await door.get("two.contract.test")).status == 404
                assert await neighbour.observe() == [to("one", other), to("two", other)]
                assert await neighbour.apply([]) is True
                assert await says(door, "one", "ours")
                assert carried(docker.names(instance)) == ["one"]
    finally:
        docker.sweep(theirs)


async def test_an_engine_may_be_reached_by_network(
    folder: Path, opened: Opened, running: Running, but: Change, instance: str, relay: Any, unused_tcp_port: int
) -> None:
    """With a TCP address both sides use it, and Traefik needs no group of a socket."""
    async with relay(port=unused_tcp_port) as between, Backend("one") as one:
        settings = but(provider="docker", docker_endpoint=f"tcp://127.0.0.1:{unused_tcp_port}")
        router = await opened(folder, settings, instance=instance)
        door = Entrance(address="127.0.0.1", port=settings.http)
        assert router.daemon().groups == ()
        with running(router.daemon(), settings.ping):
            await router.apply([to("one", one)])
            await until(lambda: says(door, "one", "one"))
            assert any(b"/events" in line for line in between.asked)


async def test_traefik_needs_to_read_only(
    folder: Path, opened: Opened, running: Running, but: Change, instance: str, relay: Any
) -> None:
    """Behind a proxy that lets nothing but GET through, Traefik serves as ever."""
    async with relay(lambda request: request.startswith((b"GET", b"HEAD"))) as between, Backend("one") as one:
        settings = but(provider="docker", docker_watch_endpoint=between.endpoint)
        router = await opened(folder, settings, instance=instance)
        door = Entrance(address="127.0.0.1", port=settings.http)
        daemon = router.daemon()
        # The process is waited for without giving the relay its turn, which it does not need before it serves.
        with running(daemon, settings.ping):
            await router.apply([to("one", one)])
            await until(lambda: says(door, "one", "one"))
            assert between.asked
            assert {line.split(b" ")[0] for line in between.asked} <= {b"GET", b"HEAD"}
            assert await router.ready() is True


async def test_routes_live_on_while_the_engine_is_away(
    folder: Path, opened: Opened, running: Running, but: Change, instance: str, relay: Any
) -> None:
    """Traefik serves what it knew, the router says what is the matter, and both catch up when the engine is back."""
    async with AsyncExitStack() as engine, Backend("one") as one:
        between = await engine.enter_async_context(relay())
        settings = but(provider="docker", docker_endpoint=between.endpoint)
        router = await opened(folder, settings, instance=instance)
        door = Entrance(address="127.0.0.1", port=settings.http)
        with running(router.daemon(), settings.ping):
            await router.apply([to("one", one)])
            await until(lambda: says(door, "one", "one"))
            # In the middle of a look Traefik would take what it cannot inspect for gone. It looks at each event of the
            # engine, also at those of other tests.
            await until(partial(_is_quiet, between), seconds=120)
            await engine.aclose()
            for ask in (router.observe, partial(router.apply, []), partial(router.apply, [to("two", one)])):
                with pytest.raises(TemporaryError, match="EngineUnreachable"):
                    await ask()
            assert await says(door, "one", "one")
            await engine.enter_async_context(relay())
            await router.apply([to("one", one), to("two", one)])
            await until(lambda: says(door, "two", "one"))


@pytest.mark.slow
async def test_a_traefik_that_sees_no_engine_is_not_ready(
    folder: Path, opened: Opened, running: Running, but: Change, instance: str, relay: Any, caplog: Any
) -> None:
    """It answers its ping and follows nothing: that is told, and routes that are still in files stay there."""
    async with relay(lambda _: False) as between, Backend("one") as one:
        await (await opened(folder, but(), instance=instance)).apply([to("one", one)])
        settings = but(provider="docker", docker_watch_endpoint=between.endpoint)
        router = await opened(folder, settings, instance=instance)
        with running(router.daemon(), settings.ping):
            with caplog.at_level(logging.WARNING):
                await router.apply([to("one", one)])
            assert "Traefik does not follow" in caplog.text
            assert await router.ready() is False
            assert await says(Entrance(address="127.0.0.1", port=settings.http), "one", "one")


async def test_the_next_traefik_serves_what_is_in_labels(
    folder: Path, opened: Opened, running: Running, but: Change, instance: str
) -> None:
    """Carriers are the truth: a Traefik that starts finds all routes and complains of nothing."""
    settings = but(provider="docker")
    router = await opened(folder, settings, instance=instance)
    door = Entrance(address="127.0.0.1", port=settings.http)
    async with Backend("one") as one:
        await router.apply([to("one", one)])
        await router.close()
        for _ in range(2):
            daemon = (await opened(folder, settings, instance=instance)).daemon()
            with running(daemon, settings.ping):
                await until(lambda: says(door, "one", "one"))
    assert complaints(daemon.log) == []


async def test_a_switch_of_providers_moves_the_routes(
    folder: Path, opened: Opened, running: Running, but: Change, instance: str, docker: Any, relay: Any
) -> None:
    """From files to labels and back: the next Traefik serves from its start, and nothing of the other way is left."""
    async with relay(delay=0.8) as slow, Backend("one") as one:
        route = to("one", one)
        await (await opened(folder, but(), instance=instance)).apply([route])
        for provider, files in (("docker", ["agentpod.yml"]), ("file", ["agentpod-one.yml", "agentpod.yml"])):
            settings = but(provider=provider, docker_watch_endpoint=slow.endpoint)
            door = Entrance(address="127.0.0.1", port=settings.http)
            router = await opened(folder, settings, instance=instance)
            with running(router.daemon(), settings.ping):
                await until(lambda door=door: says(door, "one", "one"))
                async with hammering(door, "one") as wrong:
                    assert await router.apply([route]) is True
                assert wrong == []
                assert sorted(path.name for path in (folder / "routes").iterdir()) == files
                assert carried(docker.names(instance)) == (["one"] if provider == "docker" else [])
                assert await router.observe() == [route]
                assert await router.apply([route]) is False
        assert docker.names(instance) == []


async def test_a_switch_to_files_waits_for_no_engine(
    folder: Path, opened: Opened, but: Change, instance: str, docker: Any, relay: Any
) -> None:
    """Files work without an engine; what is left in labels goes when it is back."""
    async with relay() as between:
        former = await opened(folder, but(provider="docker", docker_endpoint=between.endpoint), instance=instance)
        await former.apply([to("one")])
    router = await opened(folder, but(), instance=instance)
    assert await router.apply([to("one")]) is True
    assert carried(docker.names(instance)) == ["one"]
    async with relay():
        assert await router.apply([to("one")]) is True
    assert docker.names(instance) == []
    assert await router.apply([to("one")]) is False


async def _is_quiet(relay: Any) -> bool:
    asked = len(relay.asked)
    await asyncio.sleep(0.5)
    return len(relay.asked) == asked


async def _is_gone(door: Entrance, key: str) -> bool:
    return (await door.get(f"{key}.contract.test")).status == 404
