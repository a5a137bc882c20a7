"""What only a running Traefik can show, beyond the contract: certificates, redirects, restarts, its log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509

from agentpod_core import Clock, Endpoint, Route
from agentpod_core.testing.wire import Backend, Entrance, WebSocket
from agentpod_traefik import TraefikRouter, TraefikSettings
from agentpod_traefik.certificates import make_self_signed

Opened = Callable[..., Awaitable[TraefikRouter]]
Running = Callable[..., AbstractContextManager[Any]]
Change = Callable[..., TraefikSettings]


def to(key: str, backend: Backend) -> Route:
    """Give a route to a backend."""
    return Route(key=key, hosts=(f"{key}.contract.test",), target=Endpoint(host="127.0.0.1", port=backend.port))


def complaints(log: str) -> list[str]:
    """Give the lines of a log but for the advice that every start prints about encoded characters."""
    return [line for line in Path(log).read_text().splitlines() if "encoded characters" not in line]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for another process to come round."""
    async with asyncio.timeout(15):
        while not await holds():  # noqa: ASYNC110 - another process sends no event
            await asyncio.sleep(0.02)


async def test_the_certificate_of_the_domain_is_served_and_renewed_without_a_restart(
    folder: Path, tmp_path: Path, opened: Opened, running: Running, but: Change, clock: Clock
) -> None:
    """Every host gets the operator's certificate; a renewed one is served after the next apply, sockets stay open."""
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"

    def renew() -> bytes:
        chain, secret = make_self_signed("contract.test", clock.now())
        certificate.write_bytes(chain)
        key.write_bytes(secret)
        return chain

    first = renew()
    settings = but(self_signed_domain=None, certificate=str(certificate), key=str(key))
    router = await opened(folder, settings)
    secure = Entrance(address="127.0.0.1", port=settings.https or 0, tls=True)

    async def serves(chain: bytes) -> bool:
        served = await asyncio.to_thread(x509.load_der_x509_certificate, await secure.certificate("one.contract.test"))
        return served == x509.load_pem_x509_certificate(chain)

    with running(router.daemon(), settings.ping):
        async with Backend("one") as one:
            await router.apply([to("one", one)])
            await until(lambda: serves(first))
            await until(lambda: _answers(secure, "one", 200))
            socket = await secure.websocket("one.contract.test")
            assert isinstance(socket, WebSocket)
            second = renew()
            assert await router.apply([to("one", one)]) is False
            await until(lambda: serves(second))
            assert await socket.echoes("still here")
            await socket.close()


async def test_plain_requests_are_sent_to_https_when_that_is_set(
    folder: Path, opened: Opened, running: Running, but: Change
) -> None:
    """The redirect keeps host, path and query, names the HTTPS port, and is not for ever."""
    settings = but(redirect=True)
    router = await opened(folder, settings)
    plain = Entrance(address="127.0.0.1", port=settings.http)
    secure = Entrance(address="127.0.0.1", port=settings.https or 0, tls=True)
    with running(router.daemon(), settings.ping):
        async with Backend("one") as one:
            await router.apply([to("one", one)])
            await until(lambda: _answers(secure, "one", 200))
            answer = await plain.get("one.contract.test", "/path?query=1")
            assert answer.status in {302, 307}
            assert answer.headers["location"] == f"https://one.contract.test:{settings.https}/path?query=1"
            assert (await secure.get("one.contract.test")).body == "one"


async def test_routes_are_served_by_the_next_traefik_and_its_log_is_quiet(
    folder: Path, opened: Opened, running: Running, but: Change
) -> None:
    """Files are the truth: a Traefik that starts finds all routes, a foreign one too, and complains of nothing."""
    settings = but()
    router = await opened(folder, settings)
    door = Entrance(address="127.0.0.1", port=settings.http)
    async with Backend("one") as one, Backend("theirs") as theirs:
        await router.apply([to("one", one)])
        (folder / "routes" / "theirs.yml").write_text(
            "http:\n  routers:\n    theirs: {rule: Host(`theirs.test`), service: theirs}\n  services:\n"
            f"    theirs: {{loadBalancer: {{servers: [{{url: 'http://127.0.0.1:{theirs.port}'}}]}}}}\n"
        )
        daemon = router.daemon()
        await router.close()
        for _ in range(2):
            daemon = (await opened(folder, settings)).daemon()
            with running(daemon, settings.ping):
                await until(lambda: _answers(door, "one", 200))
                assert (await door.get("theirs.test")).body == "theirs"
    assert complaints(daemon.log) == []


async def test_ten_routes_in_one_apply_are_live_together(
    folder: Path, opened: Opened, running: Running, but: Change
) -> None:
    """A burst of changes costs Traefik one reload or a few, not a wait for each."""
    settings = but(https=None)
    router = await opened(folder, settings)
    door = Entrance(address="127.0.0.1", port=settings.http)
    with running(router.daemon(), settings.ping):
        async with Backend("all") as backend:
            await router.apply([to(f"pod-{number}", backend) for number in range(10)])
            for number in range(10):
                await until(partial(_answers, door, f"pod-{number}", 200))
        assert await router.ready() is True
    assert await router.ready() is False


async def _answers(door: Entrance, name: str, status: int) -> bool:
    return (await door.get(f"{name}.contract.test")).status == status
