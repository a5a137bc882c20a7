"""What every runtime must do. Subclass ``RuntimeContract`` in a test module and define its fixtures."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import ClassVar

import pytest

from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.testing.parts import Part, to_define
from agentpod_core.testing.runtime_hands import Foreign as Foreign
from agentpod_core.testing.runtime_hands import Outage as Outage
from agentpod_core.testing.runtime_life import LifeFacts
from agentpod_core.testing.runtime_objects import ObjectFacts
from agentpod_core.testing.runtime_stage import Stage
from agentpod_core.values.recipes import ImageRecipe


class RuntimeContract(ObjectFacts, LifeFacts):
    """The facts that hold for every runtime.

    Fixtures: ``runtime`` (open), ``instance`` that it serves, a small ``image``, a free ``subnet``,
    ``foreign`` (a ``Foreign``: hands that are not ours), ``outage`` (an ``Outage``: power over the
    connection), ``kill`` (ends a container's process), ``recipe`` of an image. Flags:
    ``restarts_by_itself`` False where the engine starts nothing again by its own policy,
    ``can_be_unreachable`` False where runtime and engine are one, ``builds_images`` False where images
    come ready-made, ``is_installed``. The whole of what an author writes::

        class TestMyRuntime(RuntimeContract):
            @pytest_asyncio.fixture
            async def runtime(self, context):
                runtime = MyRuntime()
                await runtime.open(context)
                yield runtime
                await runtime.close()

            @pytest.fixture
            def instance(self, context):
                return context.instance

            @pytest.fixture
            def image(self):
                return "busybox:1.36"

            @pytest.fixture
            def subnet(self):
                return "10.219.0.0/26"

            @pytest.fixture
            def foreign(self, engine):
                return OtherHands(engine)

            @pytest.fixture
            def outage(self, engine):
                return Wire(engine)

            @pytest.fixture
            def kill(self, engine):
                return engine.kill  # async, takes a container's name

            @pytest.fixture
            def recipe(self):
                return ImageRecipe(image="my-runtime-test:1", files={"/hello": "hello"})
    """

    restarts_by_itself: ClassVar[bool] = True
    can_be_unreachable: ClassVar[bool] = True
    builds_images: ClassVar[bool] = True

    parts: ClassVar[tuple[Part, ...]] = (
        Part(flag="restarts_by_itself", uncovered="that the engine restarts what ends, and only by its policy"),
        Part(flag="can_be_unreachable", uncovered="what becomes of calls without an engine", fixtures=("outage",)),
        Part(flag="builds_images", uncovered="that images are built from recipes", fixtures=("recipe",)),
    )

    @to_define
    def runtime(self) -> Runtime:
        """An open runtime."""
        raise NotImplementedError

    @to_define
    def instance(self) -> str:
        """The instance that `runtime` was opened for."""
        raise NotImplementedError

    @to_define
    def image(self) -> str:
        """A small image that the engine has, with sh, echo, cat, stat, touch, hostname, sleep, and no /data."""
        raise NotImplementedError

    @to_define
    def subnet(self) -> str:
        """A /26 that nobody uses."""
        raise NotImplementedError

    @to_define
    def foreign(self) -> Foreign:
        """Hands that are not ours, on the same engine."""
        raise NotImplementedError

    @to_define
    def outage(self) -> Outage:
        """Power over the engine's connection."""
        raise NotImplementedError

    @to_define
    def kill(self) -> Callable[[str], Awaitable[None]]:
        """An async function that ends a container's main process from outside, not by the engine's API."""
        raise NotImplementedError

    @to_define
    def recipe(self) -> ImageRecipe:
        """A recipe whose image the engine does not have yet."""
        raise NotImplementedError

    @pytest.fixture
    def implementation(self, runtime: Runtime) -> Runtime:
        """What is under contract."""
        return runtime

    @pytest.fixture
    def stage(self, runtime: Runtime, instance: str, image: str, subnet: str) -> Stage:
        """A pod's worth of objects to apply."""
        return Stage(runtime=runtime, instance=instance, image=image, subnet=subnet, pod_id=str(uuid.uuid4()))
