"""The parts of a contract that not every implementation has, and what its author has to define for them.

A part has a flag, a class attribute of the contract. True says that it is there: its tests run, and fail
where they fail. False says that it is not: its tests are skipped, and the skip's reason says what nobody
checked. None, the default of a part that shows by itself (an overridden method, a fixture that was
defined), takes what shows. What shows and was declared False is a failure: nothing goes untested unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from msgspec import Struct

KIT = "agentpod_core.testing"
NEEDS = "__agentpod_needs__"

T = TypeVar("T")

_TO_DEFINE: dict[str, dict[str, str]] = {}


class Part(Struct, frozen=True, kw_only=True):
    """A part that an implementation may do without.

    ``uncovered`` ends the sentence "not covered: …". The part shows where the contract's subclass
    defines one of ``fixtures``, or where ``shown_by`` says so, which gets the test's request.
    """

    flag: str
    uncovered: str
    fixtures: tuple[str, ...] = ()
    shown_by: Callable[[pytest.FixtureRequest], bool] | None = None

    def shows(self, contract: type, request: pytest.FixtureRequest) -> bool:
        """Say whether the implementation under contract evidently has this part."""
        own = {name for owner in contract.__mro__ if not is_of_kit(owner) for name in vars(owner)}
        return not own.isdisjoint(self.fixtures) or (self.shown_by is not None and self.shown_by(request))


def needs(flag: str) -> Callable[[T], T]:
    """Mark a test, or all tests of a class, as being about the part with that flag."""

    def mark(thing: T) -> T:
        for test in _tests_of(thing):
            setattr(test, NEEDS, (*getattr(test, NEEDS, ()), flag))
        return thing

    return mark


def needed_by(contract: type, test: str) -> tuple[str, ...]:
    """Give the flags of the parts that a test of that contract is about, also where it was overridden."""
    for owner in contract.__mro__:
        if is_of_kit(owner) and test in vars(owner):
            flags: tuple[str, ...] = getattr(vars(owner)[test], NEEDS, ())
            return flags
    return ()


def to_define(function: Callable[..., Any]) -> Any:
    """Make a fixture that the contract's subclass has to define; the docstring says what it returns."""
    owner, _, name = f"{function.__module__}.{function.__qualname__}".rpartition(".")
    wanted = " ".join((function.__doc__ or "").split())
    _TO_DEFINE.setdefault(owner, {})[name] = wanted

    def forgotten(self: object) -> None:
        pytest.fail(f"{type(self).__name__} must define the fixture `{name}`: {wanted}", pytrace=False)

    forgotten.__name__, forgotten.__doc__ = name, function.__doc__
    return pytest.fixture(forgotten)


def fixtures_to_define(contract: type) -> dict[str, str]:
    """Give the fixtures that a contract's author has to define, with what each returns."""
    owners = [f"{owner.__module__}.{owner.__qualname__}" for owner in reversed(contract.__mro__)]
    return {name: wanted for owner in owners for name, wanted in _TO_DEFINE.get(owner, {}).items()}


def parts_of(contract: type) -> tuple[Part, ...]:
    """Give all parts of a contract, its bases' too."""
    return tuple(part for owner in reversed(contract.__mro__) for part in vars(owner).get("parts", ()))


def is_of_kit(owner: type) -> bool:
    """Say whether a class is the kit's own and not an author's."""
    return owner is object or owner.__module__ == KIT or owner.__module__.startswith(f"{KIT}.")


def overrides(implementation: object, original: type, method: str) -> bool:
    """Say whether an implementation has its own version of a method that the plug point gives a default for."""
    return getattr(type(implementation), method) is not getattr(original, method)


def _tests_of(thing: Any) -> Iterator[Any]:
    if not isinstance(thing, type):
        yield thing
        return
    yield from (test for name, test in vars(thing).items() if name.startswith("test_"))
