"""The contract of runtimes: subclass ``RuntimeContract``, define its fixtures, and pytest runs it.

Example:
    class TestMyRuntime(RuntimeContract):
        @pytest.fixture
        async def runtime(self):
            ...
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

import pytest

from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.testing.intact import IntactContract
from agentpod_core.testing.runtime_hands import Foreign as Foreign
from agentpod_core.testing.runtime_hands import Outage as Outage
from agentpod_core.testing.runtime_life import LifeFacts
from agentpod_core.testing.runtime_objects import ObjectFacts
from agentpod_core.testing.runtime_stage import Stage


class RuntimeContract(ObjectFacts, LifeFacts, IntactContract):
    """What every runtime must do.

    ``runtime`` is open and serves ``instance``; ``image`` is present and holds sh, echo, cat, stat,
    touch, hostname and sleep, but no ``/data``; ``subnet`` is a /26 that nobody uses; ``kill`` ends
    the main process of a container from outside, not by the engine's API.
    """

    restarts_by_itself = True
    """Whether the engine starts a container again that ends while its policy says so."""
    can_be_unreachable = True
    """Whether the fixture ``outage`` can be had."""

    @pytest.fixture
    def runtime(self) -> Runtime:
        """Give an open runtime."""
        pytest.fail("the runtime contract must be given the fixture `runtime`")

    @pytest.fixture
    def instance(self) -> str:
        """Give the instance that ``runtime`` was opened for."""
        pytest.fail("the runtime contract must be given the fixture `instance`")

    @pytest.fixture
    def image(self) -> str:
        """Give a small image that the engine has."""
        pytest.fail("the runtime contract must be given the fixture `image`")

    @pytest.fixture
    def subnet(self) -> str:
        """Give a free /26."""
        pytest.fail("the runtime contract must be given the fixture `subnet`")

    @pytest.fixture
    def foreign(self) -> Foreign:
        """Give hands that are not ours."""
        pytest.fail("the runtime contract must be given the fixture `foreign`")

    @pytest.fixture
    def outage(self) -> Outage:
        """Give power over the engine's connection."""
        if not self.can_be_unreachable:
            pytest.skip("this runtime's engine cannot be unreachable")
        pytest.fail("the runtime contract must be given the fixture `outage`, or set `can_be_unreachable = False`")

    @pytest.fixture
    def kill(self) -> Callable[[str], Awaitable[None]]:
        """Give a way to end a container's process."""
        pytest.fail("the runtime contract must be given the fixture `kill`")

    @pytest.fixture
    def stage(self, runtime: Runtime, instance: str, image: str, subnet: str) -> Stage:
        """Give a pod's worth of objects to apply."""
        return Stage(runtime=runtime, instance=instance, image=image, subnet=subnet, pod_id=str(uuid.uuid4()))
