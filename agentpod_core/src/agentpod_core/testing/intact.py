"""The base of every contract: it stays whole, its parts are declared, and what was not covered is said.

A subclass may add tests, but not replace or remove the contract's own unnoticed.
"""

from __future__ import annotations

import inspect
from typing import ClassVar

import pytest

from agentpod_core.testing.parts import Part, fixtures_to_define, is_of_kit, needed_by, parts_of

_GUARDS = ("test_contract_is_intact", "test_no_part_is_hidden", "absent_parts_are_skipped")


class IntactContract:
    """The base of contracts.

    A test that an implementation cannot pass is overridden, marked ``xfail`` with the reason, and
    calls the contract's own::

        @pytest.mark.xfail(reason="the vendor publishes no tags")
        def test_image_is_pinned(self, workloads):
            super().test_image_is_pinned(workloads)
    """

    parts: ClassVar[tuple[Part, ...]] = ()

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if not is_of_kit(cls):
            replaced = [name for name in _GUARDS if name in vars(cls)]
            if replaced:
                msg = f"{cls.__name__} replaces what guards its contract: {', '.join(replaced)}"
                raise TypeError(msg)
            plain = [name for name in fixtures_to_define(cls) if inspect.isfunction(vars(cls).get(name))]
            # What pytest 8.3 and older make of a fixture is a function, too.
            plain = [name for name in plain if not hasattr(vars(cls)[name], "_pytestfixturefunction")]
            if plain:
                msg = f"{cls.__name__} defines `{'`, `'.join(plain)}` without @pytest.fixture"
                raise TypeError(msg)
            return
        for name, value in list(vars(cls).items()):
            # An author's project may run pytest-asyncio in its strict mode, which looks at marked tests only.
            if name.startswith("test_") and inspect.iscoroutinefunction(value):
                setattr(cls, name, pytest.mark.asyncio(value))

    @pytest.fixture(autouse=True)
    def absent_parts_are_skipped(self, request: pytest.FixtureRequest) -> None:
        """Skip a test of a part that the implementation does not have, and say what is not covered."""
        needed = needed_by(type(self), request.function.__name__)
        for part in (part for part in parts_of(type(self)) if part.flag in needed):
            declared = getattr(self, part.flag)
            if declared is None and not part.shows(type(self), request):
                pytest.skip(f"nothing shows `{part.flag}`; not covered: {part.uncovered}")
            if declared is False:
                pytest.skip(f"`{part.flag}` is False; not covered: {part.uncovered}")

    def test_contract_is_intact(self) -> None:
        """No test of the contract was replaced or removed, except with ``xfail`` and a reason."""
        replaced = [
            f"{owner.__name__}.{name}"
            for owner in type(self).__mro__
            if not is_of_kit(owner)
            for name, value in vars(owner).items()
            if name.startswith("test_") and _is_of_contract(type(self), name) and not _is_excused(value)
        ]
        if replaced:
            pytest.fail(f"replaced tests of the contract: {', '.join(sorted(replaced))}")


def _is_of_contract(tested: type, name: str) -> bool:
    return any(name in vars(owner) for owner in tested.__mro__ if is_of_kit(owner))


def _is_excused(value: object) -> bool:
    marks = getattr(value, "pytestmark", [])
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
