"""Keeps a contract whole: a subclass may add to its tests, but not replace or remove them unnoticed."""

from __future__ import annotations

import pytest

_KIT = "agentpod_core.testing"


class IntactContract:
    """The base of contracts.

    A test that an implementation cannot pass is overridden, marked ``xfail`` with the reason, and
    calls the contract's own.
    """

    def test_contract_is_intact(self) -> None:
        """No test of the contract was replaced or removed, except with ``xfail`` and a reason."""
        replaced = [
            f"{owner.__name__}.{name}"
            for owner in type(self).__mro__
            if not owner.__module__.startswith(_KIT)
            for name, value in vars(owner).items()
            if name.startswith("test_") and _is_of_contract(type(self), name) and not _is_excused(value)
        ]
        if replaced:
            pytest.fail(f"replaced tests of the contract: {', '.join(sorted(replaced))}")


def _is_of_contract(tested: type, name: str) -> bool:
    return any(name in vars(owner) for owner in tested.__mro__ if owner.__module__.startswith(_KIT))


def _is_excused(value: object) -> bool:
    marks = getattr(value, "pytestmark", [])
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
