"""What every router must do. Subclass ``RouterContract`` in a test module and define its fixtures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import pytest

from agentpod_core import ConfigError, ConflictError, Endpoint, Route, Router
from agentpod_core.testing.parts import to_define
from agentpod_core.testing.router_traffic import RouterTraffic

Again = Callable[[], Awaitable[Router]]


class ForeignRoute(Protocol):
    """A route that somebody else keeps in the same router."""

    async def plant(self) -> None:
        """Set it, as its owner would."""
        ...

    async def is_intact(self) -> bool:
        """Say whether it is just as it was planted."""
        ...


def route(key: str = "one", *, host: str = "", port: int = 18789, address: str = "10.214.0.2") -> Route:
    """Give a route to try; its host follows from its key."""
    return Route(key=key, hosts=(host or f"{key}.contract.test",), target=Endpoint(host=address, port=port))


class RouterContract(RouterTraffic):
    """The facts that hold for every router.

    Fixtures: ``router`` (open, nothing of ours set), ``again`` (opens another router over the same
    routes) and ``foreign``, a ``ForeignRoute``. Flags: ``serves_traffic`` True for a router whose proxy
    runs in the test, which then defines the fixtures of ``RouterTraffic`` too; ``is_installed``. The
    whole of what the author of a router without traffic writes::

        class TestMyRouter(RouterContract):
            @pytest_asyncio.fixture
            async def router(self, context):
                router = MyRouter()
                await router.open(context)
                await router.apply([])
                return router

            @pytest.fixture
            def again(self, context):
                async def another():
                    router = MyRouter()
                    await router.open(context)
                    return router

                return another

            @pytest.fixture
            def foreign(self, context):
                return SomebodyElsesRoute(context)
    """

    @to_define
    def router(self) -> Router:
        """An open router in which no route of ours is set; where it serves traffic, with its proxy running."""
        raise NotImplementedError

    @to_define
    def foreign(self) -> ForeignRoute:
        """A route of somebody else, not planted yet."""
        raise NotImplementedError

    @to_define
    def again(self) -> Again:
        """An async function that opens another router over the same routes, with the same settings."""
        raise NotImplementedError

    @pytest.fixture
    def implementation(self, router: Router) -> Router:
        """What is under contract."""
        return router

    async def test_nothing_is_observed_before_something_is_applied(self, router: Router) -> None:
        """A fresh router has no routes of ours."""
        assert await router.observe() == []

    async def test_what_was_applied_is_observed_whole_and_by_key(self, router: Router) -> None:
        """Observation gives every field of every route, ordered by key."""
        full = Route(
            key="full",
            hosts=("full.contract.test", "www.full.contract.test"),
            target=Endpoint(host="fd00::2", port=8080),
            refuse=("/api/v1/admin", "/v1"),
            attribute_loopback=True,
        )
        assert await router.apply([route("two"), full, route("one")]) is True
        assert await router.observe() == [full, route("one"), route("two")]

    async def test_applying_twice_is_applying_once(self, router: Router) -> None:
        """The second time nothing changes, and the router says so."""
        assert await router.apply([route("one"), route("two")]) is True
        assert await router.apply([route("one"), route("two")]) is False
        assert await router.observe() == [route("one"), route("two")]

    async def test_order_means_nothing(self, router: Router) -> None:
        """The same routes in another order are no change."""
        await router.apply([route("one"), route("two")])
        assert await router.apply([route("two"), route("one")]) is False

    @pytest.mark.parametrize(
        "change",
        [
            {"target": Endpoint(host="10.214.0.3", port=18789)},
            {"target": Endpoint(host="10.214.0.2", port=18790)},
            {"hosts": ("other.contract.test",)},
            {"hosts": ("one.contract.test", "more.contract.test")},
            {"refuse": ("/private",)},
            {"attribute_loopback": True},
        ],
        ids=["address", "port", "host", "second host", "refuse", "attribute_loopback"],
    )
    async def test_a_changed_route_is_observed(self, router: Router, change: dict[str, object]) -> None:
        """Every field of a route can change in place."""
        await router.apply([route("one"), route("two")])
        changed = msgspec.structs.replace(route("one"), **change)
        assert await router.apply([changed, route("two")]) is True
        assert await router.observe() == [changed, route("two")]

    async def test_removing_one_leaves_the_others(self, router: Router) -> None:
        """A route that is no longer listed goes, alone."""
        await router.apply([route("one"), route("two"), route("three")])
        assert await router.apply([route("one"), route("three")]) is True
        assert await router.observe() == [route("one"), route("three")]

    async def test_an_empty_list_leaves_nothing_of_ours(self, router: Router) -> None:
        """Applying no routes removes all of ours, and a second time changes nothing."""
        await router.apply([route("one"), route("two")])
        assert await router.apply([]) is True
        assert await router.observe() == []
        assert await router.apply([]) is False

    async def test_a_host_can_move_to_another_route(self, router: Router) -> None:
        """One apply can take a host from one key and give it to another."""
        await router.apply([route("old", host="moving.contract.test")])
        moved = route("new", host="moving.contract.test")
        assert await router.apply([moved]) is True
        assert await router.observe() == [moved]

    async def test_foreign_routes_stay_untouched(self, router: Router, foreign: ForeignRoute) -> None:
        """What somebody else set is neither listed, nor changed, nor removed."""
        await foreign.plant()
        await router.apply([route("one")])
        assert await router.observe() == [route("one")]
        await router.apply([])
        assert await foreign.is_intact()

    @pytest.mark.parametrize(
        "clash",
        [
            [route("one"), route("one", host="other.contract.test")],
            [route("one", host="same.contract.test"), route("two", host="same.contract.test")],
        ],
        ids=["key", "host"],
    )
    async def test_a_clash_is_refused_and_changes_nothing(self, router: Router, clash: list[Route]) -> None:
        """Two routes with one key, or with one host, are refused as a whole."""
        await router.apply([route("before")])
        with pytest.raises((ConfigError, ConflictError)):
            await router.apply([route("before"), *clash])
        assert await router.observe() == [route("before")]

    @pytest.mark.parametrize(
        "change",
        [
            {"key": "../one"},
            {"key": ""},
            {"hosts": ()},
            {"hosts": ("one.contract.test`) || Host(`other.contract.test",)},
            {"hosts": ("One.contract.test",)},
            {"refuse": ("/x`)",)},
            {"refuse": ("no-slash",)},
            {"refuse": ("/x/../y",)},
            {"target": Endpoint(host="10.214.0.2/x", port=80)},
            {"target": Endpoint(host="10.214.0.2", port=0)},
        ],
        ids=str,
    )
    async def test_what_is_no_route_is_refused_and_changes_nothing(
        self, router: Router, change: dict[str, object]
    ) -> None:
        """A field that could mean something else to the router is turned away, not escaped."""
        await router.apply([route("before")])
        with pytest.raises(ConfigError) as refusal:
            await router.apply([route("before"), msgspec.structs.replace(route("one"), **change)])
        assert refusal.value.problems
        assert await router.observe() == [route("before")]

    async def test_everything_wrong_is_named_at_once(self, router: Router) -> None:
        """A refusal lists all problems with their places, not the first one."""
        bad = msgspec.structs.replace(route("one"), hosts=("UPPER", "under_score"))
        with pytest.raises(ConfigError) as refusal:
            await router.apply([route("fine"), bad])
        assert {"$[1].hosts[0]", "$[1].hosts[1]"} <= {problem.path for problem in refusal.value.problems}

    async def test_applies_at_the_same_time_leave_one_of_them(self, router: Router) -> None:
        """Whoever comes last wins whole; two lists are never mixed."""
        first, second = [route("one"), route("two")], [route("one", port=1), route("three")]
        await asyncio.gather(router.apply(first), router.apply(second))
        observed = await router.observe()
        assert observed in (sorted(first, key=lambda r: r.key), sorted(second, key=lambda r: r.key))

    async def test_a_certificate_says_what_it_is(self, router: Router) -> None:
        """Each names its hosts, and its end in a time with a zone or what is wrong; asking changes nothing."""
        await router.apply([route()])

        found = await router.certificates()

        assert [one for one in found if not one.hosts or not all(one.hosts)] == []
        assert [one for one in found if not one.reason and (one.ends_at is None or not one.ends_at.tzinfo)] == []
        assert await router.certificates() == found
        assert await router.observe() == [route()]

    async def test_entry_points_are_constant(self, router: Router) -> None:
        """Where the public gets in does not depend on the routes."""
        before = router.entrypoints()
        await router.apply([route("one")])
        assert router.entrypoints() == before

    async def test_routes_outlive_the_router_that_set_them(self, router: Router, again: Again) -> None:
        """Closing keeps the routes, and the next router finds and changes them."""
        await router.apply([route("one"), route("two")])
        await router.close()
        successor = await again()
        assert await successor.observe() == [route("one"), route("two")]
        assert await successor.apply([route("one"), route("two")]) is False
        assert await successor.apply([route("three"), route("two")]) is True
        assert await successor.observe() == [route("three"), route("two")]
