"""Waits until all is as it must be, for as long as anybody may be asked to."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import pytest

from agentpod_client import ClientError
from real.foreign import Foreign
from real.tenancy import Tenancy
from real.truths import untruths

PATIENCE = 60.0


class Watch:
    """Says what is not as it must be, of some tenants and of what is foreign to them all."""

    def __init__(self, tenancies: list[Tenancy], things: Foreign) -> None:
        self._tenancies = tenancies
        self._things = things
        self._before = things.seen()

    def untruths(self) -> list[str]:
        """List it."""
        found = [what for one in self._tenancies for what in untruths(one)]
        now = self._things.seen()
        return found + [f"the foreign {key} is {now[key]}" for key in self._before if now[key] != self._before[key]]

    def converged(self, history: list[str]) -> float:
        """Wait until all is as it must be, and say how long that took."""
        begun = time.monotonic()
        found = ["nobody has looked yet"]
        while found:
            if time.monotonic() > begun + PATIENCE:
                log = self._tenancies[0].platform.log[-6000:]
                pytest.fail("\n".join(["after", *history, f"within {PATIENCE:g} s:", *found, log]))
            time.sleep(0.3)
            try:
                found = self.untruths()
            except (ClientError, httpx.HTTPError, RuntimeError) as error:
                # Who cannot be asked just now is not well yet.
                found = [repr(error)]
        return time.monotonic() - begun


def until(condition: Callable[[], object], what: str, told: Callable[[], object] = lambda: "") -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what}; but {told()}"
        time.sleep(0.2)
