"""The runtime in memory as contracts are tried on it, how to break it, and a foreign route: shared by several tests."""

from __future__ import annotations

from typing import ClassVar

import pytest

from agentpod_core import ImageRecipe
from agentpod_core.host import Host
from agentpod_core.testing import FakeHands, FakeRouter, FakeRuntime, RuntimeContract, runtime_life, runtime_stage
from agentpod_core.testing.routers import route


class FakeRuntimeContract(RuntimeContract):
    """The contract on the runtime in memory."""

    kind = FakeRuntime
    offers: ClassVar = (FakeRuntime,)

    @pytest.fixture
    def host(self):
        return Host(builtins=[one() for one in self.offers], entry_points=())

    @pytest.fixture
    def runtime(self, monkeypatch):
        for module in (runtime_stage, runtime_life):
            monkeypatch.setattr(module, "PATIENCE", 2.0)
        monkeypatch.setattr(runtime_life, "COMMAND_SECONDS", 0.02)
        return self.kind("fakefake")

    @pytest.fixture
    def instance(self):
        return "fakefake"

    @pytest.fixture
    def image(self):
        return "fake:1"

    @pytest.fixture
    def subnet(self):
        return "10.219.0.0/26"

    @pytest.fixture
    def foreign(self, runtime):
        return FakeHands(runtime.engine)

    @pytest.fixture
    def outage(self, runtime):
        return FakeHands(runtime.engine)

    @pytest.fixture
    def kill(self, runtime):
        return FakeHands(runtime.engine).kill

    @pytest.fixture
    def recipe(self):
        return ImageRecipe(image="built:1")


def applying(change):
    """Make a runtime whose ``apply`` is that: it is given the runtime, the action, the material and the real apply."""

    class Broken(FakeRuntime):
        async def apply(self, action, material):
            async def real(other=None, given=None):
                await FakeRuntime.apply(self, other or action, material if given is None else given)

            await change(self, action, material, real)

    return Broken


def answering(method, answer):
    """Make a runtime one of whose methods changes its answer."""

    async def broken(self, *args, **kwargs):
        return answer(self, await getattr(FakeRuntime, method)(self, *args, **kwargs))

    return type("Broken", (FakeRuntime,), {method: broken})


class TheirRoute:
    """A route of another owner on the same board."""

    def __init__(self, board):
        self._board = board

    async def plant(self):
        """Set it."""
        await FakeRouter(self._board, owner="them").apply([route("one", host="theirs.test")])

    async def is_intact(self):
        """Look for it."""
        return await FakeRouter(self._board, owner="them").observe() == [route("one", host="theirs.test")]
