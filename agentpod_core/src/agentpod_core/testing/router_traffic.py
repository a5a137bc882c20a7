"""What a router must do with requests: whom it lets through, what it adds, and what it never breaks."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar

import pytest

from agentpod_core import Endpoint, Route, Router
from agentpod_core.testing.offers import ImpureContract
from agentpod_core.testing.parts import Part, needs, to_define
from agentpod_core.testing.router_paths import FREE, REFUSED, TRICKS
from agentpod_core.testing.wire import Answer, Backend, Entrance, WebSocket

HOST = "one.contract.test"


@needs("serves_traffic")
class RouterTraffic(ImpureContract):
    """The facts about requests, for a router whose proxy runs in the test.

    Fixtures: ``door`` and ``outside_door`` (an ``Entrance`` each; the second at an address of this
    machine that is not loopback, so that a client there is none either), ``secure_door`` where HTTPS is
    served. Flags: ``serves_traffic``, which shows by those fixtures and by ``Router.daemon``, and
    ``serves_https``. ``hang_seconds`` is the time after which the router gives a hung agent up,
    ``settles`` how many seconds a change may take to be live. What an author adds to the fixtures of
    ``RouterContract``::

        class TestMyRouter(RouterContract):
            serves_traffic = True
            serves_https = True

            @pytest.fixture
            def door(self, proxy):
                return Entrance(address="127.0.0.1", port=proxy.http)

            @pytest.fixture
            def secure_door(self, proxy):
                return Entrance(address="127.0.0.1", port=proxy.https, tls=True)

            @pytest.fixture
            def outside_door(self, proxy):
                address = own_address()  # from agentpod_core.testing.wire; None where there is no network
                return Entrance(address=address, port=proxy.http) if address else None
    """

    serves_traffic: ClassVar[bool | None] = None
    serves_https: ClassVar[bool | None] = None
    hang_seconds: ClassVar[float] = 1.0
    settles: ClassVar[float] = 15.0

    parts: ClassVar[tuple[Part, ...]] = (
        Part(
            flag="serves_traffic",
            uncovered="what becomes of requests: hosts, refused paths, addresses told, open connections",
            fixtures=("door", "outside_door"),
            shown_by=lambda request: request.getfixturevalue("router").daemon() is not None,
        ),
        Part(flag="serves_https", uncovered="requests that come by HTTPS", fixtures=("secure_door",)),
    )

    @to_define
    def door(self) -> Entrance:
        """The plain HTTP way in, on loopback."""
        raise NotImplementedError

    @to_define
    def secure_door(self) -> Entrance:
        """The HTTPS way in."""
        raise NotImplementedError

    @to_define
    def outside_door(self) -> Entrance | None:
        """The plain HTTP way in from an address that is not loopback; None where this machine has no other."""
        raise NotImplementedError

    async def test_a_request_reaches_its_target_and_only_it(self, router: Router, door: Entrance) -> None:
        """The host decides: each request goes to one backend, with the host that the client named."""
        async with Backend("one") as one, Backend("two") as two:
            await self._serve(router, door, _to(one, "one", "extra"), _to(two, "two"))
            for host, answer in (("one", "one"), ("extra", "one"), ("two", "two"), ("TWO", "two")):
                assert (await door.get(f"{host}.contract.test", "/path?query=1")).body == answer
            assert [asked.headers["host"] for asked in two.asked][-2:] == ["two.contract.test", "TWO.contract.test"]
            assert one.asked[-1].path == "/path?query=1"

    async def test_an_unknown_host_is_not_found(self, router: Router, door: Entrance) -> None:
        """A host that no route names is answered 404 by the router itself."""
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one"))
            before = len(one.asked)
            for host in ("unknown.contract.test", "x.one.contract.test", "contract.test"):
                assert (await door.get(host)).status == 404
            assert len(one.asked) == before

    async def test_a_refused_path_never_reaches_the_agent(self, router: Router, door: Entrance) -> None:
        """However a path is written, nothing that an agent could take for a refused one gets through."""
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one", refuse=REFUSED))
            one.asked.clear()
            answers = {path: await door.get(HOST, path.format(host=HOST)) for path in TRICKS}
            assert [asked.path for asked in one.asked] == []
            assert {path: a.status for path, a in answers.items() if a.status not in {400, 403, 404}} == {}

    async def test_a_refused_path_is_closed_to_websockets(self, router: Router, door: Entrance) -> None:
        """An upgrade is a request like any other."""
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one", refuse=REFUSED))
            before = len(one.asked)
            assert isinstance(await door.websocket(HOST, "/api/v1/admin"), Answer)
            assert len(one.asked) == before

    async def test_what_is_not_refused_goes_through(self, router: Router, door: Entrance) -> None:
        """Refusing covers whole path segments from the root; names that merely look alike stay open."""
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one", refuse=REFUSED))
            for path in FREE:
                assert (await door.get(HOST, path)).body == "one", path
                assert one.asked[-1].path == path

    async def test_a_route_without_refusals_refuses_nothing(self, router: Router, door: Entrance) -> None:
        """What one agent hides is no matter of another."""
        async with Backend("one") as one, Backend("two") as two:
            await self._serve(router, door, _to(one, "one", refuse=REFUSED), _to(two, "two"))
            assert (await door.get("two.contract.test", "/api/v1/admin")).body == "two"

    async def test_a_loopback_client_gets_a_documentation_address(self, router: Router, door: Entrance) -> None:
        """With ``attribute_loopback`` the first forwarded address is one that nobody has."""
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one", attribute_loopback=True, refuse=REFUSED))
            await door.get(HOST, headers={"X-Forwarded-For": "203.0.113.9"})
            first = ipaddress.ip_address(_forwarded(one)[0])
            documentation = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
            assert any(first in ipaddress.ip_network(network) for network in documentation)
            assert str(first) != "203.0.113.9"
            assert (await door.get(HOST, "/api/v1/admin")).status in {403, 404}

    async def test_without_attribution_a_loopback_client_stays_one(self, router: Router, door: Entrance) -> None:
        """A route that does not ask for it sees the client's address."""
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one"))
            await door.get(HOST, headers={"X-Forwarded-For": "203.0.113.9"})
            assert _forwarded(one) == ["127.0.0.1"]

    @pytest.mark.parametrize("attribute_loopback", [True, False])
    async def test_a_client_cannot_choose_its_address(
        self, router: Router, door: Entrance, outside_door: Entrance | None, *, attribute_loopback: bool
    ) -> None:
        """A forwarded address that a client sends is dropped, in every spelling; its own is told to the agent."""
        if outside_door is None:
            pytest.skip("this machine has no address but loopback; not covered: what a client elsewhere can pretend")
        spellings = ("X-Forwarded-For", "X-Real-Ip", "X_Forwarded_For", "X.Forwarded.For")
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one", attribute_loopback=attribute_loopback))
            for claimed in ("203.0.113.9", "127.0.0.1"):
                lie = {**dict.fromkeys(spellings, claimed), "Forwarded": f"for={claimed}"}
                assert (await outside_door.get(HOST, headers=lie)).status == 200
                assert _forwarded(one) == [outside_door.address]
                assert [name for name, value in one.asked[-1].headers.items() if claimed in value] == []

    @needs("serves_https")
    async def test_the_scheme_is_told(self, router: Router, door: Entrance, secure_door: Entrance) -> None:
        """An agent learns whether its client came by HTTP or HTTPS, and no client can pretend."""
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one", attribute_loopback=True))
            await door.get(HOST, headers={"X-Forwarded-Proto": "https"})
            assert one.asked[-1].headers["x-forwarded-proto"] == "http"
            assert (await secure_door.get(HOST, headers={"X-Forwarded-Proto": "http"})).body == "one"
            assert one.asked[-1].headers["x-forwarded-proto"] == "https"
            assert (await secure_door.get("unknown.contract.test")).status == 404

    @needs("serves_https")
    async def test_a_refused_path_is_refused_over_https(
        self, router: Router, door: Entrance, secure_door: Entrance
    ) -> None:
        """Both ways in know the same rules."""
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one", refuse=REFUSED))
            assert (await secure_door.get(HOST, "/api/v1/admin")).status in {403, 404}
            socket = await secure_door.websocket(HOST)
            assert isinstance(socket, WebSocket)
            assert await socket.echoes("over TLS")
            await socket.close()

    async def test_a_stream_arrives_as_it_is_made(self, router: Router, door: Entrance) -> None:
        """Nothing between agent and client waits for the end of an answer."""
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one"))
            assert await door.first_part(HOST, "/stream", b"first")

    async def test_open_websockets_outlive_every_route_change(self, router: Router, door: Entrance) -> None:
        """Adding, changing and removing routes drops no open connection, not even those of the routes touched."""
        async with Backend("kept") as kept, Backend("changed") as changed, Backend("next") as following:
            await self._serve(router, door, _to(kept, "kept"), _to(changed, "changed"))
            sockets = [await door.websocket(f"{name}.contract.test") for name in ("kept", "changed")]
            opened = [socket for socket in sockets if isinstance(socket, WebSocket)]
            assert len(opened) == 2
            await self._serve(router, door, _to(kept, "kept"), _to(changed, "changed"), _to(following, "added"))
            assert [await socket.echoes("after adding") for socket in opened] == [True, True]
            await router.apply([_to(kept, "kept"), _to(following, "changed", refuse=REFUSED), _to(following, "added")])
            await self._until(lambda: self._says(door, "changed", "next"))
            assert [await socket.echoes("after changing") for socket in opened] == [True, True]
            await router.apply([_to(kept, "kept")])
            await self._until(lambda: self._is_gone(door, "changed"))
            assert [await socket.echoes("after removing") for socket in opened] == [True, True]
            await router.apply([])
            await self._until(lambda: self._is_gone(door, "kept"))
            assert [await socket.echoes("after the last") for socket in opened] == [True, True]
            for socket in opened:
                await socket.close()

    async def test_removal_stops_serving(self, router: Router, door: Entrance) -> None:
        """A removed route is not found any more, also when it was the last."""
        async with Backend("one") as one, Backend("two") as two:
            await self._serve(router, door, _to(one, "one"), _to(two, "two"))
            await router.apply([_to(two, "two")])
            await self._until(lambda: self._is_gone(door, "one"))
            assert await self._says(door, "two", "two")
            await router.apply([])
            await self._until(lambda: self._is_gone(door, "two"))

    async def test_a_target_that_is_down_is_a_bad_gateway_at_once(self, router: Router, door: Entrance) -> None:
        """Where nothing listens, the client learns so quickly; the route works again with its target."""
        one = Backend("one")
        async with one:
            await self._serve(router, door, _to(one, "one"))
        began = time.monotonic()
        assert (await door.get(HOST)).status == 502
        assert time.monotonic() - began < 4
        async with one:
            await self._until(lambda: self._says(door, "one", "one"))

    async def test_a_hung_target_is_given_up(self, router: Router, door: Entrance) -> None:
        """An agent that takes a request and never answers costs the client a bounded time."""
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one"))
            began = time.monotonic()
            assert (await door.get(HOST, "/hang")).status == 504
            assert self.hang_seconds * 0.9 < time.monotonic() - began < self.hang_seconds + 4
            assert (await door.get(HOST)).body == "one"

    async def test_a_router_that_serves_is_ready(self, router: Router, door: Entrance) -> None:
        """``ready`` is true while the proxy answers."""
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one"))
            assert await router.ready() is True

    async def _serve(self, router: Router, door: Entrance, *routes: Route) -> None:
        await router.apply(routes)
        for route in routes:
            host = route.hosts[0]

            async def is_live(host: str = host) -> bool:
                return (await door.get(host)).status == 200

            await self._until(is_live)

    async def _says(self, door: Entrance, name: str, body: str) -> bool:
        return (await door.get(f"{name}.contract.test")).body == body

    async def _is_gone(self, door: Entrance, name: str) -> bool:
        return (await door.get(f"{name}.contract.test")).status == 404

    async def _until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(self.settles):
            while not await holds():  # noqa: ASYNC110 - a proxy in another process sends no event
                await asyncio.sleep(0.01)


def _to(
    backend: Backend, key: str, *more: str, refuse: tuple[str, ...] = (), attribute_loopback: bool = False
) -> Route:
    return Route(
        key=key,
        hosts=tuple(f"{name}.contract.test" for name in (key, *more)),
        target=Endpoint(host="127.0.0.1", port=backend.port),
        refuse=refuse,
        attribute_loopback=attribute_loopback,
    )


def _forwarded(backend: Backend) -> list[str]:
    return [address.strip() for address in backend.asked[-1].headers["x-forwarded-for"].split(",")]
