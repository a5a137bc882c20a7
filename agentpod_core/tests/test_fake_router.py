"""The router in memory passes the contract, and the contract notices routers that don't keep it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import pytest

from agentpod_core import ConfigError, Endpoint, Route, Router, TemporaryError, route_problems
from agentpod_core.testing import FakeRouter, RouteBoard, RouterContract
from agentpod_core.testing.routers import Again, route


class TheirRoute:
    """A route of another owner on the same board."""

    def __init__(self, board: RouteBoard) -> None:
        self._board = board

    async def plant(self) -> None:
        """Set it."""
        await FakeRouter(self._board, owner="them").apply([route("one", host="theirs.test")])

    async def is_intact(self) -> bool:
        """Look for it."""
        return await FakeRouter(self._board, owner="them").observe() == [route("one", host="theirs.test")]


class TestFakeRouter(RouterContract):
    @pytest.fixture
    def board(self) -> RouteBoard:
        return RouteBoard()

    @pytest.fixture
    def router(self, board: RouteBoard) -> Router:
        return FakeRouter(board)

    @pytest.fixture
    def again(self, board: RouteBoard) -> Again:
        async def another() -> Router:
            return FakeRouter(board)

        return another

    @pytest.fixture
    def foreign(self, board: RouteBoard) -> TheirRoute:
        return TheirRoute(board)


class Forgetful(FakeRouter):
    """Says that nothing is set."""

    async def observe(self) -> list[Route]:
        return []


class Eager(FakeRouter):
    """Claims that every apply changed something."""

    async def apply(self, routes: Sequence[Route]) -> bool:
        await super().apply(routes)
        return True


class Additive(FakeRouter):
    """Never removes a route."""

    async def apply(self, routes: Sequence[Route]) -> bool:
        kept = [old for old in await self.observe() if old.key not in {new.key for new in routes}]
        return await super().apply([*kept, *routes])


class FirstWins(FakeRouter):
    """Never changes a route that is set."""

    async def apply(self, routes: Sequence[Route]) -> bool:
        there = {old.key: old for old in await self.observe()}
        return await super().apply([there.get(new.key, new) for new in routes])


class Ordered(FakeRouter):
    """Takes another order for a change, and observes in the order of the last apply."""

    async def apply(self, routes: Sequence[Route]) -> bool:
        before = self.history[-1:]
        return await super().apply(routes) or before != [tuple(routes)]


class Selfish(FakeRouter):
    """Takes the whole board for its own."""

    async def apply(self, routes: Sequence[Route]) -> bool:
        self.board.routes = {}
        return await super().apply(routes)


class Trusting(FakeRouter):
    """Refuses nothing, and lets the last of two win."""

    async def apply(self, routes: Sequence[Route]) -> bool:
        self.board.routes = {("agentpod", new.key): new for new in routes}
        return True


class Hasty(FakeRouter):
    """Forgets everything when it closes."""

    async def close(self) -> None:
        self.board.routes = {}


class Lossy(FakeRouter):
    """Observes no more than key, hosts and target."""

    async def observe(self) -> list[Route]:
        return [Route(key=one.key, hosts=one.hosts, target=one.target) for one in await super().observe()]


FACTS = RouterContract()
Fact = Callable[..., Awaitable[None]]


@pytest.mark.parametrize(
    ("kind", "fact"),
    [
        (Forgetful, FACTS.test_what_was_applied_is_observed_whole_and_by_key),
        (Lossy, FACTS.test_what_was_applied_is_observed_whole_and_by_key),
        (Eager, FACTS.test_applying_twice_is_applying_once),
        (Ordered, FACTS.test_order_means_nothing),
        (Additive, FACTS.test_removing_one_leaves_the_others),
        (Additive, FACTS.test_an_empty_list_leaves_nothing_of_ours),
        (Additive, FACTS.test_a_host_can_move_to_another_route),
    ],
)
async def test_the_contract_notices_a_broken_router(kind: type[FakeRouter], fact: Fact) -> None:
    """Each fact fails for a router that breaks it."""
    with pytest.raises((AssertionError, ConfigError)):
        await fact(kind())


async def test_the_contract_notices_a_route_that_cannot_change() -> None:
    """A router that keeps the first version of a route fails."""
    with pytest.raises(AssertionError):
        await FACTS.test_a_changed_route_is_observed(FirstWins(), {"target": Endpoint(host="10.214.0.3", port=1)})


async def test_the_contract_notices_a_router_that_takes_foreign_routes() -> None:
    """A router that clears the board fails."""
    board = RouteBoard()
    with pytest.raises(AssertionError):
        await FACTS.test_foreign_routes_stay_untouched(Selfish(board), TheirRoute(board))


async def test_the_contract_notices_a_router_that_refuses_nothing() -> None:
    """A router that lets clashing or unquotable routes through fails."""
    with pytest.raises(pytest.fail.Exception):
        await FACTS.test_a_clash_is_refused_and_changes_nothing(Trusting(), [route("one"), route("one")])
    with pytest.raises(pytest.fail.Exception):
        await FACTS.test_what_is_no_route_is_refused_and_changes_nothing(Trusting(), {"hosts": ("a`b",)})
    with pytest.raises(pytest.fail.Exception):
        await FACTS.test_everything_wrong_is_named_at_once(Trusting())


async def test_the_contract_notices_routes_that_die_with_their_router() -> None:
    """A router that takes its routes with it fails."""
    board = RouteBoard()

    async def again() -> Router:
        return FakeRouter(board)

    with pytest.raises(AssertionError):
        await FACTS.test_routes_outlive_the_router_that_set_them(Hasty(board), again)


async def test_an_unreachable_fake_raises_and_is_not_ready() -> None:
    """While it cannot be reached, asking is a temporary error and nothing is set."""
    router = FakeRouter()
    router.unreachable = True
    with pytest.raises(TemporaryError):
        await router.observe()
    with pytest.raises(TemporaryError):
        await router.apply([route("one")])
    assert await router.ready() is False
    assert router.history == []


def test_every_problem_names_its_place() -> None:
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


def test_one_host_twice_in_one_route_is_a_clash_too() -> None:
    """A host stands once in all routes together."""
    twice = Route(key="one", hosts=("a.test", "a.test"), target=Endpoint(host="::1", port=80))
    assert [problem.reason for problem in route_problems([twice])] == ["HostTaken"]
