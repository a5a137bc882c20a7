"""The plug point for what runs containers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime

from agentpod_core.plugpoints.context import Impure
from agentpod_core.plugpoints.link import ExecResult
from agentpod_core.values.actions import Action
from agentpod_core.values.recipes import ImageRecipe
from agentpod_core.values.workload import SecretRef
from agentpod_core.values.world import Container, EngineEvent, PodWorld, Usage, World

Progress = Callable[[str], None]
"""Told what long work is doing, one line at a time; may be called from the event loop only."""


class Runtime(Impure):
    """Runs containers for one instance, and touches nothing that lacks that instance's label.

    Every method raises TemporaryError(``EngineUnreachable``) when the engine does not answer, and
    is safe to cancel: what was half done is visible to the next ``observe``.
    """

    @abstractmethod
    async def observe(self) -> World:
        """List the containers and networks of this instance: one shallow look, cheap with 500 pods."""

    @abstractmethod
    async def observe_pod(self, pod_id: str) -> PodWorld:
        """List what there is of one pod: its containers, shallowly, and its volumes."""

    @abstractmethod
    async def inspect(self, name: str) -> Container | None:
        """Look deeply at one container by id or name; None where there is none or it is not ours."""

    @abstractmethod
    async def has_image(self, image: str) -> bool:
        """Say whether the engine has that image."""

    @abstractmethod
    async def apply(self, action: Action, material: Mapping[SecretRef, str]) -> None:
        """Make one change; to a world that already is so, a no-op.

        ``material`` holds the values of the secrets that the action names; they are never logged.

        Raises:
            TemporaryError: the engine is unreachable or busy.
            ConflictError: a name, address or subnet is held by something that is not ours.
            PermanentError: the engine refuses (``ImageNotFound``, ``EngineRefused``).
            NotFoundError: the container to start, write to or update is absent or not ours; stopping
                or removing such a one is a no-op.
        """

    @abstractmethod
    def watch(self) -> AsyncIterator[EngineEvent]:
        """Follow what happens to our objects, for ever.

        After a lost connection it reconnects by itself and yields an event of kind ``resync``;
        the first event is one too.
        """

    @abstractmethod
    def logs(
        self, container: str, *, tail: int | None = None, follow: bool = False, since: datetime | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the container's output in lines without their end, oldest first.

        Raises:
            NotFoundError: there is no such container of ours.
        """

    @abstractmethod
    async def stats(self, container: str) -> Usage | None:
        """Measure one container; None when it does not run."""

    async def folders(self) -> tuple[str, ...]:
        """Name the folders of this machine that the engine keeps its data in, by their absolute paths.

        Their disk is watched. None where the engine is elsewhere or cannot say, as by default.
        """
        return ()

    async def storage(self) -> dict[str, int]:
        """Measure the volumes of every pod, in bytes by pod id; asked for rarely, for it may cost a lot.

        Left out are pods without volumes and those whose size is unknown; by default, that is all of them.
        """
        return {}

    @abstractmethod
    async def exec(self, container: str, argv: tuple[str, ...], *, timeout: float, limit: int) -> ExecResult:  # noqa: ASYNC109
        """Run a command as the container's user, at most that long (seconds) and with that much output (bytes)."""

    @abstractmethod
    async def read(self, container: str, path: str, *, limit: int) -> bytes | None:
        """Read one file of a container; None where there is none.

        Raises:
            PermanentError: it is larger than ``limit`` bytes or no regular file.
        """

    @abstractmethod
    async def build(self, recipe: ImageRecipe, progress: Progress) -> None:
        """Build an image from a recipe, from cache where nothing changed."""

    @abstractmethod
    async def images(self) -> list[str]:
        """List the tags of the images that this platform built or runs."""
