"""Asks the engine: a look has its time, and whatever a runtime raises is put into our words.

Decides nothing about what is seen; an engine that does not answer is no observation at all.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager

from agentpod_core.errors import AgentPodError, TemporaryError
from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.values.actions import Action
from agentpod_core.values.workload import SecretRef
from agentpod_core.values.world import Container, PodWorld, World

logger = logging.getLogger(__name__)


class Engine:
    """The engine as passes see it; a look may take ``seconds``, and is ``EngineUnreachable`` after that.

    Every method raises ``AgentPodError`` and nothing else.
    """

    def __init__(self, runtime: Runtime, seconds: float) -> None:
        self._runtime = runtime
        self._seconds = seconds

    async def observe(self) -> World:
        """List the containers and networks of ours."""
        with self._in_our_words("observe"):
            async with self._bound():
                return await self._runtime.observe()

    async def observe_pod(self, pod_id: str) -> PodWorld:
        """List the containers and volumes of one pod."""
        with self._in_our_words("observe_pod"):
            async with self._bound():
                return await self._runtime.observe_pod(pod_id)

    async def inspect(self, name: str) -> Container | None:
        """Look deeply at one container; None where there is none of ours."""
        with self._in_our_words("inspect"):
            async with self._bound():
                return await self._runtime.inspect(name)

    async def has_image(self, image: str) -> bool:
        """Say whether it has that image."""
        with self._in_our_words("has_image"):
            async with self._bound():
                return await self._runtime.has_image(image)

    async def apply(self, action: Action, material: Mapping[SecretRef, str]) -> None:
        """Make one change, which takes as long as it takes."""
        with self._in_our_words("apply"):
            await self._runtime.apply(action, material)

    async def read(self, container: str, path: str, *, limit: int) -> bytes | None:
        """Read a file of a container; None where there is none."""
        with self._in_our_words("read"):
            return await self._runtime.read(container, path, limit=limit)

    @asynccontextmanager
    async def _bound(self) -> AsyncIterator[None]:
        bound = asyncio.timeout(self._seconds)
        try:
            async with bound:
                yield
        except TimeoutError:
            if bound.expired():
                raise TemporaryError("EngineUnreachable", detail=f"no answer within {self._seconds:g} s") from None
            raise

    def _in_our_words(self, call: str) -> AbstractContextManager[None]:
        return in_our_words(self._runtime.name, call)


@contextmanager
def in_our_words(plugin: str, call: str) -> Iterator[None]:
    """Turn whatever a plugin raises into one of our errors, and log what was none."""
    try:
        yield
    except AgentPodError:
        raise
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything; what it was is shown and logged
        # Not in its own words, for they may hold a secret that it was given.
        kind = f"{type(error).__name__}: {error.strerror}" if isinstance(error, OSError) else type(error).__name__
        frame = traceback.extract_tb(error.__traceback__)[-1]
        logger.error("%s of %s failed: %s at %s:%s", call, plugin, kind, frame.filename, frame.lineno)  # noqa: TRY400 - see above
        raise TemporaryError("PluginFailed", plugin=plugin, call=call, error=kind) from None
