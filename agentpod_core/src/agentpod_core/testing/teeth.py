"""Proves that a contract can fail: runs it against broken implementations, and asks that each is found by its test.

Nobody who writes a plugin needs this; who writes or changes a contract does. It judges outcomes only,
the runs are made by ``teeth_runs``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from msgspec import Struct

from agentpod_core.testing.intact import IntactContract
from agentpod_core.testing.parts import fixtures_to_define, is_of_kit, needed_by, parts_of
from agentpod_core.testing.teeth_runs import Outcome, Result, Run, run_together

MISTAKES = (AttributeError, ImportError, NameError, TypeError)
"""What a broken implementation fails with when it is not broken but wrongly written."""


class Broken(Struct, frozen=True, kw_only=True):
    """An implementation that does one thing wrong.

    ``kind`` takes the place of the contract's ``kind``; ``changes`` are other attributes and fixtures of
    the test class. ``also`` names further tests that cannot but fail with it, and ``because`` says why.
    """

    kind: type | None = None
    changes: dict[str, Any] = {}
    also: tuple[str, ...] = ()
    because: str = ""


class Teeth:
    """Shows for one contract that each of its tests finds the one thing that it is about.

    ``contract`` is a subclass of a contract that passes; its fixtures, defined in its own body, make
    the implementation from its attribute ``kind``. ``broken`` holds for each test of the contract the
    implementations that it must find, and that every other test must pass: a class, a ``Broken``, or
    a list of them. ``facts`` says which tests are to be covered here, all by default::

        class TestNotifierTeeth(Teeth):
            contract = TestFakeNotifier
            broken = {"test_recovery_reads_differently": Forgetful, ...}
    """

    contract: ClassVar[type[IntactContract]]
    broken: ClassVar[dict[str, Any]]

    @classmethod
    def facts(cls) -> set[str]:
        """Give the names of the tests that have to be covered."""
        return facts_of(cls.contract)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each test its cases."""
        cases: dict[str, list[str]] = {
            "broken_one": list(self._broken_ones()),
            "fixture": self._fixtures(),
            "flag": [part.flag for part in parts_of(self.contract)],
        }
        for name in cases.keys() & set(metafunc.fixturenames):
            metafunc.parametrize(name, cases[name])

    @pytest.fixture(scope="class")
    @classmethod
    def results(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
        """Run the contract against everything, in one go."""
        return run_together(cls().runs(), tmp_path_factory.mktemp("teeth"))

    def runs(self) -> dict[str, Run]:
        """Give all the runs to be made, by what is done to the contract in each."""
        found = {"whole": Run(kind=self.contract)}
        for name, one in self._broken_ones().items():
            changes = {"kind": one.kind, **one.changes} if one.kind else one.changes
            found[f"broken {name}"] = Run(kind=self._changed(changes))
        for fixture in self._fixtures():
            found[f"without {fixture}"] = Run(kind=self._without(fixture))
        for part in parts_of(self.contract):
            only = frozenset(self._facts_about(part.flag))
            found[f"absent {part.flag}"] = Run(kind=self._changed({part.flag: False}), only=only)
        return found

    def test_every_fact_has_a_broken_implementation(self) -> None:
        """No test of the contract is without an implementation that it must find broken, and none is made up."""
        assert sorted(self.facts() - self.broken.keys()) == []
        assert sorted(self.broken.keys() - self.facts()) == []

    def test_the_whole_one_passes(self, results: dict[str, Result]) -> None:
        """What the broken ones were made from has nothing wrong with it."""
        assert failed(results["whole"]) == {}
        assert results["whole"].keys() >= self.facts()

    def test_exactly_that_fact_fails(self, results: dict[str, Result], broken_one: str) -> None:
        """A broken implementation is found by the test that is about what is broken, and passes every other."""
        fact = broken_one.partition(" ")[0]
        case = self._broken_ones()[broken_one]
        assert bool(case.also) == bool(case.because), "tests that fail together need the reason why"
        result = results[f"broken {broken_one}"]
        found = failed(result)
        assert found.keys() == {fact, *case.also}, found
        assert all(result[name].outcome is Outcome.FAILED for name in found), "it must fail, not be in the way"
        assert [text for name, text in found.items() if issubclass(result[name].error or Exception, MISTAKES)] == []
        skipped = {name for name, one in result.items() if one.outcome is Outcome.SKIPPED}
        hidden = {flag for flag, value in case.changes.items() if value is False}
        excused = {name for name in result if not hidden.isdisjoint(needed_by(self.contract, name))}
        assert skipped - excused == {name for name in self._skipped(results) if name not in excused}

    def test_a_forgotten_fixture_is_an_error(self, results: dict[str, Result], fixture: str) -> None:
        """Who forgets a fixture gets an error that names it and says what it returns."""
        found = failed(results[f"without {fixture}"])
        assert found, f"nothing asks for {fixture}"
        wanted = fixtures_to_define(self.contract)[fixture]
        assert [name for name, text in found.items() if f"the fixture `{fixture}`: {wanted}" not in text] == []
        assert {results[f"without {fixture}"][name].outcome for name in found} == {Outcome.ERROR}

    def test_an_absent_part_is_skipped_and_named(self, results: dict[str, Result], flag: str) -> None:
        """The tests of a part that is declared absent are skipped, and the reason says what is not covered."""
        (part,) = (part for part in parts_of(self.contract) if part.flag == flag)
        about = self._facts_about(flag)
        result = results[f"absent {flag}"]
        assert about, f"no test is about {flag}"
        assert {name for name in about if result[name].outcome is not Outcome.SKIPPED} == set()
        assert {name for name in about - self._skipped(results) if part.uncovered not in result[name].text} == set()

    @pytest.mark.parametrize("cheat", ["replaced", "removed", "renamed", "skipped", "excused without a reason"])
    def test_no_test_of_the_contract_is_replaced(self, cheat: str) -> None:
        """Whatever an author does to a test of the contract so that it passes is found, for every test."""
        for test in self._guarded():
            changes: dict[str, dict[str, Any]] = {
                "replaced": {test: _passing()},
                "removed": {test: None},
                "renamed": {test: None, f"{test}_renamed": getattr(self.contract, test)},
                "skipped": {test: pytest.mark.skip(reason="x")(_passing())},
                "excused without a reason": {test: pytest.mark.xfail(_passing())},
            }
            with pytest.raises(pytest.fail.Exception, match=f"replaced tests .*{test}"):
                self._changed(changes[cheat])().test_contract_is_intact()

    def test_an_excuse_with_its_reason_is_fine(self) -> None:
        """An override that is marked ``xfail`` and says why stays visible, so it is allowed."""
        for test in self._guarded():
            self._changed({test: pytest.mark.xfail(reason="x")(_passing())})().test_contract_is_intact()

    @pytest.mark.parametrize("guard", ["test_contract_is_intact", "test_no_part_is_hidden", "absent_parts_are_skipped"])
    def test_the_guards_cannot_be_replaced(self, guard: str) -> None:
        """What guards the contract cannot be taken away, not even on purpose."""
        with pytest.raises(TypeError, match=guard):
            self._changed({guard: None})

    def _broken_ones(self) -> dict[str, Broken]:
        found = {}
        for fact, given in self.broken.items():
            ones = given if isinstance(given, list) else [given]
            for number, one in enumerate(ones):
                name = fact if len(ones) == 1 else f"{fact} {number + 1}"
                found[name] = one if isinstance(one, Broken) else Broken(kind=one)
        return found

    def _facts_about(self, flag: str) -> set[str]:
        return {name for name in facts_of(self.contract) if flag in needed_by(self.contract, name)}

    def _guarded(self) -> set[str]:
        return facts_of(self.contract) - {"test_contract_is_intact", "test_no_part_is_hidden"}

    def _fixtures(self) -> list[str]:
        return sorted(fixtures_to_define(self.contract).keys() & vars(self.contract).keys())

    def _changed(self, changes: dict[str, Any]) -> type[IntactContract]:
        return type(self.contract.__name__, (self.contract,), {"__module__": self.contract.__module__, **changes})

    def _without(self, fixture: str) -> type[IntactContract]:
        kept = {name: value for name, value in vars(self.contract).items() if name not in {fixture, "__dict__"}}
        return type(self.contract.__name__, self.contract.__bases__, kept)

    def _skipped(self, results: dict[str, Result]) -> set[str]:
        return {name for name, one in results["whole"].items() if one.outcome is Outcome.SKIPPED}


def facts_of(contract: type) -> set[str]:
    """Give the names of the tests that the kit put into a contract."""
    return {name for owner in contract.__mro__ if is_of_kit(owner) for name in vars(owner) if name.startswith("test_")}


def failed(result: Result) -> dict[str, str]:
    """Give the tests that failed, with what they said."""
    return {name: one.text for name, one in result.items() if one.outcome in {Outcome.FAILED, Outcome.ERROR}}


def _passing() -> Callable[[object], None]:
    def test(_: object) -> None:
        """Pass whatever happens."""

    return test
