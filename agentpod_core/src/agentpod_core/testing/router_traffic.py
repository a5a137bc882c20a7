"""What a router must do with requests: whom it lets through, what it adds, and what it never breaks."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable

import pytest

from agentpod_core import Endpoint, Route, Router
from agentpod_core.testing.wire import Answer, Backend, Entrance, WebSocket

HOST = "one.contract.test"
REFUSED = ("/api/v1/admin", "/v1")

TRICKS = (
    "/api/v1/admin",
    "/api/v1/admin/",
    "/api/v1/admin/rpc",
    "/api/v1/admin?x=/",
    "/v1",
    "/v1/models",
    # what proxies and agents read differently
    "//api/v1/admin",
    "/api//v1///admin",
    "/./api/./v1/admin",
    "/x/../api/v1/admin",
    "/x/../../api/v1/admin",
    "/x/%2e%2e/api/v1/admin",
    "/%61pi/v1/admin",
    "/api/v1/%61dmi%6E",
    "/%2561pi/v1/admin",
    "/API/v1/Admin",
    "/api%2Fv1%2fadmin",
    "/api%252Fv1/admin",
    "/%2Fapi/v1/admin",
    "/x/..%2Fapi/v1/admin",
    "/api/x/..%2fv1/admin",
    "/.%2Fapi/v1/admin",
    "/api\\v1\\admin",
    "/api%5Cv1/admin",
    "/x\\..\\api/v1/admin",
    "/%5c%2e%2e%5capi/v1/admin",
    "/api;a=b/v1;c/admin",
    "/api%3Bx/v1/admin",
    "/api/v1/admin;x",
    "/api/v1/admin%00",
    "/api/v1/admin%20",
    "/api/v1/admin%2Frpc",
    "/api/v1/admin%3Fx",
    "/#/../api/v1/admin",
    "api/v1/admin",
    "http://{host}/api/v1/admin",
    "http://{host}//api/v1/admin",
    "http://other.contract.test/api/v1/admin",
)

FREE = (
    "/",
    "/api/v1/administrators",
    "/v1beta/models",
    "/x/api/v1/admin",
    "/files/a%20b%2Fc.txt",
    "/100%25",
    "/.well-known/x",
    "/..x/",
    "/?next=/api/v1/admin",
)


class RouterTraffic:
    """The facts about requests, for a router that carries them in the test.

    Set ``serves_traffic`` and define the fixtures ``router`` (open, nothing of ours set, and its
    proxy running on this machine) and ``door``. Optional, each skipped where it is None:
    ``secure_door`` and ``outside_door``, an address of this machine that is not loopback, so that
    a client there is none either. ``hang_seconds`` is the time after which the router gives a
    hung agent up, ``settles`` how long a change may take to be live.
    """

    serves_traffic = False
    hang_seconds = 1.0
    settles = 15.0

    @pytest.fixture
    def door(self) -> Entrance:
        """The plain HTTP way in, on loopback."""
        if not self.serves_traffic:
            pytest.skip("this router carries no requests")
        return pytest.fail("the contract's subclass must define the fixture `door`")

    @pytest.fixture
    def secure_door(self) -> Entrance | None:
        """The HTTPS way in."""
        return None

    @pytest.fixture
    def outside_door(self) -> Entrance | None:
        """The plain HTTP way in from an address that is not loopback."""
        return None

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
            pytest.skip("no address here but loopback")
        spellings = ("X-Forwarded-For", "X-Real-Ip", "X_Forwarded_For", "X.Forwarded.For")
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one", attribute_loopback=attribute_loopback))
            for claimed in ("203.0.113.9", "127.0.0.1"):
                lie = {**dict.fromkeys(spellings, claimed), "Forwarded": f"for={claimed}"}
                assert (await outside_door.get(HOST, headers=lie)).status == 200
                assert _forwarded(one) == [outside_door.address]
                assert [name for name, value in one.asked[-1].headers.items() if claimed in value] == []

    async def test_the_scheme_is_told(self, router: Router, door: Entrance, secure_door: Entrance | None) -> None:
        """An agent learns whether its client came by HTTP or HTTPS, and no client can pretend."""
        if secure_door is None:
            pytest.skip("no HTTPS here")
        async with Backend("one") as one:
            await self._serve(router, door, _to(one, "one", attribute_loopback=True))
            await door.get(HOST, headers={"X-Forwarded-Proto": "https"})
            assert one.asked[-1].headers["x-forwarded-proto"] == "http"
            assert (await secure_door.get(HOST, headers={"X-Forwarded-Proto": "http"})).body == "one"
            assert one.asked[-1].headers["x-forwarded-proto"] == "https"
            assert (await secure_door.get("unknown.contract.test")).status == 404

    async def test_a_refused_path_is_refused_over_https(
        self, router: Router, door: Entrance, secure_door: Entrance | None
    ) -> None:
        """Both ways in know the same rules."""
        if secure_door is None:
            pytest.skip("no HTTPS here")
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
