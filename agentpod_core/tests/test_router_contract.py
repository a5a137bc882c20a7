"""The router in memory passes the contract, and each test about routes finds a router that is broken in its way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import ClassVar

import msgspec
import pytest
from fakes_under_contract import TheirRoute

from agentpod_core import (
    Certificate,
    ConfigError,
    ConflictError,
    Daemon,
    Endpoint,
    Entrypoints,
    Route,
    TemporaryError,
    route_problems,
)
from agentpod_core.host import Host
from agentpod_core.testing import FakeRouter, RouteBoard, RouterContract
from agentpod_core.testing.router_traffic import RouterTraffic
from agentpod_core.testing.routers import route
from agentpod_core.testing.teeth import Broken, Teeth, facts_of


class TestFakeRouter(RouterContract):
    kind = FakeRouter
    offers: ClassVar = (FakeRouter,)

    @pytest.fixture
    def host(self):
        return Host(builtins=[one() for one in self.offers], entry_points=())

    @pytest.fixture
    def board(self):
        return RouteBoard()

    @pytest.fixture
    def router(self, board):
        return self.kind(board)

    @pytest.fixture
    def again(self, board):
        async def another():
            return self.kind(board)

        return another

    @pytest.fixture
    def foreign(self, board):
        return TheirRoute(board)


class Untitled(FakeRouter):
    title = ""


class ClosesOnce(FakeRouter):
    is_closed = False

    async def close(self):
        if self.is_closed:
            raise RuntimeError("closed already")
        self.is_closed = True


class Running(FakeRouter):
    """It has a proxy that could be tested."""

    def daemon(self):
        return Daemon(name="proxy", argv=("/usr/bin/proxy",))


class Welcoming(FakeRouter):
    """It begins with a route of its own making."""

    async def observe(self):
        return await super().observe() or ([] if self.history else [route("welcome")])


class Unsorted(FakeRouter):
    """It observes in the order of the last apply."""

    async def observe(self):
        order = [one.key for one in (self.history or [()])[-1]]
        return sorted(await super().observe(), key=lambda one: order.index(one.key) if one.key in order else 0)


class Eager(FakeRouter):
    """It claims that setting the same routes again changes something."""

    async def apply(self, routes):
        is_same = bool(routes) and self.history[-1:] == [tuple(routes)]
        return await super().apply(routes) or is_same


class Ordered(FakeRouter):
    """It takes another order for a change."""

    async def apply(self, routes):
        is_other = bool(self.history) and self.history[-1] != tuple(routes)
        return await super().apply(routes) or is_other


class NeverRefusesMore(FakeRouter):
    """It does not notice that only the refused paths changed."""

    async def apply(self, routes):
        there = {old.key: old for old in await self.observe()}

        def as_set(new):
            old = there.get(new.key, new)
            return old if msgspec.structs.replace(old, refuse=new.refuse) == new else new

        return await super().apply([as_set(new) for new in routes])


class Additive(FakeRouter):
    """It does nothing where nothing but a removal is to be done."""

    async def apply(self, routes):
        there = await self.observe()
        if self.history and routes and len(routes) < len(there) and all(one in there for one in routes):
            return False
        return await super().apply(routes)


class NeverEmpty(FakeRouter):
    """It takes an empty list for a mistake."""

    async def apply(self, routes):
        return await super().apply(routes) if routes else False


class HoldsHosts(FakeRouter):
    """It does not give a host to another route in one go."""

    async def apply(self, routes):
        holders = {host: old.key for old in await self.observe() for host in old.hosts}
        if any(holders.get(host, new.key) != new.key for new in routes for host in new.hosts):
            raise ConflictError("NameTaken", name="host")
        return await super().apply(routes)


class Selfish(FakeRouter):
    """It takes the whole board for its own."""

    async def apply(self, routes):
        ours = {place: old for place, old in self.board.routes.items() if place[0] == "agentpod"}
        self.board.routes = ours
        return await super().apply(routes)


class LastWins(FakeRouter):
    """It settles a clash by itself."""

    async def apply(self, routes):
        by_host = {host: one for one in routes for host in one.hosts}
        kept = {one.key: one for one in routes if all(by_host[host] is one for host in one.hosts)}
        return await super().apply(list(kept.values()))


class Mending(FakeRouter):
    """It makes a path prefix of what is none."""

    async def apply(self, routes):
        def mended(one):
            return msgspec.structs.replace(one, refuse=tuple(f"/{path.strip('/')}" for path in one.refuse))

        return await super().apply([mended(one) for one in routes])


class HalfWay(FakeRouter):
    """It sets what comes before the first mistake."""

    async def apply(self, routes):
        try:
            return await super().apply(routes)
        except ConfigError as error:
            if all(one.reason in {"DuplicateRoute", "HostTaken"} for one in error.problems):
                raise
            await super().apply([one for one in routes if not route_problems([one])][:-1])
            raise


class OneAtATime(FakeRouter):
    """It names the first mistake."""

    async def apply(self, routes):
        try:
            return await super().apply(routes)
        except ConfigError as error:
            raise ConfigError(error.problems[:1]) from None


class Interleaving(FakeRouter):
    """It sets one route after the other, and lets others in between."""

    async def apply(self, routes):
        if route_problems(routes):
            return await super().apply(routes)
        before = dict(self.board.routes)
        kept = {("agentpod", new.key): new for new in routes}
        for place in [place for place in before if place[0] == "agentpod" and place not in kept]:
            del self.board.routes[place]
        for place, new in kept.items():
            await asyncio.sleep(0)
            self.board.routes[place] = new
        return self.board.routes != before


class Wandering(FakeRouter):
    """It opens a port for each change."""

    def entrypoints(self):
        return Entrypoints(http=8000 + len(self.history))


class Hasty(FakeRouter):
    """It forgets everything when it closes."""

    async def close(self):
        self.board.routes = {}


class Nameless(FakeRouter):
    async def certificates(self):
        return (Certificate(hosts=(), ends_at=datetime(2030, 1, 1, tzinfo=UTC)),)


class Endless(FakeRouter):
    async def certificates(self):
        return (Certificate(hosts=("agents.example",)),)


class TestTeeth(Teeth):
    contract = TestFakeRouter
    broken: ClassVar = {
        "test_contract_is_intact": Broken(changes={"test_order_means_nothing": lambda self: None}),
        "test_no_part_is_hidden": [
            Broken(kind=Running, changes={"serves_traffic": False}),
            Broken(changes={"is_installed": False}),
        ],
        "test_name_is_a_slug": Untitled,
        "test_is_offered_by_an_installed_plugin": Broken(changes={"offers": ()}),
        "test_closing_is_idempotent": ClosesOnce,
        "test_nothing_is_observed_before_something_is_applied": Welcoming,
        "test_what_was_applied_is_observed_whole_and_by_key": Unsorted,
        "test_applying_twice_is_applying_once": Eager,
        "test_order_means_nothing": Ordered,
        "test_a_changed_route_is_observed": NeverRefusesMore,
        "test_removing_one_leaves_the_others": Additive,
        "test_an_empty_list_leaves_nothing_of_ours": NeverEmpty,
        "test_a_host_can_move_to_another_route": HoldsHosts,
        "test_foreign_routes_stay_untouched": Selfish,
        "test_a_clash_is_refused_and_changes_nothing": LastWins,
        "test_what_is_no_route_is_refused_and_changes_nothing": [Mending, HalfWay],
        "test_everything_wrong_is_named_at_once": OneAtATime,
        "test_applies_at_the_same_time_leave_one_of_them": Interleaving,
        "test_a_certificate_says_what_it_is": [Nameless, Endless],
        "test_entry_points_are_constant": Wandering,
        "test_routes_outlive_the_router_that_set_them": Hasty,
    }

    @classmethod
    def facts(cls):
        """Leave the facts about requests to ``test_router_traffic_contract``."""
        traffic = {name for name in vars(RouterTraffic) if name.startswith("test_")}
        return facts_of(cls.contract) - traffic


async def test_an_unreachable_fake_raises_and_is_not_ready():
    """While it cannot be reached, asking is a temporary error and nothing is set."""
    router = FakeRouter()
    router.unreachable = True
    with pytest.raises(TemporaryError):
        await router.observe()
    with pytest.raises(TemporaryError):
        await router.apply([route("one")])
    assert await router.ready() is False
    assert router.history == []


def test_every_problem_names_its_place():
    """What is wrong with routes is told with the path of the field."""
    bad = Route(key="A", hosts=(), target=Endpoint(host="fe80::1%eth0", port=70000), refuse=("/", "/a b"))
    found = {(problem.path, problem.reason) for problem in route_problems([route("one"), bad])}
    assert found == {
        ("$[1].key", "InvalidRouteKey"),
        ("$[1].hosts", "RouteWithoutHost"),
        ("$[1].refuse[0]", "InvalidPathPrefix"),
        ("$[1].refuse[1]", "InvalidPathPrefix"),
        ("$[1].target", "InvalidTarget"),
    }


def test_one_host_twice_in_one_route_is_a_clash_too():
    """A host stands once in all routes together."""
    twice = Route(key="one", hosts=("a.test", "a.test"), target=Endpoint(host="::1", port=80))
    assert [problem.reason for problem in route_problems([twice])] == ["HostTaken"]
